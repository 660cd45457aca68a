import Collectives
import DataLoading

/// Images of one or several data sets, one after the other.
///
/// Images keep their classes where there is only one data set.
struct ImageSelection: ImageDataset {
  private var members: [(dataset: any ImageDataset, index: Int)] = []
  let classNames: [String]

  /// Opens data sets.
  /// - Parameters:
  ///   - paths: Image files, folders of images, any data set that training takes, or `.npz` files of images.
  ///   - limit: Images of each data set at most, evenly spread over what it holds; nil for all.
  ///   - communicator: Its ranks open them together; nil on a rank that works alone.
  /// - Throws: `DataError` or `PeerFailure` for what cannot be opened.
  init(paths: [String], limit: Int? = nil, communicator: (any Communicator)? = nil) throws {
    var classNames: [String] = []
    for path in paths {
      let dataset = try Self.dataset(path, communicator: communicator)
      classNames = dataset.classNames
      let count = min(limit ?? dataset.count, dataset.count)
      for position in 0..<count { members.append((dataset, position * dataset.count / count)) }
    }
    self.classNames = paths.count == 1 ? classNames : []
  }

  /// All images of one data set.
  init(_ dataset: any ImageDataset) {
    members = (0..<dataset.count).map { (dataset, $0) }
    classNames = dataset.classNames
  }

  private static func dataset(_ path: String, communicator: (any Communicator)?) throws -> any ImageDataset {
    guard path.hasSuffix(".npz") else {
      return try communicator.map { try openDataset(path, communicator: $0) } ?? openDataset(path)
    }
    return try communicator.map { try $0.collectively("opening \(path)") { try NumPyImages(path: path) } }
      ?? NumPyImages(path: path)
  }

  /// The images in another order, or some of them.
  func ordered(by indices: [Int]) -> ImageSelection {
    var selection = self
    selection.members = indices.map { members[$0] }
    return selection
  }

  /// That many of the images at most, evenly spread over all of them.
  func limited(to limit: Int?) -> ImageSelection {
    guard let limit, limit < count else { return self }
    return ordered(by: (0..<limit).map { $0 * count / limit })
  }

  var count: Int { members.count }

  func label(of index: Int) -> Int32 {
    classNames.isEmpty ? 0 : members[index].dataset.label(of: members[index].index)
  }

  func name(of index: Int) -> String { members[index].dataset.name(of: members[index].index) }

  func image(at index: Int, decoding options: DecodingOptions) throws(DataError) -> PixelImage {
    try members[index].dataset.image(at: members[index].index, decoding: options)
  }
}

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
  ///   - paths: Image files, folders of images, or any data set that training takes.
  ///   - limit: Images of each data set at most, evenly spread over what it holds; nil for all.
  ///   - communicator: Its ranks open them together; nil on a rank that works alone.
  /// - Throws: `DataError` or `PeerFailure` for what cannot be opened.
  init(paths: [String], limit: Int? = nil, communicator: (any Communicator)? = nil) throws {
    var classNames: [String] = []
    for path in paths {
      let dataset = try communicator.map { try openDataset(path, communicator: $0) } ?? openDataset(path)
      classNames = dataset.classNames
      let count = min(limit ?? dataset.count, dataset.count)
      for position in 0..<count { members.append((dataset, position * dataset.count / count)) }
    }
    self.classNames = paths.count == 1 ? classNames : []
  }

  /// That many of the images at most, evenly spread over all of them.
  func limited(to limit: Int?) -> ImageSelection {
    guard let limit, limit < count else { return self }
    var selection = self
    selection.members = (0..<limit).map { members[$0 * count / limit] }
    return selection
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

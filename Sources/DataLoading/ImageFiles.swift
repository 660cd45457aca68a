/// Images that are files of their own: a folder per class, or simply files.
public struct ImageFiles: EncodedImageDataset {
  /// Paths of the images relative to `root`.
  private var names = NameList()
  private var classes = ClassRanges()
  private let root: String

  /// Images without a class, in the given order.
  /// - Parameter paths: Files; their content is looked at only when they are read.
  public init(paths: [String]) {
    root = ""
    for path in paths { names.append(path) }
  }

  /// No images yet, of those below `root`.
  init(root: String) { self.root = root }

  /// Adds the images of a class folder; one without images is no class.
  mutating func append(_ paths: NameList, className: String?) {
    guard paths.count > 0 else { return }
    if let className { classes.beginClass(className, at: count) }
    names.append(contentsOf: paths)
  }

  /// How many images there are.
  public var count: Int { names.count }
  /// Names of the class folders, sorted.
  public var classNames: [String] { classes.names }
  /// The rank of the class folder's name.
  public func label(of index: Int) -> Int32 { Int32(classes.label(of: index)) }
  /// The path of the file.
  public func name(of index: Int) -> String { root + names[index] }
  /// The length of the file.
  public func byteCount(at index: Int) throws(DataError) -> Int {
    try DatasetOutline.File(name(of: index)).byteCount
  }
  /// The content of the file.
  public func bytes(at index: Int) throws(DataError) -> [UInt8] { try readFile(name(of: index)) }
}

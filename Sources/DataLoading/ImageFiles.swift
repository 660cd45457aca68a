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

  /// The images of `root/CLASS/`, classes in the order of their names. Folders without images are no classes.
  init(classFolders: [String], in root: String) throws(DataError) {
    self.root = root + "/"
    for folder in classFolders {
      let start = names.count
      var place = folder
      var listing = try FolderListing(of: self.root + place)
      // Tiny ImageNet as published: `CLASS/images/*.JPEG`. A folder of several folders is not taken for a class: it
      // may be `train` beside `val`.
      if let only = listing.folders.first, listing.folders.count == 1, !listing.files.contains(where: hasImageExtension)
      {
        place += "/" + only
        listing = try FolderListing(of: self.root + place)
      }
      for file in listing.files where hasImageExtension(file) { names.append(place + "/" + file) }
      if names.count > start { classes.beginClass(folder, at: start) }
    }
  }

  /// How many images there are.
  public var count: Int { names.count }
  /// Names of the class folders, sorted.
  public var classNames: [String] { classes.names }
  /// The rank of the class folder's name.
  public func label(of index: Int) -> Int32 { Int32(classes.label(of: index)) }
  /// The path of the file.
  public func name(of index: Int) -> String { root + names[index] }
  /// The content of the file.
  public func bytes(at index: Int) throws(DataError) -> [UInt8] { try readFile(name(of: index)) }
}

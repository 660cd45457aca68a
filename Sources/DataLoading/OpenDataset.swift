/// Opens a data set, finding its layout by looking.
///
/// | what stands there | images | classes |
/// |---|---|---|
/// | a folder of folders with images | `DIR/CLASS/….JPEG` | the folders |
/// | a folder of archives | `DIR/CLASS.tar` | the archives |
/// | an archive of archives (`ILSVRC2012_img_train.tar`) | `CLASS.tar` inside, read in place | the inner archives |
/// | an archive of images (`ILSVRC2012_img_val.tar`) | its members | none |
/// | a folder of images, or one image | the files | none |
/// | `drawn:COUNT,resolution=32,seed=1` | drawn by the program, no file needed | the kinds of drawing |
///
/// Names are sorted by their bytes, so indices and classes are the same on every machine.
/// - Throws: `DataError` when the path is missing, cannot be read or holds no images; it says what was looked for.
public func openDataset(_ description: String) throws(DataError) -> any ImageDataset {
  if DrawnImages.isDescription(description) { return try DrawnImages(description: description) }
  let path = withoutTrailingSlashes(description)
  switch try FileKind(at: path) {
  case .folder: return try openFolder(path)
  case .file where hasTarExtension(path):
    return try checked(ArchivedImages(archive: path), path, "looked for class archives (CLASS.tar) and images inside")
  case .file where hasImageExtension(path): return ImageFiles(paths: [path])
  case .file, .other:
    throw DataError(path: path, reason: .noImages(detail: "expected a folder, a .tar archive, a JPEG or a PNG"))
  }
}

private func openFolder(_ path: String) throws(DataError) -> any ImageDataset {
  let listing = try FolderListing(of: path)
  let inFolders = try ImageFiles(classFolders: listing.folders, in: path)
  if inFolders.count > 0 { return inFolders }
  let archives = listing.files.filter(hasTarExtension)
  if !archives.isEmpty {
    let sorted = archives.sorted { precedes(String($0.dropLast(4)), String($1.dropLast(4))) }
    return try checked(
      ArchivedImages(classArchives: sorted, in: path), path, "its \(archives.count) .tar archives hold none")
  }
  let images = listing.files.filter(hasImageExtension)
  if !images.isEmpty { return ImageFiles(paths: images.map { path + "/" + $0 }) }
  throw DataError(path: path, reason: .noImages(detail: try lookedFor(in: path, listing)))
}

/// Says what would have been recognised, and points to a folder below that would do.
private func lookedFor(in path: String, _ listing: FolderListing) throws(DataError) -> String {
  var detail = "looked for class folders (CLASS/*.jpeg, .jpg, .png), class archives (CLASS.tar) and images"
  if listing.files.isEmpty && listing.folders.isEmpty { detail += "; the folder is empty" }
  for folder in listing.folders {
    let below = path + "/" + folder
    let inner = try FolderListing(of: below)
    if inner.files.contains(where: hasTarExtension) { return detail + "; did you mean \(below)?" }
    if try ImageFiles(classFolders: inner.folders, in: below).count > 0 { return detail + "; did you mean \(below)?" }
  }
  return detail
}

private func checked(
  _ dataset: ArchivedImages, _ path: String, _ detail: String
) throws(DataError) -> any ImageDataset {
  guard dataset.count > 0 else { throw DataError(path: path, reason: .noImages(detail: detail)) }
  return dataset
}

private func withoutTrailingSlashes(_ path: String) -> String {
  var path = path[...]
  while path.count > 1, path.last == "/" { path.removeLast() }
  return String(path)
}

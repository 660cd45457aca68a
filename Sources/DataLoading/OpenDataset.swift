/// Opens a data set, finding its layout by looking.
///
/// | what stands there | images | classes |
/// |---|---|---|
/// | a folder of folders with images | `DIR/CLASS/….JPEG` | the folders |
/// | a folder of archives | `DIR/CLASS.tar` | the archives |
/// | an archive of archives (`ILSVRC2012_img_train.tar`) | `CLASS.tar` inside, read in place | the inner archives |
/// | an archive of images (`ILSVRC2012_img_val.tar`) | its members | `labels`, or ImageNet's development kit beside it |
/// | shards: `DIR/x-{000..127}.tar`, `DIR/*.tar`, `a.tar::b.tar`, a JSON index, a folder of them | `KEY.jpg`, `.jpeg`, `.png` | `KEY.cls` or `KEY.json` |
/// | a folder of images, or one image | the files | none |
/// | `drawn:COUNT,resolution=32,seed=1` | drawn by the program, no file needed | the kinds of drawing |
///
/// Names are sorted by their bytes (but samples stay in the order of their shards), so indices and classes are the same
/// on every machine.
/// - Parameters:
///   - description: What stands there: a path, or another form of the table.
///   - labels: For an archive of images: ImageNet's development kit, packed or not, or a text file with one class per
///     image; see `ImageLabels`.
/// - Throws: `DataError` when the path is missing, cannot be read or holds no images; it says what was looked for.
public func openDataset(_ description: String, labels: String? = nil) throws(DataError) -> any ImageDataset {
  let outline = try DatasetOutline(description, labels: labels)
  var lists: [[UInt8]] = []
  for part in 0..<outline.partCount { lists.append(try outline.encodedMembers(ofPart: part)) }
  return try DatasetIndex(outline, lists: lists).dataset()
}

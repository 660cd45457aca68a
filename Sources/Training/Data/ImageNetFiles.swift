import Crypto
import DataLoading
import Foundation

/// ImageNet's files as they are downloaded, and what they must hold.
struct ImageNetFile {
  let name: String
  let byteCount: Int
  let md5: String
  /// Images in it, and their classes; nil for files without images.
  let imageCount: Int?
  let classCount: Int?

  static let all = [
    ImageNetFile(
      name: "ILSVRC2012_img_train.tar", byteCount: 147_897_477_120, md5: "1d675b47d978889d74fa0da5fadfb00e",
      imageCount: 1_281_167, classCount: 1000),
    ImageNetFile(
      name: "ILSVRC2012_img_val.tar", byteCount: 6_744_924_160, md5: "29b22e2961454d5413ddabcf34fc5622",
      imageCount: 50_000, classCount: nil),
    ImageNetFile(
      name: "ILSVRC2012_devkit_t12.tar.gz", byteCount: 2_568_145, md5: "fa75699e90414af021442c21a62c3abf",
      imageCount: nil, classCount: nil),
  ]

  /// The official file of that name.
  static func named(_ path: String) -> ImageNetFile? {
    all.first { path == $0.name || path.hasSuffix("/" + $0.name) }
  }
}

/// The MD5 of a whole file in lower-case hexadecimal: what `md5sum` prints.
func md5(ofFile path: String) throws -> String {
  let file = try FileHandle(forReadingFrom: URL(filePath: path))
  defer { file.closeFile() }
  var hash = Insecure.MD5()
  while let block = try file.read(upToCount: 1 << 22), !block.isEmpty { hash.update(data: block) }
  return hash.finalize().map { byte in
    let digits = String(byte, radix: 16)
    return digits.count == 1 ? "0" + digits : digits
  }.joined()
}

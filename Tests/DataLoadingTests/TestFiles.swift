import DataLoading
import Foundation

/// `Fixtures` beside this file: pictures made by `make_fixtures.py`.
let fixtureFolder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/Fixtures"

func contents(ofFixture name: String) throws -> [UInt8] {
  try [UInt8](Data(contentsOf: URL(fileURLWithPath: fixtureFolder + "/" + name)))
}

/// Real images: `MERGEVQ_TEST_DATA`, or `../shared/data` beside the package. Says so where they are absent.
func realData(_ name: String) -> String? {
  let root = URL(fileURLWithPath: #filePath).pathComponents.dropLast(3).joined(separator: "/").dropFirst()
  let folder = ProcessInfo.processInfo.environment["MERGEVQ_TEST_DATA"] ?? root + "/../shared/data"
  let path = folder + "/" + name
  if FileManager.default.fileExists(atPath: path) { return path }
  print("skipped: no \(path)")
  return nil
}

/// A folder that goes away with the test.
final class TemporaryFolder {
  let path: String

  init() throws {
    path = NSTemporaryDirectory() + "data-loading-" + UUID().uuidString
    try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit {
    do { try FileManager.default.removeItem(atPath: path) } catch { print("could not remove \(path): \(error)") }
  }

  /// Writes a file, with the folders above it.
  @discardableResult func write(_ bytes: [UInt8], to name: String) throws -> String {
    let file = path + "/" + name
    try FileManager.default.createDirectory(
      atPath: (file as NSString).deletingLastPathComponent, withIntermediateDirectories: true)
    try Data(bytes).write(to: URL(fileURLWithPath: file))
    return file
  }
}

/// A picture with a different value almost everywhere.
func madeUpPicture(width: Int, height: Int, seed: Int = 0) -> PixelImage {
  let pixels = (0..<(width * height * 3)).map { index in
    let (pixel, channel) = (index / 3, index % 3)
    return UInt8((pixel % width * 5 + pixel / width * 7 * channel + seed * 31 + channel * 50) % 256)
  }
  return PixelImage(width: width, height: height, pixels: pixels)
}

/// A small tar archive, written by the rules of the format and not by the code under test.
struct TarBuilder {
  enum Size { case octal, binary }

  private(set) var bytes: [UInt8] = []

  mutating func add(
    _ name: String, _ data: [UInt8], type: Character = "0", size: Size = .octal, claimedByteCount: Int? = nil,
    prefix: String = ""
  ) {
    var header = [UInt8](repeating: 0, count: 512)
    func put(_ text: String, at offset: Int) {
      header.replaceSubrange(offset..<(offset + text.utf8.count), with: Array(text.utf8))
    }
    let byteCount = claimedByteCount ?? data.count
    put(String(name.prefix(100)), at: 0)
    put("0000644\0", at: 100)
    switch size {
    case .octal: put(String(format: "%011o\0", byteCount), at: 124)
    case .binary:
      header[124] = 0x80
      for index in 0..<8 { header[135 - index] = UInt8(truncatingIfNeeded: byteCount >> (8 * index)) }
    }
    put(String(type), at: 156)
    put("ustar\u{0}00", at: 257)
    put(prefix, at: 345)
    put(String(repeating: " ", count: 8), at: 148)
    put(String(format: "%06o\0 ", header.reduce(0) { $0 + Int($1) }), at: 148)
    bytes += header + data + [UInt8](repeating: 0, count: (512 - data.count % 512) % 512)
  }

  /// GNU's way of giving the next member a long name.
  mutating func addLongName(_ name: String) { add("././@LongLink", Array(name.utf8) + [0], type: "L") }

  /// pax's way of giving the next member properties.
  mutating func addProperties(_ properties: [(key: String, value: String)]) {
    let text = properties.map { key, value in
      let rest = " \(key)=\(value)\n"
      var length = rest.utf8.count + 1
      while String(length).utf8.count + rest.utf8.count != length { length += 1 }
      return "\(length)\(rest)"
    }
    add("PaxHeaders/x", Array(text.joined().utf8), type: "x")
  }

  var finished: [UInt8] { bytes + [UInt8](repeating: 0, count: 1024) }
}

/// Pictures of one colour that tells their index; some cannot be used.
struct NumberedImages: ImageDataset {
  let count: Int
  var bad: Set<Int> = []
  var classNames: [String] { ["even", "odd"] }

  func label(of index: Int) -> Int32 { Int32(index % 2) }
  func name(of index: Int) -> String { "number \(index)" }

  func image(at index: Int, decoding options: DecodingOptions) throws(DataError) -> PixelImage {
    if bad.contains(index) { throw DataError(path: name(of: index), reason: .undecodable(detail: "marked bad")) }
    return madeUpPicture(width: 12, height: 9, seed: index)
  }
}

/// Many names in one piece of memory: a million of them take 30 MB instead of 100.
struct NameList: Sendable, Equatable {
  private var bytes: [UInt8] = []
  private var ends: [UInt32] = []

  var count: Int { ends.count }

  mutating func append(_ name: some StringProtocol) {
    bytes.append(contentsOf: name.utf8)
    require(bytes.count <= Int(UInt32.max), "NameList: names take more than 4 GiB")
    ends.append(UInt32(bytes.count))
  }

  mutating func append(contentsOf other: NameList) {
    require(bytes.count + other.bytes.count <= Int(UInt32.max), "NameList: names take more than 4 GiB")
    let start = UInt32(bytes.count)
    bytes.append(contentsOf: other.bytes)
    ends.append(contentsOf: other.ends.lazy.map { $0 + start })
  }

  func encode(into writer: inout ByteWriter) {
    writer.append(bytes)
    writer.append(numbers: ends)
  }

  init() {}

  init(from reader: inout ByteReader) throws(ByteReader.Damage) {
    bytes = try reader.byteArray()
    ends = try reader.numbers()
    let isAscending = zip(ends, ends.dropFirst()).allSatisfy { $0 <= $1 }
    if Int(ends.last ?? 0) != bytes.count || !isAscending { throw ByteReader.Damage() }
  }

  subscript(index: Int) -> String {
    let start = index == 0 ? 0 : Int(ends[index - 1])
    return String(decoding: bytes[start..<Int(ends[index])], as: UTF8.self)
  }
}

/// Which class each image has, where images are ordered by class.
struct ClassRanges: Sendable {
  /// Sorted names; empty when images have no class.
  private(set) var names: [String] = []
  private var starts: [Int] = []

  /// Says that images from `start` on belong to a further class.
  mutating func beginClass(_ name: String, at start: Int) {
    names.append(name)
    starts.append(start)
  }

  /// How many images each class has, of `total` in all.
  func counts(total: Int) -> [Int] { zip(starts, starts.dropFirst() + [total]).map { $1 - $0 } }

  /// The class of an image, 0 where there are none. O(log of the class count).
  func label(of index: Int) -> Int {
    var low = 0
    var high = starts.count
    while high - low > 1 {
      let middle = (low + high) / 2
      if starts[middle] <= index { low = middle } else { high = middle }
    }
    return low
  }
}

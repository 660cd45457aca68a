/// The header of a safetensors file: what tensors there are, and which bytes of the data section each one has.
struct SafetensorsHeader {
  struct Entry {
    let tensor: TensorDescription
    /// Byte range in the file.
    let range: Range<Int>
  }

  /// Larger headers are refused, as the format's reference implementation does.
  static let maximumByteCount = 100_000_000

  private static let maximumDimensionCount = 64

  /// Sorted by name.
  private(set) var entries: [Entry] = []
  private(set) var metadata: [String: String] = [:]

  /// Parses and checks the header of a whole file's bytes.
  /// - Throws: What is wrong, in words.
  init(of file: UnsafeRawBufferPointer) throws(JSONScanner.Failure) {
    func failure(_ detail: String, at offset: Int = 0) -> JSONScanner.Failure {
      JSONScanner.Failure(detail: detail, offset: offset)
    }
    guard file.count >= 8 else { throw failure("\(file.count) bytes are too short for a header") }
    let claimed = file.littleEndian(at: 0, as: UInt64.self)
    guard claimed <= UInt64(file.count - 8) else {
      throw failure("the header claims \(claimed) bytes, the file has \(file.count - 8) after the length")
    }
    guard claimed <= UInt64(Self.maximumByteCount) else {
      throw failure("a header of \(claimed) bytes; at most \(Self.maximumByteCount) are read")
    }
    let headerCount = Int(claimed)
    let dataStart = 8 + headerCount
    var scanner = JSONScanner(file.region(8..<dataStart))
    var names = Set<String>()
    var entries: [Entry] = []
    var metadata: [String: String]?
    try scanner.object { (scanner, name) throws(JSONScanner.Failure) in
      guard name != "__metadata__" else {
        guard metadata == nil else { throw scanner.failure("two entries named '__metadata__'") }
        metadata = try Self.parseMetadata(&scanner)
        return
      }
      guard names.insert(name).inserted else { throw scanner.failure("two tensors named '\(name)'") }
      entries.append(
        try Self.parseEntry(named: name, &scanner, dataStart: dataStart, dataCount: file.count - dataStart))
    }
    try scanner.end()
    try Self.checkLayout(entries, dataStart: dataStart, fileCount: file.count)
    self.entries = entries.sorted { $0.tensor.name < $1.tensor.name }
    self.metadata = metadata ?? [:]
  }

  private static func parseMetadata(_ scanner: inout JSONScanner) throws(JSONScanner.Failure) -> [String: String] {
    var metadata: [String: String] = [:]
    try scanner.object { (scanner, key) throws(JSONScanner.Failure) in
      guard metadata.updateValue(try scanner.string(), forKey: key) == nil else {
        throw scanner.failure("two metadata entries named '\(key)'")
      }
    }
    return metadata
  }

  private static func parseEntry(
    named name: String, _ scanner: inout JSONScanner, dataStart: Int, dataCount: Int
  ) throws(JSONScanner.Failure) -> Entry {
    var typeName: String?
    var shape: [Int]?
    var offsets: [Int]?
    try scanner.object { (scanner, key) throws(JSONScanner.Failure) in
      switch key {
      case "dtype":
        guard typeName == nil else { throw scanner.failure("tensor '\(name)' has two 'dtype' entries") }
        typeName = try scanner.string()
      case "shape":
        guard shape == nil else { throw scanner.failure("tensor '\(name)' has two 'shape' entries") }
        shape = try parseNumbers(&scanner)
      case "data_offsets":
        guard offsets == nil else { throw scanner.failure("tensor '\(name)' has two 'data_offsets' entries") }
        offsets = try parseNumbers(&scanner)
      default:
        try scanner.skipValue()
      }
    }
    guard let typeName, let shape, let offsets else {
      throw scanner.failure("tensor '\(name)' lacks 'dtype', 'shape' or 'data_offsets'")
    }
    guard let elementType = ElementType(rawValue: typeName) else {
      throw scanner.failure("tensor '\(name)' has the unknown dtype '\(typeName)'")
    }
    guard let tensor = TensorDescription(name: name, elementType: elementType, shape: shape) else {
      throw scanner.failure("tensor '\(name)' has the impossible shape \(shape)")
    }
    guard offsets.count == 2, offsets[0] <= offsets[1] else {
      throw scanner.failure("tensor '\(name)' has the data_offsets \(offsets), expected [begin, end]")
    }
    guard offsets[1] <= dataCount else {
      throw scanner.failure("tensor '\(name)' ends at byte \(offsets[1]) of \(dataCount); the file is cut short")
    }
    guard offsets[1] - offsets[0] == tensor.byteCount else {
      throw scanner.failure(
        "tensor '\(name)' of \(typeName) \(shape) needs \(tensor.byteCount) bytes and has \(offsets[1] - offsets[0])")
    }
    return Entry(tensor: tensor, range: dataStart + offsets[0]..<dataStart + offsets[1])
  }

  private static func parseNumbers(_ scanner: inout JSONScanner) throws(JSONScanner.Failure) -> [Int] {
    var numbers: [Int] = []
    try scanner.array { (scanner) throws(JSONScanner.Failure) in
      guard numbers.count < maximumDimensionCount else {
        throw scanner.failure("more than \(maximumDimensionCount) dimensions")
      }
      numbers.append(try scanner.naturalNumber())
    }
    return numbers
  }

  /// The format wants every byte of the data section to belong to exactly one tensor.
  private static func checkLayout(
    _ entries: [Entry], dataStart: Int, fileCount: Int
  ) throws(JSONScanner.Failure) {
    var end = dataStart
    var previous = "the header"
    let ordered = entries.sorted {
      ($0.range.lowerBound, $0.range.upperBound) < ($1.range.lowerBound, $1.range.upperBound)
    }
    for entry in ordered {
      guard entry.range.lowerBound >= end else {
        throw JSONScanner.Failure(
          detail: "tensor '\(entry.tensor.name)' overlaps '\(previous)'", offset: entry.range.lowerBound)
      }
      guard entry.range.lowerBound == end else {
        throw JSONScanner.Failure(
          detail: "\(entry.range.lowerBound - end) unused bytes before tensor '\(entry.tensor.name)'", offset: end)
      }
      end = entry.range.upperBound
      previous = entry.tensor.name
    }
    guard end == fileCount else {
      throw JSONScanner.Failure(detail: "\(fileCount - end) unused bytes at the end", offset: end)
    }
  }
}

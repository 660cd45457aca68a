/// The two layouts of PyTorch files: where the pickle is, and where each storage's bytes are.
struct TorchContainer {
  let root: PickleValue
  let graph: PickleGraph
  /// The byte range in the file of each of the graph's storages.
  let storageRanges: [Range<Int>]

  /// How the older layout begins: the pickle of a number chosen for this.
  static let legacyMagic: [UInt8] = [
    0x80, 0x02, 0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, 0x2E,
  ]

  init(_ region: ByteRegion) throws(CheckpointError) {
    if region.bytes.starts(with: Self.legacyMagic) {
      try self.init(legacy: region)
    } else if region.bytes.starts(with: Array("PK".utf8)) {
      try self.init(zipped: region)
    } else {
      throw CheckpointError(
        path: region.path, .malformed(format: "PyTorch", detail: "it is neither a zip archive nor a series of pickles"))
    }
  }

  /// `NAME/data.pkl` holds the pickle, `NAME/data/KEY` each storage.
  private init(zipped region: ByteRegion) throws(CheckpointError) {
    func malformed(_ detail: String) -> CheckpointError {
      CheckpointError(path: region.path, .malformed(format: "PyTorch", detail: detail))
    }
    let archive = try ZipArchive(region)
    let pickles = archive.names.filter { $0.hasSuffix("/data.pkl") && $0.split(separator: "/").count == 2 }
    guard pickles.count == 1, let pickle = archive.range(of: pickles[0]) else {
      throw malformed("the archive has \(pickles.count) entries NAME/data.pkl, expected one")
    }
    let folder = pickles[0].dropLast("data.pkl".count)
    guard archive.range(of: folder + "constants.pkl") == nil else {
      throw CheckpointError(
        path: region.path, .unsupported(detail: "a TorchScript archive (save the module's state_dict instead)"))
    }
    if let order = archive.range(of: folder + "byteorder"), !region.bytes[order].elementsEqual("little".utf8) {
      throw CheckpointError(path: region.path, .unsupported(detail: "a file in big-endian byte order"))
    }
    (root, graph, _) = try PickleMachine.read(region.bytes.region(pickle), path: region.path)
    var ranges: [Range<Int>] = []
    for storage in graph.storages {
      guard let range = archive.range(of: "\(folder)data/\(storage.key)") else {
        throw malformed("the storage '\(storage.key)' is missing")
      }
      guard storage.byteCount == range.count else {
        throw malformed("the storage '\(storage.key)' has \(range.count) bytes, the pickle says otherwise")
      }
      ranges.append(range)
    }
    storageRanges = ranges
  }

  /// Five pickles (magic number, protocol, system, content, storage keys), then each storage's length and bytes.
  private init(legacy region: ByteRegion) throws(CheckpointError) {
    func malformed(_ detail: String) -> CheckpointError {
      CheckpointError(path: region.path, .malformed(format: "PyTorch", detail: detail))
    }
    var position = Self.legacyMagic.count
    let version = try PickleMachine.read(region.bytes, from: position, path: region.path)
    guard case .integer(1001) = version.root else { throw malformed("the protocol version is not 1001") }
    let system = try PickleMachine.read(region.bytes, from: version.end, path: region.path)
    if case .dictionary(let dictionary) = system.root,
      case .boolean(false)? = system.graph.value(of: "little_endian", in: dictionary)
    {
      throw CheckpointError(path: region.path, .unsupported(detail: "a file in big-endian byte order"))
    }
    let content = try PickleMachine.read(region.bytes, from: system.end, path: region.path)
    let keys = try PickleMachine.read(region.bytes, from: content.end, path: region.path)
    position = keys.end
    root = content.root
    graph = content.graph
    guard case .list(let list) = keys.root else { throw malformed("the list of storages is not a list") }
    var storageByKey: [String: TorchStorage] = [:]
    for storage in graph.storages { storageByKey[storage.key] = storage }
    var rangeByKey: [String: Range<Int>] = [:]
    for value in keys.graph.lists[list] {
      guard case .text(let key) = value, let storage = storageByKey[key], let byteCount = storage.byteCount else {
        throw malformed("the list of storages names one that no tensor uses")
      }
      guard position <= region.bytes.count - 8, byteCount <= region.bytes.count - position - 8 else {
        throw malformed("the storage '\(key)' runs past the end; the file is cut short")
      }
      guard region.bytes.littleEndian(at: position, as: UInt64.self) == UInt64(storage.elementCount) else {
        throw malformed("the storage '\(key)' has another length than the pickle says")
      }
      rangeByKey[key] = position + 8..<position + 8 + byteCount
      position += 8 + byteCount
    }
    var ranges: [Range<Int>] = []
    for storage in graph.storages {
      guard let range = rangeByKey[storage.key], range.count == storage.byteCount else {
        throw malformed("the storage '\(storage.key)' is missing")
      }
      ranges.append(range)
    }
    storageRanges = ranges
  }
}

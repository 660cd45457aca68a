import CMPI
import Collectives

/// MPI's own operations on one communicator, with error codes turned into `CommunicationError`.
struct MPIHandle {
  let raw: cmpi_communicator
  let rank: Int
  let size: Int

  /// The largest number of bytes passed in one call: MPI counts in 32-bit integers.
  static let byteLimit = 1 << 30

  init(_ raw: cmpi_communicator, worldRank: Int) throws(CommunicationError) {
    var (rank, size): (Int32, Int32) = (0, 0)
    try check(cmpi_rank(raw, &rank), "MPI_Comm_rank", worldRank)
    try check(cmpi_size(raw, &size), "MPI_Comm_size", worldRank)
    (self.raw, self.rank, self.size) = (raw, Int(rank), Int(size))
  }

  func barrier() throws(CommunicationError) {
    try check(cmpi_barrier(raw), "barrier", rank)
  }

  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws(CommunicationError) {
    guard let base = bytes.baseAddress else { return }
    for offset in stride(from: 0, to: bytes.count, by: Self.byteLimit) {
      let count = min(Self.byteLimit, bytes.count - offset)
      try check(cmpi_broadcast(raw, base + offset, Int32(count), Int32(root)), "broadcast", rank)
    }
  }

  /// The values of all ranks, by rank.
  func allGather(_ value: Int64) throws(CommunicationError) -> [Int64] {
    var all = [Int64](repeating: 0, count: size)
    try withUnsafePointer(to: value) { (pointer) throws(CommunicationError) in
      try check(
        cmpi_all_gather(raw, pointer, Int32(MemoryLayout<Int64>.size), &all), "allGather", rank)
    }
    return all
  }

  /// The bytes of all ranks, by rank, passed in as many rounds as 32-bit counts demand.
  func allGather(bytes: [UInt8]) throws(CommunicationError) -> [[UInt8]] {
    let lengths = try allGather(Int64(bytes.count)).map { Int($0) }
    let roundLimit = Self.byteLimit / size
    var result = lengths.map { (length) -> [UInt8] in
      var reserved: [UInt8] = []
      reserved.reserveCapacity(length)
      return reserved
    }
    for start in stride(from: 0, to: lengths.max() ?? 0, by: roundLimit) {
      let counts = lengths.map { max(0, min($0 - start, roundLimit)) }
      let offsets = prefixSums(counts)
      var received = [UInt8](repeating: 0, count: offsets[size])
      let own = Array(bytes[min(start, bytes.count)...].prefix(roundLimit))
      // One byte more than needed, so that the pointer is never null: null means "in place".
      let code = (own + [0]).withUnsafeBytes { sent in
        cmpi_all_gather_ranges(raw, sent.baseAddress, &received, counts.map(Int32.init), offsets.map(Int32.init))
      }
      try check(code, "allGather(bytes:)", rank)
      for index in 0..<size { result[index] += received[offsets[index]..<offsets[index + 1]] }
    }
    return result
  }

  /// Gathers the parts of all ranks in `all`; `part` is this rank's, and may already lie at its place there.
  func allGather(
    _ part: UnsafeMutableRawPointer, into all: UnsafeMutableRawPointer, counts: [Int], offsets: [Int]
  ) throws(CommunicationError) {
    let isInPlace = part == all + offsets[rank]
    let code = cmpi_all_gather_ranges(raw, isInPlace ? nil : part, all, counts.map(Int32.init), offsets.map(Int32.init))
    try check(code, "allGather", rank)
  }

  /// Sends a part of `sent` to each rank, and receives a part from each.
  func allToAll(
    _ sent: UnsafeMutableRawPointer, counts: [Int], offsets: [Int], receiving received: UnsafeMutableRawPointer,
    receivedCounts: [Int], receivedOffsets: [Int]
  ) throws(CommunicationError) {
    let code = cmpi_all_to_all(
      raw, sent, counts.map(Int32.init), offsets.map(Int32.init), received, receivedCounts.map(Int32.init),
      receivedOffsets.map(Int32.init))
    try check(code, "reduceScatter", rank)
  }
}

/// Throws what an MPI error code other than 0 means.
func check(_ code: Int32, _ operation: String, _ rank: Int) throws(CommunicationError) {
  guard code != 0 else { return }
  let reason = text(capacity: 512) { cmpi_error_text(code, $0, $1) }
  throw CommunicationError(operation: operation, rank: rank, reason: reason, code: code)
}

/// Reads a C string that `fill` writes into a buffer of the given capacity.
func text(capacity: Int, _ fill: (UnsafeMutablePointer<CChar>, Int32) -> Void) -> String {
  withUnsafeTemporaryAllocation(of: CChar.self, capacity: capacity) { buffer in
    buffer.initialize(repeating: 0)
    guard let base = buffer.baseAddress else { return "" }
    fill(base, Int32(capacity))
    return String(cString: base)
  }
}

/// `[0, c₀, c₀ + c₁, …]`, one longer than `counts`.
func prefixSums(_ counts: [Int]) -> [Int] {
  counts.reduce(into: [0]) { $0.append($0[$0.count - 1] + $1) }
}

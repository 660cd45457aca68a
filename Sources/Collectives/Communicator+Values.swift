// Collective operations on single values and arrays, all built on the requirements of the protocol.

extension Communicator {
  /// True on the rank that speaks for the job: the one that prints, logs and writes shared files.
  public var isFirst: Bool { rank == 0 }

  /// Ends every rank of the job at once with the given exit status. Not collective: any one rank may call it.
  public func abort(status: Int32) -> Never { ending(status) }

  /// Replaces `values[ranges[rank]]` by its elementwise reduction over the ranks, without rounding. Collective.
  public func reduceScatter<Element: Reducible>(
    _ values: UnsafeMutableBufferPointer<Element>, ranges: [Range<Int>], _ reduction: Reduction
  ) throws(CommunicationError) { try reduceScatter(values, ranges: ranges, reduction, format: .float32) }

  /// The time until the slowest rank has done `body`, in seconds. Collective.
  package func slowestTime(
    of body: () throws(CommunicationError) -> Void
  ) throws(CommunicationError) -> Double {
    try barrier()
    let start = ContinuousClock.now
    try body()
    let elapsed = (ContinuousClock.now - start) / .seconds(1)
    return try allReduce(elapsed, .max)
  }

  /// Returns the reduction of one value per rank. Collective.
  public func allReduce<Element: Reducible>(
    _ value: Element, _ reduction: Reduction
  ) throws(CommunicationError) -> Element {
    var values = [value]
    try allReduce(&values, reduction)
    return values[0]
  }

  /// Replaces an array, of the same count on every rank, by its elementwise reduction over the ranks. Collective.
  public func allReduce<Element: Reducible>(
    _ values: inout [Element], _ reduction: Reduction
  ) throws(CommunicationError) {
    try values.withUnsafeMutableBufferPointer { (buffer) throws(CommunicationError) in
      try allReduce(buffer, reduction)
    }
  }

  /// Returns one value of every rank, by rank. Collective.
  public func allGather<Element: Reducible>(_ value: Element) throws(CommunicationError) -> [Element] {
    var values = [Element](repeating: value, count: worldSize)
    let ranges = (0..<worldSize).map { $0..<$0 + 1 }
    try values.withUnsafeMutableBufferPointer { (buffer) throws(CommunicationError) in
      try allGather(buffer, ranges: ranges)
    }
    return values
  }

  /// Returns the text of every rank, by rank. Collective.
  public func allGather(_ text: String) throws(CommunicationError) -> [String] {
    try allGather(bytes: Array(text.utf8)).map { String(decoding: $0, as: UTF8.self) }
  }

  /// Returns the bytes that rank `root` gives; what the others give is ignored, even its length. Collective.
  public func broadcast(_ bytes: [UInt8], from root: Int = 0) throws(CommunicationError) -> [UInt8] {
    let byteCount = try broadcast(Int64(bytes.count), from: root)
    var result = rank == root ? bytes : [UInt8](repeating: 0, count: Int(byteCount))
    try result.withUnsafeMutableBufferPointer { (buffer) throws(CommunicationError) in
      try broadcast(UnsafeMutableRawBufferPointer(buffer), from: root)
    }
    return result
  }

  /// Returns the text that rank `root` gives. Collective.
  public func broadcast(_ text: String, from root: Int = 0) throws(CommunicationError) -> String {
    String(decoding: try broadcast(Array(text.utf8), from: root), as: UTF8.self)
  }

  /// Returns the value that rank `root` gives. Collective.
  public func broadcast<Element: Reducible>(
    _ value: Element, from root: Int = 0
  ) throws(CommunicationError) -> Element {
    var values = [value]
    try values.withUnsafeMutableBufferPointer { (buffer) throws(CommunicationError) in
      try broadcast(UnsafeMutableRawBufferPointer(buffer), from: root)
    }
    return values[0]
  }

  /// Whether the condition holds on at least one rank; the same answer on every rank. Collective.
  public func agree(any condition: Bool) throws(CommunicationError) -> Bool {
    try allReduce(Int64(condition ? 1 : 0), .max) == 1
  }

  /// Whether the condition holds on every rank; the same answer on every rank. Collective.
  public func agree(all condition: Bool) throws(CommunicationError) -> Bool {
    try allReduce(Int64(condition ? 1 : 0), .min) == 1
  }
}

import Collectives

/// Reductions and gathers that use shared memory within a node and messages only between nodes.
///
/// The share of every rank is cut into pieces that fit the window. A piece passes through up to four phases; in each
/// step all ranks of a node do every phase, each for a different piece, and then meet:
///
/// | phase        | reads → writes                                        | who                             |
/// |--------------|-------------------------------------------------------|---------------------------------|
/// | `contribute` | own values → own contributions                        | every rank                      |
/// | `publish`    | own share → partials (when nothing is to be summed)   | every rank                      |
/// | `reduce`     | contributions of the node → partials                  | every rank a part of the shares |
/// | `exchange`   | partials of all nodes → results                       | the leader of each node         |
/// | `collect`    | results → own values                                  | every rank                      |
///
/// A single node has no exchange: its partials are the results. What one phase writes is read only in the next step,
/// and the window holds two pieces of everything, so one meeting per step is enough. The sum runs over the ranks of a
/// node in their order, then over the nodes in theirs.
final class NodeAwareTransfer {
  enum Goal {
    case allReduce(Reduction)
    case reduceScatter(Reduction, WireFormat)
    case allGather
  }

  private enum Phase { case contribute, publish, reduce, exchange, collect }

  /// Bytes that this rank's node sent to other nodes, through this rank; what the wire costs.
  private(set) var sentByteCount = 0

  private let topology: Topology
  private var window: NodeWindow
  /// Pieces done so far: the parity of the next one must differ from that of the last, across calls too.
  private var completedPieceCount = 0
  /// What a leader receives from all nodes for its own node's ranks; nil where there is one node.
  private let received: UnsafeMutableRawPointer?
  /// Where a leader rounds what it sends, if it is to be rounded.
  private let rounded: UnsafeMutablePointer<UInt16>?

  init(_ topology: Topology, windowByteLimit: Int) throws(CommunicationError) {
    self.topology = topology
    window = try NodeWindow(topology, byteLimit: windowByteLimit)
    if topology.leaders != nil && topology.nodeCount > 1 {
      let ownCount = topology.nodeRanges[topology.nodeIndex].count
      received = .allocate(byteCount: topology.nodeCount * ownCount * window.pieceByteCount, alignment: 64)
      rounded = .allocate(capacity: topology.world.size * window.pieceByteCount / MemoryLayout<Float>.stride)
    } else {
      received = nil
      rounded = nil
    }
  }

  deinit {
    received?.deallocate()
    rounded?.deallocate()
  }

  /// Gives the shared memory back. Collective.
  func free() throws(CommunicationError) { try window.free() }

  /// Carries out one operation. Collective.
  func perform<Element: Reducible>(
    _ goal: Goal, _ values: UnsafeMutableBufferPointer<Element>, ranges: [Range<Int>]
  ) throws(CommunicationError) {
    guard let base = values.baseAddress else { return }
    let pieceLength = window.pieceByteCount / MemoryLayout<Element>.stride
    let pieceCount = ((ranges.map(\.count).max() ?? 0) + pieceLength - 1) / pieceLength
    guard pieceCount > 0 else { return }
    let hasPeers = topology.nodeCount > 1
    let phases: [Phase] =
      switch goal {
      case .allReduce: hasPeers ? [.contribute, .reduce, .exchange, .collect] : [.contribute, .reduce, .collect]
      case .reduceScatter: hasPeers ? [.contribute, .reduce, .exchange, .collect] : [.contribute, .reduce]
      case .allGather: hasPeers ? [.publish, .exchange, .collect] : [.publish, .collect]
      }
    for step in 0..<pieceCount + phases.count - 1 {
      if step > 0 { window.meet() }
      for (delay, phase) in phases.enumerated() where (0..<pieceCount).contains(step - delay) {
        let piece = Piece(
          index: step - delay, number: completedPieceCount + step - delay, length: pieceLength,
          shares: topology.ranksByNode.map { ranges[$0] }, values: base)
        switch phase {
        case .contribute: contribute(piece)
        case .publish: publish(piece)
        case .reduce: reduce(piece, goal)
        case .exchange: try exchange(piece, goal)
        case .collect: collect(piece, goal)
        }
      }
    }
    completedPieceCount += pieceCount
  }
}

/// One piece of the share of every rank. Shares are listed node by node, and so they lie in the window, without gaps.
private struct Piece<Element: Reducible> {
  /// Where the piece of each share lies among the values.
  let parts: [Range<Int>]
  /// Where it lies in an area of the window, in elements; one longer than `parts`.
  let offsets: [Int]
  /// Which half of the window it uses: the number's parity.
  let number: Int
  let values: UnsafeMutablePointer<Element>

  init(
    index: Int, number: Int, length: Int, shares: [Range<Int>], values: UnsafeMutablePointer<Element>
  ) {
    parts = shares.map { share in
      let start = min(share.upperBound, share.lowerBound + index * length)
      return start..<min(share.upperBound, start + length)
    }
    offsets = prefixSums(parts.map(\.count))
    self.number = number
    self.values = values
  }

  func elements(of area: UnsafeMutableRawPointer) -> UnsafeMutablePointer<Element> {
    area.assumingMemoryBound(to: Element.self)
  }

  /// Byte counts and offsets of what lies in an area for each node.
  func layout(_ nodeRanges: [Range<Int>]) -> (counts: [Int], offsets: [Int]) {
    let stride = MemoryLayout<Element>.stride
    return (
      nodeRanges.map { (offsets[$0.upperBound] - offsets[$0.lowerBound]) * stride },
      nodeRanges.map { offsets[$0.lowerBound] * stride }
    )
  }
}

extension NodeAwareTransfer {
  private var ownSlot: Int { topology.slots[topology.world.rank] }

  /// Within the node, slot `s` is summed by rank `s % localSize`; on a single node everyone sums its own share.
  private func isReducedHere(_ slot: Int) -> Bool { slot % topology.node.size == topology.node.rank }

  /// Where a node puts what it has to say as a whole; where it is alone, that is the result.
  private func nodeArea<Element>(of piece: Piece<Element>) -> UnsafeMutableRawPointer {
    topology.nodeCount > 1 ? window.partials(piece: piece.number) : window.results(piece: piece.number)
  }

  private func contribute<Element>(_ piece: Piece<Element>) {
    let area = piece.elements(of: window.contributions(of: topology.node.rank, piece: piece.number))
    for (slot, part) in piece.parts.enumerated() where !isReducedHere(slot) && !part.isEmpty {
      (area + piece.offsets[slot]).update(from: piece.values + part.lowerBound, count: part.count)
    }
  }

  private func publish<Element>(_ piece: Piece<Element>) {
    let part = piece.parts[ownSlot]
    guard !part.isEmpty else { return }
    let area = piece.elements(of: nodeArea(of: piece))
    (area + piece.offsets[ownSlot]).update(from: piece.values + part.lowerBound, count: part.count)
  }

  private func reduce<Element>(_ piece: Piece<Element>, _ goal: Goal) {
    let hasPeers = topology.nodeCount > 1
    let target = piece.elements(of: nodeArea(of: piece))
    // Blocks that stay in the first-level cache while all contributions are added.
    let blockLength = 8192 / MemoryLayout<Element>.stride
    for (slot, part) in piece.parts.enumerated() where isReducedHere(slot) {
      for start in stride(from: 0, to: part.count, by: blockLength) {
        let count = min(blockLength, part.count - start)
        let sources = (0..<topology.node.size).map { localRank -> UnsafePointer<Element> in
          guard localRank != topology.node.rank else { return UnsafePointer(piece.values + part.lowerBound + start) }
          let area = window.contributions(of: localRank, piece: piece.number)
          return UnsafePointer(piece.elements(of: area) + piece.offsets[slot] + start)
        }
        let sum = target + piece.offsets[slot] + start
        add(sources, into: sum, count: count, goal)
        if !hasPeers {
          finish(sum, count: count, goal)
          (piece.values + part.lowerBound + start).update(from: sum, count: count)
        }
      }
    }
  }

  /// Only leaders have anything to do; the other ranks of the node meet them at the end of the step.
  private func exchange<Element>(_ piece: Piece<Element>, _ goal: Goal) throws(CommunicationError) {
    guard let leaders = topology.leaders, let received else { return }
    let results = window.results(piece: piece.number)
    let (counts, offsets) = piece.layout(topology.nodeRanges)
    let own = topology.nodeIndex
    if case .reduceScatter(let reduction, .bfloat16) = goal, reduction == .sum || reduction == .mean,
      let piece = piece as? Piece<Float>
    {
      return try exchangeRounded(piece, goal, leaders, counts: counts, offsets: offsets)
    }
    if goal.reduction != nil {
      let receivedOffsets = counts.indices.map { $0 * counts[own] }
      try leaders.allToAll(
        window.partials(piece: piece.number), counts: counts, offsets: offsets, receiving: received,
        receivedCounts: counts.map { _ in counts[own] }, receivedOffsets: receivedOffsets)
      let sources = receivedOffsets.map { UnsafePointer(piece.elements(of: received + $0)) }
      let sum = piece.elements(of: results + offsets[own])
      let count = counts[own] / MemoryLayout<Element>.stride
      add(sources, into: sum, count: count, goal)
      finish(sum, count: count, goal)
      sentByteCount += counts.reduce(0, +) - counts[own]
    }
    if case .reduceScatter = goal { return }
    let part = goal.reduction == nil ? window.partials(piece: piece.number) : results
    try leaders.allGather(part + offsets[own], into: results, counts: counts, offsets: offsets)
    sentByteCount += counts[own] * (topology.nodeCount - 1)
  }

  /// As `exchange`, for a sum of floats that travel as bfloat16. The own node's part does not travel and stays exact.
  private func exchangeRounded(
    _ piece: Piece<Float>, _ goal: Goal, _ leaders: MPIHandle, counts: [Int], offsets: [Int]
  ) throws(CommunicationError) {
    guard let rounded, let received = received?.assumingMemoryBound(to: UInt16.self) else { return }
    let own = topology.nodeIndex
    let partials = piece.elements(of: window.partials(piece: piece.number))
    let elementCounts = counts.map { $0 / MemoryLayout<Float>.stride }
    let starts = offsets.map { $0 / MemoryLayout<Float>.stride }
    for node in counts.indices where node != own {
      WireFormat.round(partials + starts[node], into: rounded + starts[node], count: elementCounts[node])
    }
    let count = elementCounts[own]
    // Nothing goes from the own node to itself.
    let sentCounts = counts.indices.map { $0 == own ? 0 : counts[$0] / 2 }
    let receivedCounts = counts.indices.map { $0 == own ? 0 : counts[own] / 2 }
    try leaders.allToAll(
      rounded, counts: sentCounts, offsets: offsets.map { $0 / 2 }, receiving: received,
      receivedCounts: receivedCounts, receivedOffsets: counts.indices.map { $0 * counts[own] / 2 })
    let sum = piece.elements(of: window.results(piece: piece.number)) + starts[own]
    sum.update(repeating: 0, count: count)
    for node in counts.indices {
      if node == own {
        Float.combine(sum, partials + starts[own], into: sum, count: count, .sum)
      } else {
        WireFormat.add(received + node * count, to: sum, count: count)
      }
    }
    finish(sum, count: count, goal)
    sentByteCount += sentCounts.reduce(0, +)
  }

  private func collect<Element>(_ piece: Piece<Element>, _ goal: Goal) {
    let results = piece.elements(of: window.results(piece: piece.number))
    for (slot, part) in piece.parts.enumerated() where !part.isEmpty {
      let isWanted =
        switch goal {
        case .allReduce: topology.nodeCount > 1 || slot != ownSlot  // `reduce` has already written the own share
        case .reduceScatter: slot == ownSlot
        case .allGather: slot != ownSlot
        }
      guard isWanted else { continue }
      (piece.values + part.lowerBound).update(from: results + piece.offsets[slot], count: part.count)
    }
  }

  /// `sum = ((s₀ ⊕ s₁) ⊕ s₂) ⊕ …`
  private func add<Element: Reducible>(
    _ sources: [UnsafePointer<Element>], into sum: UnsafeMutablePointer<Element>, count: Int, _ goal: Goal
  ) {
    guard let reduction = goal.reduction, count > 0 else { return }
    guard sources.count > 1 else { return sum.update(from: sources[0], count: count) }
    Element.combine(sources[0], sources[1], into: sum, count: count, reduction)
    for source in sources.dropFirst(2) { Element.combine(sum, source, into: sum, count: count, reduction) }
  }

  private func finish<Element: Reducible>(_ sum: UnsafeMutablePointer<Element>, count: Int, _ goal: Goal) {
    if goal.reduction == .mean { Element.divide(sum, count: count, by: topology.world.size) }
  }
}

extension NodeAwareTransfer.Goal {
  fileprivate var reduction: Reduction? {
    switch self {
    case .allReduce(let reduction), .reduceScatter(let reduction, _): reduction
    case .allGather: nil
    }
  }
}

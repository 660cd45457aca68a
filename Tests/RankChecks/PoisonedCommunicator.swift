import Collectives

/// Passes everything on, but on this rank makes one reduced value of one call not a number: the probabilities of the
/// codes, from which the loss of this rank follows.
final class PoisonedCommunicator: Communicator {
  var rank: Int { base.rank }
  var worldSize: Int { base.worldSize }
  var localRank: Int { base.localRank }
  var localSize: Int { base.localSize }
  var hostName: String { base.hostName }
  var ending: @Sendable (_ status: Int32) -> Never { base.ending }

  private let base: any Communicator
  private let valueCount: Int
  private let poisonedCall: Int
  private var callCount = 0

  /// Poisons the `call`-th (from 1; 0 for none) all-reduce of `valueCount` floats.
  init(_ base: any Communicator, valueCount: Int, call: Int) {
    self.base = base
    self.valueCount = valueCount
    poisonedCall = call
  }

  func allReduce<Element: Reducible>(
    _ values: UnsafeMutableBufferPointer<Element>, _ reduction: Reduction
  ) throws(CommunicationError) {
    try base.allReduce(values, reduction)
    guard values.count == valueCount, let floats = values as? UnsafeMutableBufferPointer<Float> else { return }
    callCount += 1
    if callCount == poisonedCall { floats[0] = .nan }
  }

  func reduceScatter<Element: Reducible>(
    _ values: UnsafeMutableBufferPointer<Element>, ranges: [Range<Int>], _ reduction: Reduction, format: WireFormat
  ) throws(CommunicationError) { try base.reduceScatter(values, ranges: ranges, reduction, format: format) }

  func allGather<Element: Reducible>(
    _ values: UnsafeMutableBufferPointer<Element>, ranges: [Range<Int>]
  ) throws(CommunicationError) { try base.allGather(values, ranges: ranges) }

  func allGather(bytes: [UInt8]) throws(CommunicationError) -> [[UInt8]] { try base.allGather(bytes: bytes) }

  func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) throws(CommunicationError) {
    try base.broadcast(bytes, from: root)
  }

  func barrier() throws(CommunicationError) { try base.barrier() }

  func duplicate() throws(CommunicationError) -> sending any Communicator { try base.duplicate() }
}

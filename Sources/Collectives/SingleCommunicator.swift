import Foundation

/// A job of one rank: every operation leaves the values as they are.
public final class SingleCommunicator: Communicator {
  /// Always 0.
  public var rank: Int { 0 }
  /// Always 1.
  public var worldSize: Int { 1 }
  /// Always 0.
  public var localRank: Int { 0 }
  /// Always 1.
  public var localSize: Int { 1 }
  /// The name of this host.
  public let hostName = ProcessInfo.processInfo.hostName

  /// Makes a job of one rank.
  public init() {}

  /// Leaves `values` as they are.
  public func allReduce<Element: Reducible>(
    _ values: UnsafeMutableBufferPointer<Element>, _ reduction: Reduction
  ) {
    guard let base = values.baseAddress, reduction == .mean else { return }
    Element.divide(base, count: values.count, by: 1)
  }

  /// Leaves `values` as they are.
  public func reduceScatter<Element: Reducible>(
    _ values: UnsafeMutableBufferPointer<Element>, ranges: [Range<Int>], _ reduction: Reduction, format: WireFormat
  ) {
    requireValid(ranges: ranges, elementCount: values.count, worldSize: 1, operation: "reduceScatter")
    allReduce(values, reduction)
  }

  /// Leaves `values` as they are.
  public func allGather<Element: Reducible>(
    _ values: UnsafeMutableBufferPointer<Element>, ranges: [Range<Int>]
  ) {
    requireValid(ranges: ranges, elementCount: values.count, worldSize: 1, operation: "allGather")
  }

  /// Returns the given bytes.
  public func allGather(bytes: [UInt8]) -> [[UInt8]] { [bytes] }

  /// Leaves `bytes` as they are.
  public func broadcast(_ bytes: UnsafeMutableRawBufferPointer, from root: Int) {
    require(root == 0, "broadcast: root \(root) in a world of 1")
  }

  /// Returns at once.
  public func barrier() {}

  /// Makes another job of one rank.
  public func duplicate() -> sending any Communicator { SingleCommunicator() }

  /// Ends the process.
  public var ending: @Sendable (_ status: Int32) -> Never { { exit($0) } }
}

import Synchronization

/// Counts the floating-point operations that layers ask for, whatever algorithm serves them.
///
/// A multiplication and an addition count as two. Convolutions count as direct sums even where Winograd's filtering needs
/// fewer; attention counts its two products forward and four backward over all pairs of query and key, masked or not,
/// and not what it computes again to save memory. Element-wise work does not count.
public final class OperationCount: Sendable {
  /// The count in force; set it around a step with `$current.withValue`. Without one, nothing is counted.
  @TaskLocal public static var current: OperationCount?

  private let operations = Atomic<Int>(0)

  /// A count of nothing yet.
  public init() {}

  /// Counts the operations of `body`.
  public static func of(_ body: () throws -> Void) rethrows -> Int {
    let count = OperationCount()
    try $current.withValue(count, operation: body)
    return count.total
  }

  /// Operations so far.
  public var total: Int { operations.load(ordering: .relaxed) }

  /// Adds operations to the count in force, if there is one.
  @inline(never)
  public static func add(_ operations: Int) {
    _ = current?.operations.add(operations, ordering: .relaxed)
  }
}

extension AttentionShape {
  /// Floating-point operations of the products of the forward pass, over all pairs of query and key; the backward pass
  /// has twice as many.
  public var operationCount: Int { 4 * samples * heads * queries * keys * headSize }
}

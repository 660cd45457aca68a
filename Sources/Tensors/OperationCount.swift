/// How many floating-point operations the matrix products of a computation take: linear maps, convolutions, attention.
///
/// A product counts 2 operations per multiplication, 6 where gradients follow: those of both factors take as much each.
/// (A frozen factor's gradient is counted although nobody computes it.) Convolutions count as direct sums, whatever
/// algorithm computes them, and attention counts all keys, masked or not. Everything else is bound by memory.
public final class OperationCount: @unchecked Sendable {
  @TaskLocal static var current: OperationCount?

  /// Floating-point operations so far.
  public private(set) var total = 0

  private init() {}

  /// Counts the operations of `body` and of the `backward` that belongs to it, on the calling thread.
  public static func of(_ body: () throws -> Void) rethrows -> Int {
    let count = OperationCount()
    try $current.withValue(count, operation: body)
    return count.total
  }

  func add(products: Int, hasGradient: Bool) { total += products * (hasGradient ? 6 : 2) }
}

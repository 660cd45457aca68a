/// Stops the program when a caller broke a stated precondition.
///
/// `precondition` drops its message in optimised builds; on a cluster the message is what one has.
@inline(__always)
func require(_ condition: Bool, _ message: @autoclosure () -> String) {
  if !condition { fatalError(message()) }
}

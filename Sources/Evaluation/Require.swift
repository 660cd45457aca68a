/// Stops the program when `condition`, which only a caller's bug can break, does not hold.
///
/// Unlike `precondition` the message is kept in release builds.
@inline(__always)
func require(_ condition: Bool, _ message: @autoclosure () -> String) {
  if !condition { fatalError(message()) }
}

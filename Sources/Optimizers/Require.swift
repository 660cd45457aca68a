/// Stops the program with `message` if the caller broke a contract.
///
/// Unlike `precondition`, the message is printed in release builds too: on a cluster it is all there is.
@inline(__always)
func require(_ condition: Bool, _ message: @autoclosure () -> String) {
  if !condition { fatalError(message()) }
}

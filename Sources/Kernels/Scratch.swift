/// Lends `count` floats of pooled memory to `body`.
func withScratch<Result>(_ count: Int, _ body: (UnsafeMutablePointer<Float>) -> Result) -> Result {
  let storage = Storage(count: count)
  return withExtendedLifetime(storage) { body(storage.pointer) }
}

/// Pooled memory seen as float64, for sums.
final class Float64Storage {
  let pointer: UnsafeMutablePointer<Double>
  private let storage: Storage

  init(count: Int) {
    storage = Storage(count: 2 * count)
    pointer = UnsafeMutableRawPointer(storage.pointer).assumingMemoryBound(to: Double.self)
  }
}

import CKernels

/// The threads that one rank computes with.
///
/// Work is split by shape, never by thread count, wherever sums are involved, so results do not depend on it.
public enum Threads {
  /// CPUs in this process's affinity mask, at least 1: what mpirun, Slurm or taskset left to this rank.
  public static var affinityCount: Int { Int(kernels_affinity_count()) }

  /// The CPUs of the affinity mask, ascending.
  public static var affinityCPUs: [Int] {
    var cpus = [Int32](repeating: 0, count: 1024)
    let found = Int(kernels_affinity_cpus(&cpus, Int32(cpus.count)))
    return cpus.prefix(found).map(Int.init)
  }

  /// Threads that parallel loops use, the caller's included. Starts as the affinity count.
  public static var count: Int { Int(kernels_pool_thread_count()) }

  /// Sets `count`. More threads than cores that are free for this rank cost 600 µs per loop, so a program whose ranks
  /// share cores must call this with its share before it computes.
  public static func configure(count: Int) { kernels_pool_configure(Int32(count)) }
}

/// Calls `body` for every index in `0..<count`, on this rank's threads; returns when all are done.
///
/// A nested call, or one from a second thread while the pool is busy, runs on the calling thread alone.
/// - Complexity: About 1.3 µs for fork and join.
public func parallelFor(_ count: Int, _ body: (Int) -> Void) {
  if count == 1 { return body(0) }
  withoutActuallyEscaping(body) { escapable in
    var box = escapable
    withUnsafeMutablePointer(to: &box) { context in
      kernels_pool_run(
        Int64(count),
        { context, index in context?.assumingMemoryBound(to: ((Int) -> Void).self).pointee(Int(index)) },
        context)
    }
  }
}

/// Calls `body` with consecutive ranges that cover `0..<count`, each of `chunk` indices (the last may be shorter).
public func parallelChunks(_ count: Int, of chunk: Int, _ body: (Range<Int>) -> Void) {
  guard count > 0 else { return }
  parallelFor((count + chunk - 1) / chunk) { index in
    body(index * chunk..<min(count, (index + 1) * chunk))
  }
}

/// Consecutive ranges that cover `0..<count`, for loops whose results do not depend on how they are split: long ones first,
/// which read memory in order, then ever shorter ones, so that all threads end together even if some are disturbed.
func guidedRanges(_ count: Int, threads: Int) -> [Range<Int>] {
  var ranges: [Range<Int>] = []
  var start = 0
  while start < count {
    let end = start + max(1, (count - start) / (2 * threads))
    ranges.append(start..<end)
    start = end
  }
  return ranges
}

/// Sums `body` over consecutive ranges that cover `0..<count`, in range order: the same result for any thread count.
public func parallelSum(_ count: Int, of chunk: Int = 1 << 16, _ body: (Range<Int>) -> Double) -> Double {
  let chunks = (count + chunk - 1) / chunk
  return withUnsafeTemporaryAllocation(of: Double.self, capacity: max(chunks, 1)) { partial in
    parallelFor(chunks) { index in
      partial.initializeElement(at: index, to: body(index * chunk..<min(count, (index + 1) * chunk)))
    }
    return (0..<chunks).reduce(0) { $0 + partial[$1] }
  }
}

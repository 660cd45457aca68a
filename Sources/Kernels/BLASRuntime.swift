import CKernels

/// The state of the BLAS library and the CPU level that this process computes with.
public enum BLASRuntime {
  /// What was found and done when the process first computed something.
  public struct Setup: Sendable {
    /// The core type that OpenBLAS chose by itself.
    public let coreBefore: String
    /// The core type in use now.
    public let coreAfter: String
    /// The core type this CPU deserves, where one is known.
    public let suitableCore: String?
    /// The level that our own vector loops run at: `x86-64-v4`, `x86-64-v3` or `baseline`.
    public let vectorLevel: String
  }

  /// Repairs OpenBLAS's choice of kernels and makes it single-threaded, once per process; every `gemm` does it on
  /// first use. OpenBLAS versions older than the CPU fall back to SSE3 kernels, five times slower.
  public static let setup: Setup = {
    let before = String(cString: kernels_blas_current_core())
    _ = kernels_blas_repair_core()
    kernels_blas_use_one_thread()
    return Setup(
      coreBefore: before,
      coreAfter: String(cString: kernels_blas_current_core()),
      suitableCore: kernels_blas_suitable_core().map { String(cString: $0) },
      vectorLevel: String(cString: kernels_vector_level()))
  }()
}

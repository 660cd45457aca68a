public import Collectives
import DataLoading
import Foundation
import Kernels

/// What one rank finds out about the machine it runs on.
public struct RankFacts: Codable, Sendable, Equatable {
  /// Number of the rank.
  public var rank: Int
  /// Name of its host.
  public var host: String
  /// The CPU's own name.
  public var cpuModel: String
  /// The level that the vector loops run at: `x86-64-v4`, `x86-64-v3` or `baseline`.
  public var vectorLevel: String
  /// The core type that OpenBLAS chose by itself.
  public var coreBefore: String
  /// The core type in use.
  public var coreAfter: String
  /// The core type this CPU deserves, if that is known.
  public var suitableCore: String?
  /// Whether `OPENBLAS_CORETYPE` is set, which keeps the program from correcting the choice.
  public var isCoreForced: Bool
  /// Billions of floating-point operations per second of a 1024³ matrix product on one thread.
  public var singleThreadGFLOPS: Double
  /// The same on all threads of the rank.
  public var gflops: Double
  /// Threads the rank computes with.
  public var threadCount: Int
  /// CPUs it may run on.
  public var cpus: [Int]
  /// CPUs the host has.
  public var onlineCPUCount: Int
  /// Memory that could still be used, in bytes; nil if the system does not tell.
  public var availableMemory: Int?
  /// Free space for memory shared between ranks (`/dev/shm`), in bytes; nil if there is none.
  public var sharedMemory: Int?
  /// File names of the loaded libraries that matter, with their versions.
  public var libraries: [String]
  /// What is wrong with the image codecs; nil if PNG and JPEG survive a round trip.
  public var codecTrouble: String?

  /// The facts of every rank, by rank, with the threads it would train with. Collective.
  public static func gather(on communicator: any Communicator) throws -> [RankFacts] {
    try RankThreads.configure(nil, communicator: communicator)
    let own = try communicator.collectively("examining the host") {
      try JSONEncoder().encode(gather(rank: communicator.rank, host: communicator.hostName))
    }
    return try communicator.allGather(bytes: Array(own))
      .map { try JSONDecoder().decode(RankFacts.self, from: Data($0)) }
  }

  /// Looks at this machine and times a matrix product (about a tenth of a second).
  static func gather(rank: Int, host: String) -> RankFacts {
    let setup = BLASRuntime.setup
    return RankFacts(
      rank: rank, host: host,
      cpuModel: field("model name", in: "/proc/cpuinfo") ?? "unknown", vectorLevel: setup.vectorLevel,
      coreBefore: setup.coreBefore, coreAfter: setup.coreAfter, suitableCore: setup.suitableCore,
      isCoreForced: ProcessInfo.processInfo.environment["OPENBLAS_CORETYPE"] != nil,
      singleThreadGFLOPS: matrixProductGFLOPS(gemmOnThisThread), gflops: matrixProductGFLOPS(gemm),
      threadCount: Threads.count, cpus: Threads.affinityCPUs,
      onlineCPUCount: ProcessInfo.processInfo.processorCount,
      availableMemory: field("MemAvailable", in: "/proc/meminfo")
        .flatMap { $0.split(separator: " ").first }.flatMap { Int($0) }.map { $0 * 1024 },
      sharedMemory: freeSpace(of: "/dev/shm"), libraries: loadedLibraries(), codecTrouble: codecTrouble())
  }

  /// Sends a small picture through both codecs.
  private static func codecTrouble() -> String? {
    let image = PixelImage(width: 16, height: 16, pixels: (0..<768).map { UInt8($0 / 3 % 16 * 16) })
    do throws(DataError) {
      if try PixelImage(decoding: image.encodedAsPNG(), name: "PNG self-test") != image {
        return "PNG changes pixels"
      }
      let decoded = try PixelImage(decoding: image.encodedAsJPEG(quality: 95), name: "JPEG self-test")
      let worst = zip(decoded.pixels, image.pixels).map { abs(Int($0) - Int($1)) }.max() ?? 0
      return worst > 16 ? "JPEG is off by \(worst) of 255 levels" : nil
    } catch {
      return error.description
    }
  }

  /// The best of several products of 1024 × 1024 matrices.
  static func matrixProductGFLOPS(
    _ multiply: (MatrixView, MatrixView, MatrixView, Float, Bool) -> Void
  ) -> Double {
    let side = 1024
    let operands = (0..<3).map { _ in Storage(count: side * side) }
    for operand in operands { operand.pointer.update(repeating: 1, count: side * side) }
    let views = operands.map { MatrixView($0.pointer, rows: side, columns: side) }
    let clock = ContinuousClock()
    // Swift may release an array after its last use by name; the views would then point to memory that others take.
    let best = withExtendedLifetime(operands) {
      (0..<6).map { _ in clock.measure { multiply(views[0], views[1], views[2], 1, false) } }.min() ?? .zero
    }
    return 2 * Double(side * side * side) / (best / .seconds(1)) / 1e9
  }

  /// The value of the first `name: value` line of a file of the kernel; nil if it has none.
  static func field(_ name: String, in path: String) -> String? {
    text(of: path).split(separator: "\n").first { $0.hasPrefix(name) }
      .flatMap { $0.split(separator: ":", maxSplits: 1).dropFirst().first }
      .map { $0.trimmingCharacters(in: .whitespaces) }
  }

  /// The versioned file names of OpenBLAS, Open MPI and the image codecs, as this process has them mapped.
  private static func loadedLibraries() -> [String] {
    let wanted = ["libopenblas", "libmpi.", "libjpeg", "libpng"]
    let names = text(of: "/proc/self/maps").split(separator: "\n")
      .compactMap { $0.split(separator: "/").last.map(String.init) }
    return Set(names.filter { name in wanted.contains { name.hasPrefix($0) } }).sorted()
  }

  private static func freeSpace(of path: String) -> Int? {
    var statistics = statvfs()
    guard statvfs(path, &statistics) == 0 else { return nil }
    return Int(statistics.f_bavail) * Int(statistics.f_frsize)
  }

  /// The text of a file of the kernel, empty if there is none: what it would tell is then unknown, no error.
  /// (Foundation's readers stop after the first page of such files.)
  private static func text(of path: String) -> String {
    let file = open(path, O_RDONLY | O_CLOEXEC)
    guard file >= 0 else { return "" }
    defer { close(file) }
    do {
      return String(decoding: try readFully(file, path: path), as: UTF8.self)
    } catch {
      return ""
    }
  }
}

/// What the ranks find out together.
public struct JobFacts: Sendable, Equatable {
  /// The speed of an all-reduce of one size.
  public struct TransferSpeed: Sendable, Equatable {
    /// Size of the array in bytes.
    public var byteCount: Int
    /// Seconds of one all-reduce.
    public var seconds: Double
    /// Seconds of the library's own, if it was measured.
    public var librarySeconds: Double?

    /// Creates a measurement.
    public init(byteCount: Int, seconds: Double, librarySeconds: Double? = nil) {
      self.byteCount = byteCount
      self.seconds = seconds
      self.librarySeconds = librarySeconds
    }
  }

  /// Name and version of the MPI library.
  public var libraryVersion: String
  /// Whether an all-reduce gave every rank the right sums.
  public var allReduceIsCorrect: Bool
  /// Measured speeds, by size.
  public var transferSpeeds: [TransferSpeed]

  /// Creates the facts.
  public init(libraryVersion: String, allReduceIsCorrect: Bool, transferSpeeds: [TransferSpeed]) {
    self.libraryVersion = libraryVersion
    self.allReduceIsCorrect = allReduceIsCorrect
    self.transferSpeeds = transferSpeeds
  }
}

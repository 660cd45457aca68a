import Foundation
import Testing

/// A program under `mpirun`, started by a test: its output, its exit status, and a way to kill one of its ranks.
final class MPIRun {
  /// How a job ended.
  struct Outcome {
    /// The exit status of `mpirun`; negative if a signal ended it.
    let status: Int32
    let standardOutput: String
    let standardError: String
    /// From start to end, or from the last kill to the end.
    let duration: Duration

    /// How often a text appears in both outputs together.
    func occurrences(of text: String) -> Int {
      (standardOutput + "\n" + standardError).components(separatedBy: text).count - 1
    }
  }

  struct TimedOut: Error, CustomStringConvertible {
    let description: String
  }

  private let process = Process()
  private let folder: URL
  private var start = ContinuousClock.now

  /// Starts `mpirun -n RANKS EXECUTABLE ARGUMENTS`.
  ///
  /// - Parameters:
  ///   - executable: The name of a product of this package.
  ///   - environment: Set in addition to the environment of the test.
  ///   - launcherArguments: Further arguments of `mpirun`.
  convenience init(
    _ executable: String, _ arguments: [String], rankCount: Int, environment: [String: String] = [:],
    launcherArguments: [String] = []
  ) throws {
    try self.init(
      command: ["mpirun", "-n", "\(rankCount)", "--oversubscribe", "--bind-to", "none"]
        + ["--mca", "mpi_yield_when_idle", "1"] + launcherArguments + [Self.product(executable)] + arguments,
      environment: environment)
  }

  /// Starts a command that starts `mpirun`, or has to do with what it starts.
  init(command: [String], environment: [String: String] = [:]) throws {
    // Files, not pipes: a pipe nobody reads would stop the job when it is full.
    folder = FileManager.default.temporaryDirectory.appending(component: "mpirun-\(UUID().uuidString)")
    try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    process.executableURL = URL(filePath: "/usr/bin/env")
    process.arguments = command
    process.environment = ProcessInfo.processInfo.environment.merging([
      "OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
    ]) { $1 }.merging(environment) { $1 }
    process.standardInput = FileHandle.nullDevice
    process.standardOutput = try Self.openFile(outputFile)
    process.standardError = try Self.openFile(errorFile)
    try process.run()
  }

  /// The path of a product of this package.
  static func product(_ executable: String) -> String { productFolder.appending(component: executable).path }

  deinit {
    if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    do { try FileManager.default.removeItem(at: folder) } catch { print("\(folder.path) is left behind: \(error)") }
  }

  /// Starts a job and waits for its end.
  static func run(
    _ executable: String, _ arguments: [String], rankCount: Int, environment: [String: String] = [:],
    launcherArguments: [String] = [], timeout: Duration = .seconds(50)
  ) throws -> Outcome {
    try MPIRun(
      executable, arguments, rankCount: rankCount, environment: environment, launcherArguments: launcherArguments
    ).wait(timeout: timeout)
  }

  /// Waits for the end of the job.
  /// - Throws: `TimedOut`, with the output so far, after ending the job.
  func wait(timeout: Duration = .seconds(50)) throws -> Outcome {
    let deadline = ContinuousClock.now + timeout
    while process.isRunning && ContinuousClock.now < deadline { usleep(10_000) }
    let duration = start.duration(to: .now)
    if process.isRunning {
      // mpirun ends its ranks when it is asked to; a kill would leave them.
      kill(process.processIdentifier, SIGTERM)
      process.waitUntilExit()
      throw TimedOut(
        description: "no end after \(duration)\n\(try standardOutput())\n\(try text(of: errorFile))")
    }
    process.waitUntilExit()
    let status = process.terminationStatus
    return Outcome(
      status: process.terminationReason == .exit ? status : -status, standardOutput: try standardOutput(),
      standardError: try text(of: errorFile), duration: duration)
  }

  /// What the job has printed so far.
  func standardOutput() throws -> String { try text(of: outputFile) }

  /// Waits until a line of the standard output begins with `prefix` and returns the rest of it.
  func line(after prefix: String, timeout: Duration = .seconds(30)) throws -> String {
    let deadline = ContinuousClock.now + timeout
    while ContinuousClock.now < deadline {
      // Only complete lines: the last part is empty or still being written.
      for line in try standardOutput().components(separatedBy: "\n").dropLast() where line.hasPrefix(prefix) {
        return String(line.dropFirst(prefix.count))
      }
      guard process.isRunning else { break }
      usleep(10_000)
    }
    throw TimedOut(description: "no line '\(prefix)…' in:\n\(try standardOutput())\n\(try text(of: errorFile))")
  }

  /// Whether it has not ended.
  var isRunning: Bool { process.isRunning }

  /// What the job has said on standard error so far.
  func standardErrorText() throws -> String { try text(of: errorFile) }

  /// Sends a signal to one process of the job and starts the clock anew.
  func signal(_ processIdentifier: Int32, _ signal: Int32 = SIGKILL) {
    start = .now
    kill(processIdentifier, signal)
  }

  /// Sends a signal to `mpirun` itself, or to whatever the command is.
  func signalLauncher(_ signal: Int32) { self.signal(process.processIdentifier, signal) }

  private var outputFile: URL { folder.appending(component: "stdout") }
  private var errorFile: URL { folder.appending(component: "stderr") }

  private func text(of file: URL) throws -> String { String(decoding: try Data(contentsOf: file), as: UTF8.self) }

  private static func openFile(_ file: URL) throws -> FileHandle {
    try Data().write(to: file)
    return try FileHandle(forWritingTo: file)
  }

  /// Where the build put the executables: beside the test bundle that contains this code.
  private static let productFolder: URL = {
    // The test process is `swiftpm-testing-helper --test-bundle-path …` or the bundle itself.
    let arguments = CommandLine.arguments
    let flag = arguments.firstIndex(of: "--test-bundle-path")
    let bundle = flag.flatMap { arguments.indices.contains($0 + 1) ? arguments[$0 + 1] : nil } ?? arguments[0]
    return URL(filePath: bundle).deletingLastPathComponent()
  }()
}

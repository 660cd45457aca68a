import Foundation
import Testing

extension RankTests {
  /// What `Launch/bench` starts, at sizes that take seconds.
  @Suite struct BenchmarkCommand {
    private static let compare = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../Benchmarks/Peers/compare.py").standardized.path

    /// Runs both sides by turns, without PyTorch; nil where there is no Python.
    private func compare(_ arguments: [String]) throws -> MPIRun.Outcome? {
      guard try MPIRun(command: ["sh", "-c", "command -v python3"]).wait().status == 0 else {
        print("skipped: there is no python3")
        return nil
      }
      let programs = URL(filePath: MPIRun.product("benchmarks")).deletingLastPathComponent().path
      let folder = FileManager.default.temporaryDirectory.path
      return try MPIRun(
        command: ["python3", Self.compare, "--programs", programs, "--directory", folder, "--threads", "1"] + arguments
      ).wait(timeout: .seconds(120))
    }

    private func results(_ outcome: MPIRun.Outcome) throws -> [[String: Any]] {
      let json = try JSONSerialization.jsonObject(with: Data(outcome.standardOutput.utf8))
      return try #require((json as? [String: Any])?["results"] as? [[String: Any]], "\(outcome)")
    }

    @Test func anUnknownNameIsRefusedWithTheListOfNames() throws {
      guard let outcome = try compare(["lfq", "warp-drive"]) else { return }
      #expect(outcome.status == 64 && outcome.standardOutput.isEmpty)
      #expect(outcome.occurrences(of: "no benchmark called warp-drive; there are tokenizer-step, ") == 1, "\(outcome)")
    }

    @Test func withoutPyTorchOurSideIsMeasuredAndThePeersColumnsStayEmpty() throws {
      let sizes = ["--", "--layers", "1", "--width", "64", "--heads", "2", "--grid", "4", "--batch", "1"]
      guard let outcome = try compare(["generator-step", "--rounds", "2", "--json"] + sizes) else { return }
      #expect(outcome.status == 0, "\(outcome)")
      let result = try #require(results(outcome).first)
      #expect(result["name"] as? String == "generator-step")
      #expect(result["ours_s"] as? Double ?? 0 > 0 && result["ours_peak_bytes"] as? Int ?? 0 > 1 << 20)
      for key in ["ratio", "peer_s", "peer_peak_bytes"] { #expect(result[key] is NSNull, "\(key) in \(outcome)") }
    }

    @Test func anAllReduceIsMeasuredBesideOneCallOfMPI() throws {
      guard let outcome = try compare(["all-reduce", "--rounds", "1", "--json"]) else { return }
      #expect(outcome.status == 0, "\(outcome)")
      let result = try #require(results(outcome).first)
      for side in ["ours", "peer"] {
        #expect(result["\(side)_s"] as? Double ?? 0 > 0, "\(outcome)")
        // At least the array itself.
        #expect(result["\(side)_peak_bytes"] as? Int ?? 0 > 100_000_000, "\(outcome)")
      }
      #expect(result["ratio"] as? Double ?? 0 > 0)
    }

    @Test func anOptionThatNothingReadsIsRefused() throws {
      let outcome = try MPIRun(
        command: [MPIRun.product("benchmarks"), "lfq", "--tokens", "8", "--colour", "red"]
      ).wait()
      #expect(outcome.status == 64 && outcome.occurrences(of: "there is no option --colour here") == 1, "\(outcome)")
    }

    @Test func growthIsMeasuredAndDrawn() throws {
      let path = FileManager.default.temporaryDirectory.appending(component: "growth-\(UUID().uuidString).png").path
      defer { unlink(path) }
      let sizes = ["--resolutions", "64,128", "--batches", "1,2", "--grids", "4,8", "--layers", "1", "--width", "64"]
      let outcome = try MPIRun(
        command: [MPIRun.product("benchmarks"), "growth", "--threads", "1", "--repeat", "1", "--heads", "2", "--json"]
          + ["--output", path] + sizes
      ).wait(timeout: .seconds(120))
      #expect(outcome.status == 0, "\(outcome)")
      let entries = try results(outcome)
      #expect(
        entries.map { "\($0["name"] ?? "") \($0["value"] ?? 0)" } == [
          "resolution 64", "resolution 128", "batch 1", "batch 2", "tokens 16", "tokens 64",
        ])
      // Twice the batch, twice the operations: what is not computed per image does not count as an operation.
      let operations = entries.compactMap { $0["operations"] as? Int }
      #expect(operations[3] == 2 * operations[2])
      #expect(try Data(contentsOf: URL(filePath: path)).starts(with: [0x89, 0x50, 0x4E, 0x47]))
    }
  }
}

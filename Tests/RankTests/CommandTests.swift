import Foundation
import Testing

/// The program as a user starts it. What it says, it says once, however many ranks there are.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct CommandTests {
  @Test func theDoctorReportsOnceForAllRanks() throws {
    let outcome = try MPIRun.run("mergevq", ["doctor"], rankCount: 2)
    #expect(outcome.occurrences(of: "OpenBLAS core type") == 1, "\(outcome)")
    #expect(outcome.occurrences(of: "2 on 1 host, Open MPI") == 1)
    #expect(outcome.occurrences(of: "gives the right sums") == 1)
    #expect(outcome.status == 0, "\(outcome)")
  }

  @Test func usageErrorsAppearOnceWithTheirStatus() throws {
    let outcome = try MPIRun.run("mergevq", ["docter"], rankCount: 3)
    #expect(outcome.occurrences(of: "Unexpected argument 'docter'") == 1, "\(outcome)")
    #expect(outcome.status == 64)
  }

  @Test func helpAppearsOnce() throws {
    let outcome = try MPIRun.run("mergevq", ["doctor", "--help"], rankCount: 2)
    #expect(outcome.occurrences(of: "USAGE: mergevq doctor") == 1, "\(outcome)")
    #expect(outcome.status == 0)
  }

  @Test func anUnknownKeyIsRefusedOnceWithTheNearestOne() throws {
    let outcome = try train(["--dry-run", "--set", "optimiser.learningRate=1"], rankCount: 3)
    #expect(outcome.occurrences(of: "did you mean 'optimizer'?") == 1, "\(outcome)")
    #expect(outcome.status == 64)
  }

  @Test func aBatchThatTheRanksDoNotDivideIsRefusedOnce() throws {
    let outcome = try train(["--set", "batch.global=7"], rankCount: 2)
    #expect(outcome.occurrences(of: "mergevq: 'batch.global' is 7") == 1, "\(outcome)")
    #expect(outcome.status == 64)
  }

  @Test func missingDataIsToldOnce() throws {
    let outcome = try train(["--set", "data.train=/no/such/folder"], rankCount: 2)
    #expect(outcome.occurrences(of: "opening the data: /no/such/folder: no such file or folder") == 1, "\(outcome)")
    #expect(outcome.status == 65)
  }

  @Test func theDryRunShowsRecipeParametersAndMemoryOnce() throws {
    let outcome = try train(["--dry-run"], rankCount: 2)
    for text in ["name: tokenizer-tiny32\n", "\nparameters\n", "\nmemory of a rank, one of 2, "] {
      #expect(outcome.occurrences(of: text) == 1, "\(outcome)")
    }
    #expect(outcome.status == 0)
  }

  @Test func theDryRunPlansForRanksThatAreNotThere() throws {
    let outcome = try train(["--dry-run", "--ranks", "16"], rankCount: 1)
    #expect(outcome.status == 0, "\(outcome)")
    for text in ["one of 16, at 2 images", "sent by a rank in a step", "shards of a rank"] {
      #expect(outcome.occurrences(of: text) == 1, "\(outcome)")
    }
    #expect(try train(["--ranks", "16"], rankCount: 1).status == 64)
  }

  @Test func aTokenizerIsTrainedStoppedResumedAndShown() throws {
    let folder = FileManager.default.temporaryDirectory.appending(component: "command-\(UUID().uuidString)")
    defer { do { try FileManager.default.removeItem(at: folder) } catch { print("\(folder.path) is left behind") } }
    let settings = [
      "run.directory=\(folder.path)", "run.steps=4", "run.logEvery=1", "batch.global=4",
      "data.train=drawn:16,resolution=32,seed=1", "data.validation=drawn:4,resolution=32,seed=2",
    ].flatMap { ["--set", $0] }
    let first = try train(settings + ["--stop-after", "2"], rankCount: 2)
    #expect(first.status == 0, "\(first)")
    let second = try train(settings, rankCount: 1)
    #expect(second.status == 0, "\(second)")
    #expect(second.occurrences(of: "after step 2\n") == 1, "\(second)")
    #expect(second.occurrences(of: "step 4/4 | ") == 1, "\(second)")

    let picture = folder.appending(component: "grid.png").path
    let shown = try MPIRun.run(
      "mergevq",
      ["tokenizer", "reconstruct", "--checkpoint", folder.path, "--images", "drawn:3,resolution=32,seed=3"]
        + ["--output", picture], rankCount: 1)
    #expect(shown.status == 0, "\(shown)")
    #expect(FileManager.default.fileExists(atPath: picture))
  }

  @Test func theDryRunForetellsTheMemoryOfTheRun() throws {
    let folder = FileManager.default.temporaryDirectory.appending(component: "memory-\(UUID().uuidString)")
    defer { try? FileManager.default.removeItem(at: folder) }
    // Enough activations that they decide, and few threads, whose stacks and buffers nobody plans.
    let settings = [
      "batch.global=16", "data.train=drawn:64,resolution=32,seed=1", "data.validation=null", "run.threads=1",
      "run.logEvery=1", "run.directory=\(folder.path)",
    ].flatMap { ["--set", $0] }
    let plan = try train(["--dry-run"] + settings, rankCount: 1)
    let memory = plan.standardOutput.components(separatedBy: "memory of a rank").last ?? ""
    let total = memory.split(separator: "\n").first { $0.hasPrefix("  total") }
    let planned = try #require(total?.split(separator: " ").dropFirst().first.flatMap { Double($0) }, "\(plan)")
    let run = try train(["--stop-after", "2"] + settings, rankCount: 1)
    #expect(run.status == 0, "\(run)")
    let metrics = try String(contentsOf: folder.appending(component: "metrics.jsonl"), encoding: .utf8)
    let peaks = metrics.split(separator: "\n").compactMap { line in
      let record = try? JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any]
      return record?["peakMemoryOfFullestRank"] as? Double
    }
    let peak = try #require(peaks.last) / 1_073_741_824
    #expect(abs(planned / peak - 1) < 0.1, "planned \(planned) GiB, needed \(peak) GiB")
  }

  private func train(_ arguments: [String], rankCount: Int) throws -> MPIRun.Outcome {
    let recipe = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../../Launch/recipes/tokenizer-tiny32.yaml").standardized.path
    return try MPIRun.run("mergevq", ["tokenizer", "train", recipe] + arguments, rankCount: rankCount)
  }
}

import Foundation
import Testing

/// Hosts that can be cut off: the virtual cluster of `Cluster/`, where the machine allows it.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct ClusterTests {
  private static let scripts = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../Cluster").standardized.path

  /// Runs a script of `Cluster/`.
  @discardableResult
  private func script(_ arguments: String...) throws -> MPIRun.Outcome {
    try MPIRun(command: ["\(Self.scripts)/\(arguments[0])"] + arguments.dropFirst()).wait()
  }

  /// Runs `body` with the hostfile of a cluster of `count` hosts, or says why not.
  private func withCluster(of count: Int, _ body: (_ hosts: String) throws -> Void) throws {
    let outcome = try script("up", "\(count)")
    guard outcome.status == 0 else {
      print("skipped: \(outcome.standardError.trimmingCharacters(in: .whitespacesAndNewlines))")
      return
    }
    let result = Result { try body(outcome.standardOutput) }
    try script("down")
    try result.get()
  }

  @Test func hostsThatAreCutOffDoNotAnswerUntilTheyAreHealed() throws {
    try withCluster(of: 2) { hosts in
      #expect(hosts == "10.77.0.1 slots=1\n10.77.0.2 slots=1\n")
      #expect(try script("agent", "10.77.0.2", "hostname").standardOutput == "mvq2\n")
      try script("cut", "2")
      #expect(try script("agent", "10.77.0.2", "hostname").status != 0)
      #expect(try script("agent", "10.77.0.1", "hostname").status == 0)
      try script("heal", "2")
      #expect(try script("agent", "10.77.0.2", "hostname").status == 0)
      #expect(try script("slow", "1", "--rate", "100mbit").status == 0)
      #expect(try script("cut", "7").standardError == "Cluster/cut: there is no host 7; Cluster/up starts hosts\n")
    }
  }

  @Test func aRunGoesOnWithoutALostHostAndTakesItBack() throws {
    try withCluster(of: 4) { hosts in
      let playground = try TrainingPlayground()
      let hostFile = playground.run("hosts")
      try hosts.write(toFile: hostFile, atomically: true, encoding: .utf8)
      let mca = try script("mca").standardOutput.trimmingCharacters(in: .whitespacesAndNewlines)
      // Twelve images: three each on four hosts, four each on three.
      let settings = ["batch.global=12", "run.steps=120", "run.checkpointEvery=4", "optimizer.learningRate=1e-5"]
      let run = try SupervisedRun(
        playground, "run",
        options: [
          "--hosts", hostFile, "--remote-shell", "\(Self.scripts)/agent", "--mpirun=\(mca)", "--samples-per-rank", "4",
          "--check-interval", "1", "--check-patience", "2",
        ], settings: settings + ["run.faults.stallSeconds=20", "run.faults.heartbeatSeconds=1"])
      try run.wait("a checkpoint on four hosts", timeout: .seconds(120)) { try run.newestStep >= 4 }
      try script("cut", "3")
      try run.wait("a start on three hosts", timeout: .seconds(60)) {
        try run.messages().contains {
          $0 == "starting 3 ranks on 3 of 4 hosts (10.77.0.1, 10.77.0.2, 10.77.0.4): 12 samples a step in 1 round"
        }
      }
      let reached = try run.newestStep
      try run.wait("a checkpoint on three hosts", timeout: .seconds(120)) { try run.newestStep > reached }
      try script("heal", "3")
      let outcome = try run.job.wait(timeout: .seconds(180))
      #expect(outcome.status == 0, "\(outcome)")
      let messages = try run.messages()
      #expect(messages.contains("taking in 10.77.0.3: stopping with a checkpoint to start on all hosts"), "\(messages)")
      #expect(messages.last?.hasPrefix("starting 4 ranks on 4 of 4 hosts") == true, "\(messages)")

      let straight = try MPIRun.run(
        "rank-checks", ["train", playground.recipe, playground.run("straight")] + settings, rankCount: 4)
      #expect(straight.status == 0, "\(straight)")
      let losses = try playground.curve("loss", of: playground.run("straight"))
      let disturbed = try playground.curve("loss", of: run.directory)
      #expect(losses.count == 120 && disturbed.count == 120)
      // Sums have another order on three hosts, and the runs part with time: by more than 1e-3 first at step 101.
      for (step, (a, b)) in zip(losses.prefix(60), disturbed).enumerated() {
        #expect(abs(a - b) <= 1e-3 * abs(a), "step \(step + 1): \(b) instead of \(a)")
      }
      try playground.remove()
    }
  }
}

import Foundation
import Testing

/// `mergevq scaling` as a user starts it.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct ScalingCommandTests {
  private static let networks = URL(filePath: #filePath).deletingLastPathComponent()
    .appending(path: "../../Cluster/networks").standardized.path

  /// One process; it starts mpirun itself.
  private func scaling(_ arguments: [String]) throws -> MPIRun.Outcome {
    try MPIRun(command: [MPIRun.product("mergevq"), "scaling"] + arguments).wait(timeout: .seconds(100))
  }

  @Test func aStudyIsMeasuredFittedCheckedAndExtrapolated() throws {
    let playground = try TrainingPlayground()
    let study = playground.run("study")
    let measured = try scaling(
      ["run", playground.recipe, "--ranks", "1,2", "--batch", "4", "--steps", "3", "--warmup", "1", "--repeats", "2"]
        + ["--output", study])
    #expect(measured.status == 0, "\(measured)")
    #expect(measured.occurrences(of: "2 ranks, 2 of 2: ") == 1, "\(measured)")
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: study).sorted()
        == ["study.csv", "study.json", "study.md", "study.png"])
    let json = try JSONSerialization.jsonObject(with: Data(contentsOf: URL(filePath: study + "/study.json")))
    let settings = try #require((json as? [String: Any])?["settings"] as? [[String: Any]])
    #expect(settings.map { $0["globalBatch"] as? Int } == [4, 8])
    for (setting, ranks) in zip(settings, [1, 2]) {
      let runs = try #require(setting["runs"] as? [[[[String: Any]]]])
      #expect(runs.map(\.count) == [3, 3] && runs.allSatisfy { $0.allSatisfy { $0.count == ranks } })
    }

    let model = playground.run("model.json")
    #expect(try scaling(["fit", study + "/study.json", "--output", model]).status == 0)
    let check = try scaling(["check", model, study + "/study.json", "--limit", "1000"])
    #expect(check.status == 0 && check.occurrences(of: "mean error") == 1, "\(check)")
    #expect(try scaling(["check", model, study + "/study.json", "--limit", "0"]).status == 1)

    let prediction = try scaling(
      ["predict", model, playground.recipe, "--ranks", "1...4096", "--epochs", "2", "--cores-per-node", "32"]
        + ["--network", Self.networks + "/ethernet-10.yaml", "--network", Self.networks + "/infiniband-ndr.yaml"]
        + ["--output", playground.run("prediction")])
    #expect(prediction.status == 0, "\(prediction)")
    let table = try String(contentsOfFile: playground.run("prediction.csv"), encoding: .utf8)
    #expect(table.split(separator: "\n").count == 1 + 2 * 13)
    #expect(table.contains("\nInfiniBand NDR,4096,128,32768,"), "\(table)")
    #expect(FileManager.default.fileExists(atPath: playground.run("prediction.png")))
    try playground.remove()
  }

  @Test func mistakesAreToldBeforeAnythingStarts() throws {
    let playground = try TrainingPlayground()
    let output = ["--output", playground.run("study")]
    let odd = try scaling(["run", playground.recipe, "--mode", "strong", "--batch", "8", "--ranks", "3"] + output)
    #expect(odd.status == 64 && odd.occurrences(of: "'batch.global' is 8, which 3 ranks") == 1, "\(odd)")
    #expect(try scaling(["run", playground.recipe, "--ranks", "2,0"] + output).status == 64)
    let missing = try scaling(["fit", playground.run("no.json"), "--output", playground.run("model.json")])
    #expect(missing.status == 64 && missing.occurrences(of: "the study cannot be read") == 1, "\(missing)")
    #expect(!FileManager.default.fileExists(atPath: playground.run("study")))
    try playground.remove()
  }

  @Test func aStartThatFailsIsQuotedWithItsStatus() throws {
    let playground = try TrainingPlayground()
    let outcome = try scaling(
      ["run", playground.recipe, "--set", "data.train=/no/such/folder", "--ranks", "2", "--repeats", "1"]
        + ["--output", playground.run("study")])
    #expect(outcome.status == 65, "\(outcome)")
    #expect(outcome.occurrences(of: "/no/such/folder: no such file or folder") == 1, "\(outcome)")
    try playground.remove()
  }

  @Test func ranksOfOneNodeHaveNoNetworkToMeasure() throws {
    let path = FileManager.default.temporaryDirectory.appending(component: "network-\(UUID().uuidString).yaml").path
    let outcome = try MPIRun.run(
      "mergevq", ["scaling", "network", "--name", "x", "--output", path, "--repetitions", "2"], rankCount: 2)
    #expect(outcome.status != 0 && outcome.occurrences(of: "all ranks are on one node") == 1, "\(outcome)")
    #expect(!FileManager.default.fileExists(atPath: path))
  }
}

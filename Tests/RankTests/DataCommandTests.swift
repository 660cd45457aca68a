import Foundation
import Testing

/// The commands about images as a user starts them.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct DataCommandTests {
  @Test func imagesArePackedCountedVerifiedAndTrainedOn() throws {
    let folder = FileManager.default.temporaryDirectory.appending(component: "data-\(UUID().uuidString)").path
    defer { do { try FileManager.default.removeItem(atPath: folder) } catch { print("\(folder) is left behind") } }
    let packed = try run(
      ["pack", "drawn:24,resolution=32", "--output", folder + "/train-%04d.tar", "--shard-images", "10"], rankCount: 3)
    #expect(packed.status == 0, "\(packed)")
    #expect(packed.occurrences(of: "train-index.json: 24 images in 3 shards") == 1, "\(packed)")

    let counted = try run(["stats", folder], rankCount: 2)
    #expect(counted.status == 0 && counted.occurrences(of: "images          24") == 1, "\(counted)")
    #expect(counted.occurrences(of: "classes         12, images of a class: 2 to 2") == 1)

    let verified = try run(["verify", folder + "/train-index.json", "--decode"], rankCount: 2)
    #expect(verified.status == 0 && verified.occurrences(of: "✔") == 5, "\(verified)")
    let missing = try run(["verify", folder + "/missing.tar"], rankCount: 2)
    #expect(missing.status == 65 && missing.occurrences(of: "no such file or folder") == 1, "\(missing)")

    let recipe = URL(filePath: #filePath).deletingLastPathComponent()
      .appending(path: "../../Launch/recipes/tokenizer-tiny32.yaml").standardized.path
    let picture = folder + "/views.png"
    let shown = try run(
      ["grid", recipe, "--set", "data.train=\(folder)/train-{0000..0002}.tar", "--output", picture, "--images", "2"],
      rankCount: 1)
    #expect(shown.status == 0 && FileManager.default.fileExists(atPath: picture), "\(shown)")

    let settings = [
      "run.directory=\(folder)/run", "run.steps=2", "run.logEvery=1", "run.threads=1", "batch.global=4",
      "data.train=\(folder)/train-index.json",
      // Ten images in steps of four: in the last one a rank has none.
      "data.validation=\(folder)/train-0000.tar",
    ]
    let trained = try MPIRun.run(
      "mergevq", ["tokenizer", "train", recipe] + settings.flatMap { ["--set", $0] }, rankCount: 2)
    #expect(trained.status == 0 && trained.occurrences(of: "24 images, 12 classes") == 1, "\(trained)")
    let metrics = try String(contentsOfFile: folder + "/run/metrics.jsonl", encoding: .utf8)
    #expect(metrics.contains("\"dataBytes\":") && metrics.contains("\"dataBytesOfBusiestRank\":"))
  }

  @Test func wrongArgumentsAreToldOnce() throws {
    let pattern = try run(["pack", "drawn:4", "--output", "x.tar"], rankCount: 2)
    #expect(
      pattern.status == 64 && pattern.occurrences(of: "must name shards like DIR/train-%06d.tar") == 1, "\(pattern)")
    let limits = try run(
      ["pack", "drawn:4", "--output", "x-%d.tar", "--shard-images", "1", "--shard-bytes", "1"], rankCount: 2)
    #expect(limits.status == 64 && limits.occurrences(of: "exclude each other") == 1, "\(limits)")
  }

  private func run(_ arguments: [String], rankCount: Int) throws -> MPIRun.Outcome {
    try MPIRun.run("mergevq", ["data"] + arguments, rankCount: rankCount)
  }

  @Test func stalledStorageIsReportedByTheRankThatWaitsAndTrainingGoesOn() throws {
    let pipe = FileManager.default.temporaryDirectory.appending(component: "pipe-\(UUID().uuidString)").path
    defer { unlink(pipe) }
    try #require(mkfifo(pipe, 0o600) == 0)
    let job = try MPIRun("rank-checks", ["stall", pipe], rankCount: 3)
    let report = try job.line(after: "stall: rank 2 has waited ")
    #expect(report.contains("s for images; reading /slow/storage/"), "\(report)")
    usleep(1_000_000)
    let writer = open(pipe, O_WRONLY)
    write(writer, [1 as UInt8], 1)
    close(writer)
    let outcome = try job.wait()
    #expect(outcome.status == 0 && outcome.occurrences(of: "loaded 36 images") == 1, "\(outcome)")
    #expect(outcome.occurrences(of: "stall: rank 2 ") >= 2 && outcome.occurrences(of: "stall: rank 0 ") == 0)
  }

  /// One global order for 1, 2, 3 and 8 ranks, over an epoch's end, and from its middle on at another number of ranks.
  @Test func everyNumberOfRanksReadsTheSameGlobalOrderAndItsShareOfTheBytes() throws {
    let folder = FileManager.default.temporaryDirectory.appending(component: "order-\(UUID().uuidString)").path
    defer { do { try FileManager.default.removeItem(atPath: folder) } catch { print("\(folder) is left behind") } }
    let packed = try run(
      ["pack", "drawn:96,resolution=16", "--output", folder + "/x-%d.tar", "--shard-images", "8"], rankCount: 1)
    #expect(packed.status == 0, "\(packed)")
    func order(steps: Int, cursor: Int, rankCount: Int) throws -> (steps: [String], bytes: [Double]) {
      let outcome = try MPIRun.run(
        "rank-checks", ["order", folder, "24", "\(steps)", "\(cursor)"], rankCount: rankCount)
      #expect(outcome.status == 0, "\(outcome)")
      let lines = outcome.standardOutput.components(separatedBy: "\n")
      let bytes = lines.first { $0.hasPrefix("bytes: ") }?.split(separator: " ").compactMap { Double($0) } ?? []
      return (lines.filter { $0.hasPrefix("samples: ") }, bytes)
    }
    let whole = try order(steps: 10, cursor: 0, rankCount: 1)
    let samples = whole.steps.flatMap { $0.split(separator: " ").compactMap { Int($0) } }
    #expect(samples.count == 240)
    for epoch in 0..<2 { #expect(samples[(96 * epoch)..<(96 * epoch + 96)].sorted() == Array(0..<96)) }
    for rankCount in [2, 3, 8] {
      let shared = try order(steps: 10, cursor: 0, rankCount: rankCount)
      #expect(shared.steps == whole.steps && shared.bytes.count == rankCount)
      let share = whole.bytes.reduce(0, +) / Double(rankCount)
      #expect(shared.bytes.allSatisfy { abs($0 - share) < 0.2 * share }, "\(shared.bytes)")
    }
    #expect(try order(steps: 7, cursor: 72, rankCount: 3).steps == Array(whole.steps[3...]))
  }
}

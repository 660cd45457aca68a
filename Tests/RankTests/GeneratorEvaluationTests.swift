import Checkpointing
import Foundation
import Testing

/// `generator evaluate` and `data reference` with real processes.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct GeneratorEvaluationTests {
  private let folder: URL

  init() throws { folder = try SharedFolder.create("generator-evaluation") }

  private func path(_ name: String) -> String { folder.appending(path: name).path }

  private func run(_ arguments: [String], ranks: Int) throws -> MPIRun.Outcome {
    try MPIRun.run("mergevq", arguments, rankCount: ranks, timeout: .seconds(150))
  }

  /// Pictures of one colour each that are squares on squares: enough for features to differ.
  private func image(_ number: Int, size: Int) -> [UInt8] {
    (0..<size * size * 3).map { index -> UInt8 in
      let (x, y, channel) = (index / 3 % size, index / 3 / size, index % 3)
      let square = (x / (2 + number % 5) + y / (2 + number % 3)) % 2
      return UInt8((number * 53 + square * 120 + channel * 40 * number) % 256)
    }
  }

  /// The mean of the pixels around each.
  private func blurred(_ image: [UInt8], size: Int, reach: Int) -> [UInt8] {
    image.indices.map { index in
      let (x, y, channel) = (index / 3 % size, index / 3 / size, index % 3)
      var (sum, count) = (0, 0)
      for row in max(0, y - reach)...min(size - 1, y + reach) {
        for column in max(0, x - reach)...min(size - 1, x + reach) {
          sum += Int(image[(row * size + column) * 3 + channel])
          count += 1
        }
      }
      return UInt8(sum / count)
    }
  }

  private func write(_ images: [[UInt8]], size: Int, to name: String, comment: String = "") throws {
    let writer = try NumPyArchiveWriter(path: path(name), comment: comment)
    try writer.begin("arr_0", shape: [images.count, size, size, 3])
    for image in images { try writer.append(image) }
    try writer.finish()
  }

  /// What 'generator sample' writes into the comment of its files.
  private static let origin = """
    {"generator": "some-generator", "checkpoint": "runs/x", "step": 12, "sha256": "abc", "classes": "all", "count": 2,
    "tokenizer": {"name": "t", "step": 3, "sha256": "def", "checkpoint": "runs/t"},
    "sampling": {"schedule": "constant", "seed": 7, "keepCount": 9, "steps": 4,
    "pre": {"guidance": 2, "filter": {"temperature": 1, "topK": 0, "topP": 1}},
    "post": {"guidance": 1, "filter": {"temperature": 1, "topK": 0, "topP": 1}}}}
    """

  private func report(_ name: String) throws -> [String: Any] {
    let data = try Data(contentsOf: URL(filePath: path(name)))
    return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
  }

  private func evaluating(
    _ samples: String, against reference: String, _ output: String, _ further: [String] = []
  ) -> [String] {
    ["generator", "evaluate", "--samples", path(samples), "--reference", reference, "--inception", "stand-in"]
      + ["--output", path(output)] + further
  }

  @Test func figuresAreTheSameOnAnyNumberOfRanksAndGrowWithBlur() throws {
    let size = 16
    let images = (0..<40).map { image($0, size: size) }
    try write(Array(images[..<20]), size: size, to: "reference-images.npz")
    // Statistics, computed once and used again.
    for ranks in [1, 3] {
      let outcome = try run(
        ["data", "reference", path("reference-images.npz"), "--resolution", "16", "--inception", "stand-in"]
          + ["--split", "train", "--precision-recall", "--output", path("statistics\(ranks).npz")], ranks: ranks)
      #expect(outcome.status == 0, "\(outcome)")
    }
    #expect(
      try Data(contentsOf: URL(filePath: path("statistics1.npz")))
        == Data(contentsOf: URL(filePath: path("statistics3.npz"))))

    var distances: [Double] = []
    for (number, reach) in [0, 1, 2].enumerated() {
      try write(
        images[20...].map { reach == 0 ? $0 : blurred($0, size: size, reach: reach) }, size: size,
        to: "samples\(number).npz", comment: Self.origin)
      let outcome = try run(
        evaluating(
          "samples\(number).npz", against: path("statistics1.npz"), "report\(number).json", ["--precision-recall"]),
        ranks: 1)
      #expect(outcome.status == 0, "\(outcome)")
      for text in ["STAND-IN: inception's weights are made up by a rule", "20 samples, 16 × 16", "split train"] {
        #expect(outcome.occurrences(of: text) == 1, "\(text): \(outcome)")
      }
      let figures = try #require(try report("report\(number).json")["figures"] as? [String: Any])
      distances.append(try #require(figures["frechetDistance"] as? Double))
      #expect(try #require(figures["spatialFrechetDistance"] as? Double) > 0)
      #expect(try #require(figures["inceptionScore"] as? Double) >= 1)
      #expect(figures["isRankDeficient"] as? Bool == true)
      for name in ["precision", "recall"] {
        #expect((0...1).contains(try #require(figures[name] as? Double)))
      }
    }
    // The other half of the same images is nearer than the same half blurred.
    #expect(distances[0] > 0 && distances[0] < distances[1] && distances[1] < distances[2], "\(distances)")

    let again = try run(
      evaluating("samples1.npz", against: path("statistics1.npz"), "again.json", ["--precision-recall"]), ranks: 3)
    #expect(again.status == 0, "\(again)")
    #expect(
      try Data(contentsOf: URL(filePath: path("again.json")))
        == Data(contentsOf: URL(filePath: path("report1.json"))))
    // Images instead of their statistics give the same figures.
    let direct = try run(
      evaluating("samples1.npz", against: path("reference-images.npz"), "direct.json", ["--precision-recall"]),
      ranks: 2)
    #expect(direct.status == 0, "\(direct)")
    let (one, other) = (try report("report1.json"), try report("direct.json"))
    #expect(one["figures"] as? NSDictionary == other["figures"] as? NSDictionary)
    let provenance = try #require(one["provenance"] as? [String: Any])
    #expect(provenance["protocol"] as? String == "adm")
    let origin = try #require((provenance["samples"] as? [String: Any])?["origin"] as? [String: Any])
    #expect(origin["generator"] as? String == "some-generator" && origin["step"] as? Int == 12)
    #expect((origin["sampling"] as? [String: Any])?["seed"] as? Int == 7)
    let reference = try #require(provenance["reference"] as? [String: Any])
    #expect((reference["fileSHA256"] as? String)?.count == 64 && reference["split"] as? String == "train")
    let direction = try #require((other["provenance"] as? [String: Any])?["reference"] as? [String: Any])
    let recorded = try #require(reference["images"] as? [String: Any])
    #expect((recorded["pixels"] as? String)?.count == 64)
    #expect(recorded["pixels"] as? String == (direction["images"] as? [String: Any])?["pixels"] as? String)
  }

  @Test func aComparisonThatMeansNothingIsRefused() throws {
    try write((0..<5).map { image($0, size: 16) }, size: 16, to: "samples.npz")
    try write((0..<5).map { image($0, size: 8) }, size: 8, to: "small.npz")
    let made = try run(
      [
        "data", "reference", "drawn:6,resolution=16", "--resolution", "16", "--inception", "stand-in", "--split",
        "val",
      ]
        + ["--protocol", "pytorch-fid", "--output", path("held-out.npz")], ranks: 2)
    #expect(made.status == 0, "\(made)")
    let dimensions = 2048
    let foreign = try NumPyArchiveWriter(path: path("foreign.npz"))
    try foreign.begin("mu", elementType: .float64, shape: [dimensions])
    try foreign.append(numbers: [Double](repeating: 0, count: dimensions))
    try foreign.begin("sigma", elementType: .float64, shape: [dimensions, dimensions])
    try foreign.append(numbers: [Double](repeating: 0, count: dimensions * dimensions))
    try foreign.finish()

    let cases: [(arguments: [String], status: Int32, text: String)] = [
      (evaluating("samples.npz", against: path("held-out.npz"), "x.json"), 64, "add --protocol pytorch-fid"),
      (
        evaluating("samples.npz", against: path("held-out.npz"), "x.json", ["--protocol", "pytorch-fid"]), 64,
        "is of 'val': gFID is published against training images"
      ),
      (
        evaluating(
          "samples.npz", against: path("held-out.npz"), "x.json",
          ["--protocol", "pytorch-fid", "--reference-split", "train"]), 64, "contradicts"
      ),
      (
        evaluating("small.npz", against: path("held-out.npz"), "x.json", ["--protocol", "pytorch-fid", "--force"]),
        64, "the samples have 8×8 pixels"
      ),
      (evaluating("samples.npz", against: path("foreign.npz"), "x.json"), 64, "does not say which weights"),
      (
        evaluating("samples.npz", against: path("foreign.npz"), "x.json", ["--force", "--precision-recall"]), 64,
        "holds neither features nor images"
      ),
      (evaluating("foreign.npz", against: path("samples.npz"), "x.json"), 65, "expected arr_0 of N×H×W×3 bytes"),
      (evaluating("samples.npz", against: path("nothing.npz"), "x.json"), 74, "open failed"),
      (
        ["data", "reference", "drawn:3,resolution=16", "--resolution", "16", "--inception", "stand-in"]
          + ["--output", path("x.json")], 64, "must end in .npz"
      ),
    ]
    for (arguments, status, text) in cases {
      let outcome = try run(arguments, ranks: 2)
      #expect(outcome.status == status, "\(arguments): \(outcome)")
      #expect(outcome.occurrences(of: text) == 1, "\(arguments): \(outcome)")
      #expect(!FileManager.default.fileExists(atPath: path("x.json")))
    }
    for reference in ["held-out", "foreign"] {
      let forced = try run(
        evaluating(
          "samples.npz", against: path("\(reference).npz"), "\(reference).json",
          ["--protocol", "pytorch-fid", "--force"]),
        ranks: 2)
      #expect(forced.status == 0 && forced.occurrences(of: "FORCED: ") == 1, "\(forced)")
      let provenance = try #require(try report("\(reference).json")["provenance"] as? [String: Any])
      #expect((provenance["notes"] as? [String])?.contains { $0.hasPrefix("FORCED: ") } == true)
    }
  }
}

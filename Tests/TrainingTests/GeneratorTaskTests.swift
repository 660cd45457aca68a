import Collectives
import Foundation
import Generator
import Testing

@testable import Training

struct GeneratorTaskTests {
  /// Trains on a few codes and returns the training records.
  private func records(
    order: String, in folder: String, _ settings: [String] = []
  ) throws -> (train: [MetricsRecord], validation: [MetricsRecord]) {
    let tokenizer = try saveTinyTokenizer(in: folder + "/tokenizer")
    try encode("drawn:16,resolution=16,seed=3", by: tokenizer, to: folder + "/codes")
    try encode("drawn:5,resolution=16,seed=4", by: tokenizer, to: folder + "/validation")
    let recipe = try tinyGeneratorRecipe(
      order: order,
      settings: ["run.directory=\(folder)/run", "data.codes=\(folder)/codes", "data.validation=\(folder)/validation"]
        + settings)
    let reporter = TrainingReporter(progress: { _ in }, message: { _ in }, alarm: { _ in })
    let ending = try GeneratorTraining(recipe: recipe, communicator: SingleCommunicator(), reporter: reporter).run()
    #expect(ending == .finished)
    let records = try MetricsLog.records(of: RunDirectory(path: folder + "/run"))
    return (records.filter { $0.kind == .train }, records.filter { $0.kind == .validation })
  }

  @Test(arguments: ["plain", "raster", "random"])
  func trainingStartsAtUniformGuessingAndLearns(order: String) throws {
    try withTemporaryFolder { folder in
      let (train, validation) = try records(order: order, in: folder, ["run.steps=12"])
      let first = try #require(train.first?.values)
      // Bits (6, 12): ln 64 + ln 4096 = 12.477 nats.
      #expect(abs((first["pre"] ?? 0) - log(64.0)) < 1e-6)
      #expect(abs((first["post"] ?? 0) - log(4096.0)) < 1e-6)
      #expect(abs((first["loss"] ?? 0) - 12.476649) < 1e-5)
      #expect((train.last?.values["loss"] ?? 99) < 12)
      let values = try #require(validation.last?.values)
      let loss = try #require(values["loss"])
      #expect(abs(loss - (values["pre"] ?? 0) - (values["post"] ?? 0)) < 1e-9)
      // Five images of 16 positions, or of their 9 tokens.
      #expect(values["tokens"] == (order == "random" ? 45 : 80))
      #expect(abs((values["natsPerKeptToken"] ?? 0) - loss * (order == "random" ? 1 : 80.0 / 45)) < 1e-9)
      #expect(FileManager.default.fileExists(atPath: folder + "/run/losses.png"))
    }
  }

  @Test(arguments: ["raster", "random"])
  func aValidationShowsWhatTheAveragedWeightsDraw(order: String) throws {
    try withTemporaryFolder { folder in
      _ = try records(order: order, in: folder)
      let generator = try TrainedGenerator(checkpoint: folder + "/run")
      var options = SamplingOptions()
      (options.pre.guidance, options.post.guidance) = (GeneratorTask.sampleGuidance, GeneratorTask.sampleGuidance)
      options.keepCount = generator.codes.defaultKeepCount
      let task = GeneratorTask(
        recipe: generator.recipe, codes: generator.codes, totalSteps: 1, stepsPerEpoch: 1,
        communicator: SingleCommunicator(), validation: nil,
        drawing: SampleDrawing(
          codes: generator.codes,
          pictures: try CodePictures(
            trainedWith: nil, of: generator.codes, order: generator.recipe.model.order, option: ""),
          options: options))
      for (parameter, trained) in zip(task.model.parameters, generator.model.parameters) {
        parameter.parameter.value.pointer.update(from: trained.parameter.value.pointer, count: trained.parameter.count)
      }
      let picture = try #require(try task.validationPicture())
      #expect(picture.kind == .samples)
      let shown = FileManager.default.contents(atPath: folder + "/run/samples/step-00000004.jpg")
      #expect(shown == Data(try picture.image.encodedAsJPEG(quality: 90)))
      let page = try String(contentsOfFile: folder + "/run/report.html", encoding: .utf8)
      #expect(page.contains("Samples over time"))
      let events = try FileManager.default.contentsOfDirectory(atPath: folder + "/run/tensorboard")
      #expect(events.count == 1)
      let log = try #require(FileManager.default.contents(atPath: "\(folder)/run/tensorboard/\(events.first ?? "")"))
      #expect(log.range(of: Data("validation/samples".utf8)) != nil)
    }
  }

  @Test func withoutItsTokenizerAGeneratorTrainsAndSaysThatItShowsNoSamples() throws {
    try withTemporaryFolder { folder in
      let tokenizer = try saveTinyTokenizer(in: folder + "/tokenizer")
      try encode("drawn:16,resolution=16,seed=3", by: tokenizer, to: folder + "/codes")
      try FileManager.default.removeItem(atPath: tokenizer)
      let recipe = try tinyGeneratorRecipe(
        settings: ["run.directory=\(folder)/run", "data.codes=\(folder)/codes", "run.steps=1"])
      var messages: [String] = []
      let reporter = TrainingReporter(progress: { _ in }, message: { messages.append($0) }, alarm: { _ in })
      _ = try GeneratorTraining(recipe: recipe, communicator: SingleCommunicator(), reporter: reporter).run()
      let told = messages.filter { $0.contains("validations will show no samples") }
      #expect(told.count == 1 && told[0].contains("--set tokenizer=PATH"), "\(messages)")
      #expect(try RunPlan(recipe: recipe, worldSize: 1).notices == told)
      #expect(!FileManager.default.fileExists(atPath: folder + "/run/samples"))
    }
  }

  @Test func theScheduleTakesOneStepPerOptimizerStep() throws {
    try withTemporaryFolder { folder in
      let (train, _) = try records(
        order: "raster", in: folder,
        ["batch.accumulation=4", "run.steps=6", "optimizer.schedule.warmupSteps=2", "optimizer.schedule.flatShare=0"])
      let rates = train.compactMap { $0.values["learningRate"] }
      // 0.005 → 1 in two steps, then linear to 0.1 at the last of six.
      for (rate, expected) in zip(rates, [0.005, 0.5025, 1, 0.7, 0.4, 0.1]) {
        #expect(abs(rate - 1e-2 * expected) < 1e-9, "\(rates)")
      }
      #expect(rates.count == 6)
    }
  }

  @Test func weightDecayShrinksMatricesAndNeverGains() throws {
    var recipe = try tinyGeneratorRecipe()
    recipe.model.classCount = 3
    recipe.optimizer.learningRate = 0.5
    recipe.optimizer.weightDecay = 0.1
    recipe.optimizer.schedule.shape = .constant
    let codes = CodeProperties(
      tokenizer: TokenizerIdentity(sha256: "", name: "", step: 0, checkpoint: ""), codeBits: 18, gridSize: 4,
      keepCounts: [9, 16], defaultKeepCount: 9, classes: ClassNames())
    let task = GeneratorTask(
      recipe: recipe, codes: codes, totalSteps: 10, stepsPerEpoch: 10, communicator: SingleCommunicator(),
      validation: nil)
    let arena = task.weights[0].arena
    let before = Array(arena.values)
    // No gradients at all: decay alone moves the weights.
    arena.startStep()
    let sumOfSquares = try task.weights[0].reduceGradients()
    _ = try task.weights[0].update(step: 0, sumOfSquares: sumOfSquares)
    var gains = 0
    for entry in arena.entries {
      let isGain = entry.parameter.shape.count < 2
      gains += isGain ? 1 : 0
      for index in entry.range {
        let expected = before[index] * (isGain ? 1 : 0.95)
        #expect(abs(arena.values[index] - expected) <= 1e-6 * abs(expected), "\(entry.name)")
      }
    }
    #expect(gains == 7)
  }

  @Test func theBaselineIsTheSmoothedCrossEntropy() throws {
    func pass(_ codes: [Int32], groups: [Int32]) -> (_ body: (CodeBatch) throws -> Void) throws -> Void {
      { body in
        var batch = CodeBatch(keepCount: 2, firstGlobalIndex: 0)
        (batch.codes, batch.groups, batch.labels) = (codes, groups, [0])
        try body(batch)
      }
    }
    func baseline(_ order: GeneratorConfig.Order) throws -> Double {
      try UnigramBaseline(
        codeBits: 2, order: order, communicator: SingleCommunicator(),
        training: pass([3, 1], groups: [0, 0, 0, 1]), validation: pass([3, 2], groups: [0, 1, 1, 1])
      ).loss
    }
    // Raster: training 3 3 3 1, so p = (1, 2, 1, 4)/8; scored 3 2 2 2. Random: training 3 1, p = (1, 2, 1, 2)/6; 3 2.
    #expect(abs(try baseline(.raster) - (log(2) + 3 * log(8)) / 4) < 1e-12)
    #expect(abs(try baseline(.random) - (log(3) + log(6)) / 2) < 1e-12)
  }

  @Test func recipesThatDoNotFitTheCodesAreRefusedByKey() throws {
    try withTemporaryFolder { folder in
      let tokenizer = try saveTinyTokenizer(in: folder + "/tokenizer")
      let codes = try encode("drawn:4,resolution=16,seed=3", by: tokenizer, to: folder + "/codes").content.properties
      func key(_ settings: [String]) -> String? {
        do {
          _ = try tinyGeneratorRecipe(settings: settings).fitted(to: codes)
          return nil
        } catch { return (error as? ConfigError)?.key }
      }
      #expect(key([]) == nil)
      #expect(try tinyGeneratorRecipe().fitted(to: codes).model.classCount == 12)
      #expect(key(["model.gridSize=8"]) == "model.gridSize")
      #expect(key(["model.factorBits=[6, 6]"]) == "model.factorBits")
      #expect(key(["model.keepCounts=[4, 9]"]) == "model.keepCounts")
      #expect(key(["data.validationKeepCount=4"]) == "model.keepCounts")
      #expect(key(["model.classCount=3"]) == "model.classCount")
      #expect(key(["images.train=x"]) == "tokenizer")
      #expect(key(["images.train=x", "data.codes=y"]) == "images")
    }
  }

  /// Its pool has room for a cache of this size left over, so the tokenizer alone is sure to come on top.
  @Test(arguments: ["raster", "random"])
  func thePlanCountsWhatSamplesNeed(order: String) throws {
    try withTemporaryFolder { folder in
      let tokenizer = try saveTinyTokenizer(in: folder + "/tokenizer")
      try encode("drawn:12,resolution=16,seed=1", by: tokenizer, to: folder + "/codes")
      func plan(_ settings: [String] = []) throws -> RunPlan {
        try RunPlan(
          recipe: tinyGeneratorRecipe(order: order, settings: ["data.codes=\(folder)/codes"] + settings), worldSize: 1)
      }
      func samples(_ plan: RunPlan) -> Int? { plan.memory.first { $0.name.hasPrefix("samples at") }?.count }
      let found = try #require(samples(plan()))
      #expect(try found >= 4 * TrainedTokenizer(path: tokenizer).model.parameterCount)
      #expect(try samples(plan(["run.pictures=false"])) == nil)
    }
  }
}

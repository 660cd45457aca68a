import Foundation
import Testing

@testable import Training

/// One field of every kind, with optionals of each.
private struct SampleRecipe: Recipe {
  enum Colour: String, Codable, Sendable, CaseIterable { case red, green }
  struct Inner: ConfigSection {
    var learningRate = 0.5
    var count: Int?
    init() {}
    func validate() throws(ConfigError) { try check(learningRate > 0, "learningRate", "is too small") }
  }
  var name = "sample"
  var flag = false
  var ratio: Float = 0.25
  var steps = 10
  var seed: UInt64 = 1
  var colour = Colour.red
  var numbers = [1.0, 2.0]
  var words: [String] = []
  var maybeText: String?
  var maybeFlag: Bool?
  var maybeRatio: Double?
  var maybeSmall: Float?
  var maybeSeed: UInt64?
  var maybeColour: Colour?
  var maybeList: [Int]?
  var inner = Inner()
  var maybeInner: Inner?
  init() {}
  func validate() throws(ConfigError) {
    try Training.validate("inner", inner)
    if let maybeInner { try Training.validate("maybeInner", maybeInner) }
  }
}

struct RecipeResolutionTests {
  @Test func anEmptyRecipeIsTheDefaults() throws {
    #expect(try SampleRecipe.resolve(yaml: "", named: "r.yaml") == SampleRecipe())
    #expect(try SampleRecipe.resolve(yaml: "# nothing\ninner:\n", named: "r.yaml") == SampleRecipe())
  }

  @Test func overridesWinOverTheFileAndTheFileOverDefaults() throws {
    let recipe = try SampleRecipe.resolve(
      yaml: "steps: 20\nratio: 0.5\ninner: {learningRate: 2}\n", named: "r.yaml",
      overrides: ["steps=30", "inner.count=7", "numbers=[3, 4.5]", "steps=40", "maybeText='a: b'"])
    #expect(recipe.steps == 40)
    #expect(recipe.ratio == 0.5)
    #expect(recipe.inner.learningRate == 2)
    #expect(recipe.inner.count == 7)
    #expect(recipe.numbers == [3, 4.5])
    #expect(recipe.maybeText == "a: b")
    #expect(recipe.name == "sample")
  }

  @Test(arguments: [
    ("1e-4", 1e-4), ("1E5", 1e5), ("3", 3), ("-.5", -0.5), ("1_000.5", 1000.5), ("+2", 2),
  ])
  func numbersMayBeWrittenInAnyCommonWay(text: String, value: Double) throws {
    #expect(try SampleRecipe.resolve(yaml: "maybeRatio: \(text)", named: "r.yaml").maybeRatio == value)
  }

  @Test(arguments: ["2e5", "200000", "200_000"])
  func wholeNumbersMayUseExponentsAndSeparators(text: String) throws {
    #expect(try SampleRecipe.resolve(yaml: "", named: "r.yaml", overrides: ["steps=\(text)"]).steps == 200_000)
  }

  @Test func textsKeepWordsThatLookLikeOtherThings() throws {
    for text in ["1e-4", "no", "12", "0x1f", "2020-01-01"] {
      let recipe = try SampleRecipe.resolve(yaml: "name: \(text)", named: "r.yaml")
      #expect(recipe.name == text)
    }
  }

  @Test(arguments: ["null", "~", ""])
  func nullUnsetsAnOptional(null: String) throws {
    let recipe = try SampleRecipe.resolve(
      yaml: "maybeText: x\nmaybeInner: {count: 1}", named: "r.yaml", overrides: ["maybeText=\(null)"])
    #expect(recipe.maybeText == nil)
    #expect(recipe.maybeInner?.learningRate == 0.5)
    #expect(recipe.maybeInner?.count == 1)
  }

  @Test func theResolvedRecipeReadsBackEqualAndNamesEveryKey() throws {
    var recipe = SampleRecipe()
    recipe.name = "null"
    recipe.words = ["12", "a, b", "#", "true", "", "it's"]
    recipe.ratio = 1e-7
    recipe.seed = .max
    recipe.colour = .green
    recipe.maybeInner = .init()
    let yaml = try recipe.resolvedYAML()
    #expect(try SampleRecipe.resolve(yaml: yaml, named: "resolved") == recipe)
    #expect(try SampleRecipe.resolve(yaml: yaml, named: "resolved").resolvedYAML() == yaml)
    for key in ["maybeText", "maybeFlag", "maybeRatio", "maybeSmall", "maybeSeed", "maybeColour", "maybeList"] {
      #expect(yaml.contains("\(key): null\n"), "\(key)")
    }
  }

  @Test(arguments: [
    ("a: 1\nstesp: 3", "a", 1), ("name: x\nstesp: 3", "stesp", 2),
    ("inner:\n  # hm\n  learningrate: 3", "inner.learningrate", 3),
  ])
  func unknownKeysAreRefusedWithTheirLine(yaml: String, key: String, line: Int) {
    let error = configError { _ = try SampleRecipe.resolve(yaml: yaml, named: "r.yaml") }
    #expect(error?.key == key)
    #expect(error?.origin == "r.yaml:\(line)")
  }

  @Test(arguments: [
    ("stesp=1", "'steps'"), ("inner.learningrate=1", "'inner.learningRate'"), ("iner.count=1", "'inner'"),
    ("learningRate=1", "'inner.learningRate'"), ("maybeInner.cuont=1", "'maybeInner.count'"),
  ])
  func theNearestKnownKeyIsSuggested(override: String, suggestion: String) {
    let error = configError { _ = try SampleRecipe.resolve(yaml: "", named: "r.yaml", overrides: [override]) }
    #expect(error?.problem.contains("did you mean \(suggestion)?") == true, "\(String(describing: error))")
    #expect(error?.origin == "--set \(override)")
  }

  @Test(arguments: [
    ("", "", 0), ("", "ab", 2), ("steps", "steps", 0), ("stesp", "steps", 1), ("step", "steps", 1),
    ("sleps", "steps", 1), ("kitten", "sitting", 3),
  ])
  func editDistanceCountsChangesAndSwaps(first: String, second: String, distance: Int) {
    #expect(editDistance(first, second) == distance)
    #expect(editDistance(second, first) == distance)
  }

  @Test func aKeyLikeNothingGetsTheKnownKeysOnly() {
    let error = configError { _ = try SampleRecipe.resolve(yaml: "", named: "", overrides: ["inner.qqqqqqqq=1"]) }
    #expect(error?.problem == "is not a known key (known in 'inner': learningRate, count)")
  }

  @Test(arguments: [
    ("steps: fast", "steps", "a whole number"), ("steps: 1.5", "steps", "a whole number"),
    ("seed: -1", "seed", "not negative"), ("flag: yes", "flag", "true or false"),
    ("ratio: nan", "ratio", "a number"), ("ratio: [1]", "ratio", "a number, but is a list"),
    ("colour: blue", "colour", "one of red, green"), ("numbers:\n  3", "numbers", "a list"),
    ("numbers: [1, x]", "numbers[1]", "a number, but is 'x'"), ("inner: 3", "inner", "must be a section"),
    ("name: {a: 1}", "name", "a text, but is a section"), ("steps:", "steps", "but is nothing"),
    ("maybeInner: {count: z}", "maybeInner.count", "a whole number"),
    ("maybeColour: blue", "maybeColour", "red, green"),
  ])
  func wrongTypesAreNamedWithTheirPath(yaml: String, key: String, part: String) {
    let error = configError { _ = try SampleRecipe.resolve(yaml: yaml, named: "r.yaml") }
    #expect(error?.key == key)
    #expect(error?.problem.contains(part) == true, "\(String(describing: error))")
    #expect(error?.origin == "r.yaml:1")
  }

  @Test func validationNamesThePlaceOfTheValue() {
    let yaml = "steps: 1\ninner:\n  learningRate: -1"
    let error = configError { _ = try SampleRecipe.resolve(yaml: yaml, named: "r.yaml") }
    #expect(error?.description == "r.yaml:3: 'inner.learningRate' is too small")
  }

  @Test(arguments: ["steps", "=3", "inner.=3", ".steps=1"])
  func malformedOverridesAreRefused(override: String) {
    let error = configError { _ = try SampleRecipe.resolve(yaml: "", named: "r.yaml", overrides: [override]) }
    #expect(error?.problem.contains("key=value") == true)
  }

  @Test(arguments: ["a: [1", "- 1\n- 2", "steps: 1\nsteps: 2", "just words", "? [a]\n: b"])
  func textThatIsNoRecipeIsRefusedWithTheFile(yaml: String) {
    let error = configError { _ = try SampleRecipe.resolve(yaml: yaml, named: "r.yaml") }
    #expect(error?.origin?.hasPrefix("r.yaml") == true, "\(String(describing: error))")
  }

  @Test func aMissingFileIsNamed() {
    let error = configError { _ = try SampleRecipe.resolve(path: "no/such.yaml") }
    #expect(error?.description == "the recipe no/such.yaml: open failed: No such file or directory (errno 2)")
  }

  @Test func differencesListWhatChanged() throws {
    let saved = try SampleRecipe.resolve(yaml: "steps: 5\nmaybeText: x\nmaybeInner: {}", named: "").resolvedYAML()
    let now = try SampleRecipe.resolve(yaml: "numbers: [1]\nmaybeText: x\nmaybeInner: {}", named: "")
    #expect(
      try now.differences(fromSaved: saved + "gone: 1\n", named: "config.yaml") == [
        .init(key: "steps", saved: "5", current: "10"), .init(key: "numbers", saved: "[1.0, 2.0]", current: "[1.0]"),
        .init(key: "gone", saved: "1", current: "null"),
      ])
  }
}

struct TokenizerRecipeTests {
  @Test func theDefaultsNeedOnlyALength() throws {
    let error = configError { _ = try TokenizerRecipe.resolve(yaml: "", named: "r.yaml") }
    #expect(error?.key == "run.steps")
    let recipe = try TokenizerRecipe.resolve(yaml: "run: {epochs: 2}", named: "r.yaml")
    #expect(recipe.run.totalSteps(stepsPerEpoch: 30) == 60)
    #expect(recipe.runDirectory == "runs/tokenizer")
  }

  @Test(arguments: [
    "batch.global=0", "optimizer.betas=[0.9]", "optimizer.schedule.shape=drops", "optimizer.schedule.dropEpochs=[3]",
    "data.resize=64", "model.codeBits=40", "model.encoderHeads=7", "run.logEvery=0", "data.badImageShare=2",
    "loss.entropyTemperature=0", "name=a/b",
  ])
  func valuesThatCannotWorkAreRefusedWhereTheyAreWritten(override: String) {
    let error = configError {
      _ = try TokenizerRecipe.resolve(yaml: "run: {steps: 1}", named: "", overrides: [override])
    }
    #expect(error != nil)
    if override != "optimizer.schedule.shape=drops" { #expect(error?.origin == "--set \(override)") }
  }

  @Test func everyRecipeOfTheRepositoryResolvesUnderItsOwnName() throws {
    let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
      .appendingPathComponent("../../Launch/recipes").standardized.path
    let files = try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0.hasPrefix("tokenizer-") }
    #expect(files.count >= 7)
    for file in files {
      let recipe = try TokenizerRecipe.resolve(path: "\(folder)/\(file)")
      #expect(recipe.name + ".yaml" == file)
      #expect(try TokenizerRecipe.resolve(yaml: recipe.resolvedYAML(), named: "resolved") == recipe)
    }
  }

  @Test func theGlobalBatchIsDividedAmongRanksAndRounds() throws {
    var batch = BatchConfig()
    batch.global = 24
    batch.accumulation = 3
    #expect(try batch.imagesPerRank(worldSize: 4) == 2)
    let error = configError { _ = try batch.imagesPerRank(worldSize: 5) }
    #expect(error?.key == "batch.global")
    #expect(error?.problem.contains("use 15 or 30") == true)
  }

  @Test func dropsByEpochBecomeSteps() throws {
    let recipe = try TokenizerRecipe.resolve(
      yaml: "run: {epochs: 10}\noptimizer: {schedule: {shape: drops, dropEpochs: [2, 5], warmupEpochs: 1}}", named: "")
    let schedule = recipe.optimizer.learningRateSchedule(totalSteps: 1000, stepsPerEpoch: 100)
    #expect(schedule.shape == .drops(at: [200, 500], factor: 0.1))
    #expect(schedule.warmupSteps == 100)
  }
}

func configError(_ body: () throws -> Void) -> ConfigError? {
  do {
    try body()
    return nil
  } catch {
    return error as? ConfigError
  }
}

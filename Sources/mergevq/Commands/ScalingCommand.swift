import ArgumentParser
import Collectives
import Scaling
import ScalingStudies
import Training

/// The commands about more ranks.
struct ScalingCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "scaling", abstract: "Measure how training scales, and predict how it would.",
    subcommands: [
      ScalingRunCommand.self, ScalingReportCommand.self, ScalingNetworkCommand.self, ScalingFitCommand.self,
      ScalingCheckCommand.self, ScalingPredictCommand.self,
    ])
}

/// Numbers of ranks: `1,2,4`, or `1…4096` for doublings.
struct RankCounts: ExpressibleByArgument {
  let counts: [Int]

  init?(argument: String) {
    for separator in ["…", "...", ".."] {
      let ends = argument.split(separator: separator, omittingEmptySubsequences: false).map { Int($0) }
      guard ends.count == 2 else { continue }
      guard let first = ends[0], let last = ends[1], first > 0, last >= first, last <= 1 << 20 else { return nil }
      counts = Array(sequence(first: first) { $0 * 2 <= last ? $0 * 2 : nil })
      return
    }
    let parts = argument.split(separator: ",", omittingEmptySubsequences: false).map { Int($0) }
    let counts = parts.compactMap { $0 }.filter { $0 > 0 }
    guard counts.count == parts.count, Set(counts).count == counts.count else { return nil }
    self.counts = counts
  }
}

extension ScalingMode: ExpressibleByArgument {}

/// What a recipe trains.
enum ScaledModel: String, ExpressibleByArgument, CaseIterable {
  case tokenizer
  case generator

  /// What the model of a step must know of the recipe, and of its run.
  func facts(_ options: RecipeOptions) throws -> (name: String, batch: BatchConfig, run: RunConfig, work: StepWork) {
    switch self {
    case .tokenizer: try facts(options) { try RunPlan(recipe: $0 as TokenizerRecipe, worldSize: 1) }
    case .generator: try facts(options) { try RunPlan(recipe: $0 as GeneratorRecipe, worldSize: 1) }
    }
  }

  private func facts<R: TrainingRecipe>(
    _ options: RecipeOptions, plan: (R) throws -> RunPlan
  ) throws -> (name: String, batch: BatchConfig, run: RunConfig, work: StepWork) {
    let recipe = try R.resolve(path: options.recipe, overrides: options.overrides)
    let plan = try plan(recipe)
    let rounds = recipe.batch.accumulation
    return (
      recipe.name, recipe.batch, recipe.run,
      StepWork(
        operationsPerSample: Double(plan.operationsPerSample), parameterCount: plan.parameterCount,
        statisticsBytes: plan.statisticsBytes / rounds, rounds: rounds)
    )
  }
}

/// Joins studies, draws them and writes their tables: `FOLDER/study.json`, `.csv`, `.md` and `.png`.
func write(_ study: Study, to folder: String) throws {
  let report = StudyReport(study)
  try study.write(to: folder + "/study.json")
  try write(text: report.csv, to: folder + "/study.csv")
  try write(text: report.markdown, to: folder + "/study.md")
  try report.plot.image().writePNG(to: folder + "/study.png")
  Console.write(report.markdown)
}

/// `mergevq scaling report`.
struct ScalingReportCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "report", abstract: "Join studies of one training, such as those of a Slurm array, and draw them.")

  @Argument(help: "Files that scaling run wrote.")
  var studies: [String]

  @Option(help: "A folder, which gets study.json, study.csv, study.md and study.png.")
  var output: String

  func run() throws {
    try runAlone { try write(Study(joining: studies.map { try Study(path: $0) }, named: studies), to: output) }
  }
}

/// `mergevq scaling fit`.
struct ScalingFitCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "fit", abstract: "Fit a model of the training step to measured studies.")

  @Argument(
    help: ArgumentHelp(
      "Files that scaling run wrote.",
      discussion: """
        Two batch sizes on one rank tell images from updates; one rank and as many as cores tell what cores take from \
        each other.
        """))
  var studies: [String]

  @Option(help: "The JSON file to write.")
  var output: String

  func run() throws {
    try runAlone {
      let model = try FittedModel(fitting: studies.map { try Study(path: $0) })
      try model.write(to: output)
      Console.write(model.text)
    }
  }
}

/// `mergevq scaling check`.
struct ScalingCheckCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "check", abstract: "Compare a model's predictions with measured studies.",
    discussion: "Exit status 1 if the mean error is above the limit.")

  @Argument(help: "A file that scaling fit wrote.")
  var model: String

  @Argument(help: "Files that scaling run wrote.")
  var studies: [String]

  @Option(help: "The largest mean error that is accepted.")
  var limit = 0.15

  func run() throws {
    try runAlone {
      let check = try ModelCheck(
        FittedModel(path: model).step, studies: studies.map { try Study(path: $0) }, named: studies)
      Console.write(check.markdown + "mean error \(Int((100 * check.meanError).rounded())) %\n")
      if check.meanError > limit { throw InaccurateModel(error: check.meanError, limit: limit) }
    }
  }
}

/// The table has shown where; this sets the exit status.
private struct InaccurateModel: AgreedError, CustomStringConvertible {
  let error: Double
  let limit: Double
  var exitStatus: Int32 { 1 }
  var description: String { "the mean error is \(error), above the limit of \(limit)" }
}

/// Runs a command that is for one process only.
func runAlone(_ body: () throws -> Void) throws {
  try runCommand { communicator in
    guard communicator.worldSize == 1 else {
      throw ConfigError(problem: "this command is for one process; start it without mpirun")
    }
    try body()
  }
}

import ArgumentParser
import Scaling
import ScalingStudies
import Training

/// `mergevq scaling predict`.
struct ScalingPredictCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "predict", abstract: "Predict speed, time and cost of a training on many ranks.",
    discussion: """
      For every network: efficiency, samples per second, days and node-hours of the whole training with failures and \
      checkpoints, the checkpoint interval that loses least (Daly), and the most ranks that are still efficient. \
      Gradients that are reduced while others are computed are not taken into account: where a core is spared for \
      that, communication is hidden in part.

      Example: mergevq scaling predict model.json Launch/recipes/tokenizer-gr-d64.yaml --ranks 1...4096 \
      --network Cluster/networks/ethernet-25.yaml --network Cluster/networks/infiniband-hdr.yaml --output prediction
      """)

  @Argument(help: "A file that scaling fit wrote.")
  var fitted: String

  @OptionGroup var recipe: RecipeOptions

  @Option(help: "Numbers of ranks: 1,2,4, or 1...4096 for doublings.")
  var ranks: RankCounts

  @Option(
    parsing: .singleValue, help: ArgumentHelp("A network profile; may be repeated.", valueName: "file"))
  var network: [String]

  @Option(help: "Writes NAME.csv, NAME.md and NAME.png.")
  var output: String

  @Option(help: "What the recipe trains.")
  var model = ScaledModel.tokenizer

  @Option(help: "weak: every rank has --batch samples; strong: all ranks together.")
  var mode = ScalingMode.weak

  @Option(help: "Samples of a step; the recipe's global batch unless given.", transform: positive)
  var batch: Int?

  @Option(help: "Cores of a node; those of the fitted machine unless given.", transform: positive)
  var coresPerNode: Int?

  @Option(help: "Threads of a rank; as fitted unless given.", transform: positive)
  var threads: Int?

  @Option(help: "Ranks of a node; one for every --threads cores unless given.", transform: positive)
  var ranksPerNode: Int?

  @Option(help: "Images of an epoch; ImageNet's 1,281,167 unless given.", transform: positive)
  var images = 1_281_167

  @Option(help: "Epochs of the training; the recipe's unless given.")
  var epochs: Double?

  @Option(help: "The efficiency that still counts, against the fewest ranks.")
  var efficiency = 0.8

  @Option(help: "Years in which a node fails once.")
  var nodeYears = 5.0

  @Option(
    help: "Seconds for which a checkpoint stops training; what copying the state takes one rank unless given.")
  var checkpointSeconds: Double?

  @Option(help: "Seconds from a failure until training goes on.")
  var restartSeconds = 300.0

  func validate() throws {
    guard !network.isEmpty else { throw ValidationError("give at least one --network") }
    guard epochs ?? 1 > 0, nodeYears > 0, checkpointSeconds ?? 1 > 0, restartSeconds >= 0 else {
      throw ValidationError("epochs, years and seconds must be positive")
    }
    guard efficiency > 0, efficiency <= 1 else { throw ValidationError("--efficiency must lie in 0...1, above 0") }
  }

  func run() throws {
    try runAlone {
      let fitted = try FittedModel(path: fitted)
      let facts = try model.facts(recipe)
      guard let epochs = epochs ?? facts.run.epochs else {
        throw ConfigError(key: "run.epochs", problem: "is not set in the recipe; give --epochs")
      }
      let threads = threads ?? fitted.threadsPerRank
      let cores = coresPerNode ?? fitted.coresPerMachine
      let shapes = ranks.counts.sorted().map {
        JobShape(
          worldSize: $0, ranksPerNode: ranksPerNode ?? max(1, cores / threads), threadsPerRank: threads,
          coresPerMachine: cores)
      }
      let failures = FailureModel(
        nodeMeanTime: nodeYears * 365.25 * 86_400,
        checkpointSeconds: checkpointSeconds ?? 4 * facts.work.parameterBytes * fitted.step.secondsPerUpdateByte,
        restartSeconds: restartSeconds)
      let predictions = try network.map { path in
        let network = try NetworkProfile.resolve(path: path).network
        let question = ScalingCurve.Question(
          work: facts.work, mode: mode, batch: batch ?? facts.batch.global, sampleCount: epochs * Double(images),
          network: network, failures: failures)
        return PredictionReport.Prediction(
          network: network, curve: ScalingCurve(question, by: fitted.step, shapes: shapes))
      }
      let report = PredictionReport(
        title: "\(facts.name), \(mode.rawValue) scaling, \(shapes[0].ranksPerNode) ranks a node",
        predictions: predictions, efficiencyLimit: efficiency)
      try write(text: report.csv, to: output + ".csv")
      try write(text: report.summary + "\n" + report.markdown, to: output + ".md")
      try report.plot.image().writePNG(to: output + ".png")
      Console.write(report.summary)
    }
  }
}

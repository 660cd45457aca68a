import ArgumentParser
import Collectives
import Training

/// `mergevq tokenizer probe`.
struct ProbeTokenizerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "probe", abstract: "Measure how much of images' classes a tokenizer's features hold.",
    discussion: """
      Features are computed once, with the tokenizer frozen and without augmentation, and standardised by the training \
      images; then a linear classifier is trained on them, and the nearest neighbours vote. Under mpirun the ranks share \
      images and features; any number of ranks gives the same figures.

      The defaults are the recipe of He et al. (2022): LARS, 90 epochs, batches of 16384. With fewer images than that a \
      step has all of them; smaller batches take more steps, as in --batch 1024.

      Example: mpirun -n 8 mergevq tokenizer probe --checkpoint runs/mine --train images/train --validation images/val \
      --compare-random --output probe.json
      """)

  @Option(help: "A run directory (its newest good checkpoint), one checkpoint of it, or a tokenizer's weight file.")
  var checkpoint: String

  @Option(help: "Images with classes to train the probe on.")
  var train: String

  @Option(help: "Images of the same classes to judge it by.")
  var validation: String

  @Option(
    help: "Classes of a flat tar of validation images: ImageNet's development kit, or a file with one class per image.")
  var validationLabels: String?

  @Option(
    help: "What is probed: class-token or token-mean; the class token if it was trained for something, the mean if not."
  )
  var feature: ProbedFeature?

  @Option(help: "How many tokens to keep; the recipe's default otherwise.", transform: positive)
  var keep: Int?

  @Option(help: "lars or sgd (both with momentum 0.9).")
  var optimizer = ProbeRecipe().optimizer

  @Option(help: "Passes over the training images.")
  var epochs = ProbeRecipe().epochs

  @Option(help: "Passes of the warm-up.")
  var warmupEpochs: Int?

  @Option(help: "Images of a step.")
  var batch = ProbeRecipe().batchSize

  @Option(help: "Learning rate for every 256 images of a step.")
  var learningRate = ProbeRecipe().learningRate

  @Option(help: "Weight decay.")
  var weightDecay = ProbeRecipe().weightDecay

  @Option(help: "Decides the order of images and the first weights of the probe.")
  var seed = ProbeRecipe().seed

  @Option(help: "How many neighbours vote.")
  var neighbours = 20

  @Option(help: "Temperature of their votes.")
  var temperature = 0.07

  @Flag(help: "Probe the same network with its random first weights, too, and tell what training gained.")
  var compareRandom = false

  @Option(help: "Train the probe on that many images at most, evenly spread.", transform: positive)
  var trainLimit: Int?

  @Option(help: "Judge it by that many images at most, evenly spread.", transform: positive)
  var validationLimit: Int?

  @Option(help: "The JSON file to write.")
  var output: String

  func run() throws {
    try runCommand { communicator in
      var options = TokenizerProbe.Options(train: train, validation: validation)
      options.validationLabels = validationLabels
      (options.trainLimit, options.validationLimit) = (trainLimit, validationLimit)
      (options.keepCount, options.feature) = (keep, feature)
      (options.neighbours, options.temperature) = (neighbours, temperature)
      options.comparesWithRandom = compareRandom
      (options.recipe.optimizer, options.recipe.epochs, options.recipe.batchSize) = (optimizer, epochs, batch)
      (options.recipe.learningRate, options.recipe.weightDecay) = (learningRate, weightDecay)
      options.recipe.seed = seed
      // A short training has a warm-up of the same share.
      options.recipe.warmupEpochs = warmupEpochs ?? epochs / 9
      let (file, probe) = try communicator.collectively("opening the tokenizer") {
        // Only the rank that writes looks: the others may see another file system.
        (
          communicator.isFirst ? try NewOutput(output) : nil,
          try TokenizerProbe(TrainedTokenizer(path: checkpoint), options: options)
        )
      }
      var bar = PhasedProgressBar()
      let report = try probe.report(on: communicator) { Console.write(bar.report($0, done: $1, of: $2)) }
      try write(report, to: file, after: bar.bar, on: communicator)
    }
  }
}

extension ProbedFeature: ExpressibleByArgument {}
extension ProbeRecipe.Optimizer: ExpressibleByArgument {}

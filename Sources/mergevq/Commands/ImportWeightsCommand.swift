import ArgumentParser
import Collectives
import Training

/// `mergevq checkpoint import`.
struct ImportWeightsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import", abstract: "Turn published weights into a weight file.",
    discussion: """
      Reads safetensors and PyTorch files (.pt, .pth, .ckpt); nothing in them is executed. The weight file that it \
      writes is what other commands take: a tokenizer's for --checkpoint and --resume, others' for the recipe.

      Every parameter must be there in the right shape, and nothing unknown besides; otherwise every difference is \
      named and the exit status is 74.

      Example: mergevq checkpoint import GR-d64.ckpt --as tokenizer \
      --recipe Launch/recipes/tokenizer-gr-d64.yaml --output gr-d64.safetensors
      """)

  @Argument(help: "The published file; several where the weights are spread over files.")
  var files: [String]

  @Option(name: .customLong("as"), help: "What the weights are of.")
  var network: PublishedNetwork

  @Option(help: "The weight file to write.")
  var output: String

  @Option(help: "The recipe of the tokenizer.")
  var recipe: String?

  @Option(
    name: .customLong("set"),
    help: ArgumentHelp("Override one key of the recipe; may be repeated.", valueName: "key=value"))
  var overrides: [String] = []

  @Option(help: "Which values of a tokenizer's file that has both: its moving average or the trained ones.")
  var weights = WeightChoice.average

  @Option(help: "The dictionary of a PyTorch file whose tensors are wanted; found by itself otherwise.")
  var section: String?

  @Option(
    help: ArgumentHelp(
      "Parameters under this name may be missing and keep random values, e.g. recovery; may be repeated.",
      valueName: "name"))
  var allowMissing: [String] = []

  @Flag(help: "Name the parameters that matched, too.")
  var list = false

  func run() throws {
    try runCommand { communicator in
      let text = try communicator.collectively("importing weights") {
        guard communicator.isFirst else { return "" }
        let output = try NewOutput(output)
        var options = PublishedWeights.Options()
        options.weights = weights
        options.allowedMissing = allowMissing
        guard network == .tokenizer || (recipe == nil && overrides.isEmpty && allowMissing.isEmpty) else {
          throw ConfigError(
            origin: "--as \(network.rawValue)", problem: "goes without --recipe, --set and --allow-missing")
        }
        if let recipe { options.recipe = try TokenizerRecipe.resolve(path: recipe, overrides: overrides) }
        return try PublishedWeights(network, paths: files, section: section, options: options)
          .write(to: output, listing: list) + "\n\(output.path)\n"
      }
      Console.write(text)
    }
  }
}

/// `mergevq checkpoint export`.
struct ExportWeightsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export", abstract: "Write a checkpoint's weights under their published names and layouts.",
    discussion: "What it writes, import reads, and so does safetensors.torch.load_file.")

  @Argument(help: "A run directory (its newest good checkpoint) or one checkpoint of it.")
  var checkpoint: String

  @Option(help: "The file format.")
  var format = ExportFormat.safetensors

  @Option(help: "The file to write.")
  var output: String

  @Option(help: "Which values: the moving average or the trained ones.")
  var weights = WeightChoice.average

  func run() throws {
    try runCommand { communicator in
      try communicator.collectively("exporting weights") {
        guard communicator.isFirst else { return }
        let output = try NewOutput(output)
        switch format {
        case .safetensors:
          try TrainedTokenizer(checkpoint: checkpoint, weights: weights).export(to: output.path)
        }
      }
      if communicator.isFirst { Console.write("\(output)\n") }
    }
  }
}

/// The value of `--format`.
enum ExportFormat: String, CaseIterable, ExpressibleByArgument {
  case safetensors
}

import ArgumentParser
import Collectives
import Training

/// The arguments of every command that follows a recipe.
struct RecipeOptions: ParsableArguments {
  @Argument(help: "A YAML recipe, e.g. Launch/recipes/tokenizer-small64.yaml.")
  var recipe: String

  @Option(
    name: .customLong("set"),
    help: ArgumentHelp(
      "Override one key of the recipe, e.g. --set optimizer.learningRate=1e-3; may be repeated.",
      valueName: "key=value"))
  var overrides: [String] = []

  /// The resolved recipe, the same on every rank. Collective.
  /// - Throws: `PeerFailure` with the `ConfigError` of the ranks that could not resolve it.
  func resolved<R: Recipe>(as type: R.Type, on communicator: any Communicator) throws -> R {
    try communicator.collectively("reading the recipe") { try R.resolve(path: recipe, overrides: overrides) }
  }
}

import ArgumentParser
import Training

/// The commands about generators.
struct GeneratorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "generator", abstract: "Turn images into codes, train a generator on them, and draw new images.",
    discussion: """
      The way: 'tokenizer train', then 'generator encode', then 'generator train', then 'generator sample', then \
      'generator evaluate'.
      """,
    subcommands: [
      EncodeDataCommand.self, TrainGeneratorCommand.self, SampleCommand.self, EvaluateGeneratorCommand.self,
    ])
}

/// `mergevq generator train`.
struct TrainGeneratorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train", abstract: "Train the generator that a recipe describes.",
    discussion: """
      Learns the codes that 'generator encode' wrote, or encodes images on the way (images.train and tokenizer in the \
      recipe). Run again with the same run directory, it resumes from the newest good checkpoint.

      Example: mpirun -n 2 mergevq generator train Launch/recipes/generator-small64.yaml \
      --set data.codes=codes/train --set data.validation=codes/val --set run.directory=runs/mine-generator
      """)

  @OptionGroup var training: TrainingOptions

  func run() throws {
    try training.run(GeneratorRecipe.self, plan: RunPlan.init(recipe:worldSize:)) { recipe, communicator, reporter in
      try GeneratorTraining(recipe: recipe, communicator: communicator, reporter: reporter)
        .run(resume: training.resume.policy, stoppingAt: training.stopAfter)
    }
  }
}

import ArgumentParser
import Training

/// `mergevq tokenizer train`.
struct TrainTokenizerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "train", abstract: "Train the tokenizer that a recipe describes.",
    discussion: """
      Run again with the same run directory, it resumes from the newest good checkpoint.

      Example: mpirun -n 2 mergevq tokenizer train Launch/recipes/tokenizer-small64.yaml \
      --set data.train=images/train --set data.validation=images/val --set run.directory=runs/mine
      """)

  @OptionGroup var training: TrainingOptions

  func run() throws {
    try training.run(TokenizerRecipe.self, plan: RunPlan.init(recipe:worldSize:)) { recipe, communicator, reporter in
      try TokenizerTraining(recipe: recipe, communicator: communicator, reporter: reporter)
        .run(resume: training.resume.policy, stoppingAt: training.stopAfter)
    }
  }
}

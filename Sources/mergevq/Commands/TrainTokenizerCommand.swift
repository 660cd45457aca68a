import ArgumentParser
import Collectives
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

  @OptionGroup var recipe: RecipeOptions

  @Option(
    help: "Where to start: auto (the newest good checkpoint of the run directory), never, or a checkpoint's path.")
  var resume = Resume.auto

  @Flag(help: "Print the resolved recipe, parameter counts and memory, and stop.")
  var dryRun = false

  @Option(
    help: ArgumentHelp("Stop, with a checkpoint, when that many steps are done in all.", valueName: "steps"),
    transform: positive)
  var stopAfter: Int?

  func run() throws {
    try runCommand { communicator in
      let recipe = try recipe.resolved(as: TokenizerRecipe.self, on: communicator)
      if dryRun {
        let text = try communicator.collectively("planning the run") {
          communicator.isFirst ? try TokenizerPlan(recipe: recipe, worldSize: communicator.worldSize).text : ""
        }
        return Console.write(text)
      }
      var line = Console.progressLine()
      let training = TokenizerTraining(
        recipe: recipe, communicator: communicator,
        reporter: .init(
          progress: { Console.write(line.report($0)) }, message: { Console.write(line.message($0)) }))
      let ending = try training.run(resume: resume.policy, stoppingAt: stopAfter)
      if communicator.isFirst { Console.write(line.finish()) }
      if case .interrupted(let signal, let step) = ending { throw Interrupted(signal: signal, step: step) }
    }
  }
}

/// The value of `--resume`.
enum Resume: ExpressibleByArgument {
  case auto
  case never
  case path(String)

  init(argument: String) {
    switch argument {
    case "auto": self = .auto
    case "never": self = .never
    default: self = .path(argument)
    }
  }

  var defaultValueDescription: String { "auto" }

  var policy: ResumePolicy {
    switch self {
    case .auto: .automatic
    case .never: .never
    case .path(let path): .from(path)
    }
  }
}

/// A signal ended the run early, in good order and on every rank alike.
private struct Interrupted: AgreedError, CustomStringConvertible {
  let signal: Int32
  let step: Int
  var exitStatus: Int32 { 75 }
  var description: String { "stopped by signal \(signal) with a checkpoint after step \(step); start again to resume" }
}

/// A whole number of at least 1.
private func positive(_ argument: String) throws -> Int {
  guard let value = Int(argument), value > 0 else {
    throw ValidationError("'\(argument)' is not a whole number of at least 1")
  }
  return value
}

import ArgumentParser
import Collectives
import Training

/// The arguments of every command that trains, and what such a command does with them.
struct TrainingOptions: ParsableArguments {
  @OptionGroup var recipe: RecipeOptions

  @Option(
    help:
      "Where to start: auto (the newest good checkpoint of the run directory), never, a checkpoint's path, or a weight file."
  )
  var resume = Resume.auto

  @Flag(help: "Print the resolved recipe, parameters, memory, messages and checkpoint sizes, and stop.")
  var dryRun = false

  @Option(help: "With --dry-run: plan for that many ranks instead of those that mpirun started.", transform: positive)
  var ranks: Int?

  @Option(
    help: ArgumentHelp("Stop, with a checkpoint, when that many steps are done in all.", valueName: "steps"),
    transform: positive)
  var stopAfter: Int?

  func validate() throws {
    guard ranks == nil || dryRun else {
      throw ValidationError("--ranks plans a run with --dry-run; the ranks that train are started by mpirun -n")
    }
  }

  /// What a supervisor must know of the run.
  func supervised<R: TrainingRecipe>(_ type: R.Type) throws -> (batch: BatchConfig, runDirectory: String) {
    let recipe = try R.resolve(path: recipe.recipe, overrides: recipe.overrides)
    return (recipe.batch, recipe.runDirectory)
  }

  /// Plans or trains by the recipe, on every rank of the job.
  /// - Throws: `ExitCode`, after the error was shown.
  func run<R: TrainingRecipe>(
    _ type: R.Type, plan: (_ recipe: R, _ worldSize: Int) throws -> RunPlan,
    train: (R, any Communicator, TrainingReporter) throws -> TrainingEnding
  ) throws {
    try runCommand { communicator in
      let recipe = try recipe.resolved(as: R.self, on: communicator)
      if dryRun {
        let text = try communicator.collectively("planning the run") {
          communicator.isFirst ? try plan(recipe, ranks ?? communicator.worldSize).text : ""
        }
        return Console.write(text)
      }
      var line = Console.progressLine()
      let reporter = TrainingReporter(
        progress: { Console.write(line.report($0)) }, message: { Console.write(line.message($0)) },
        alarm: { Console.writeError("mergevq: \($0)\n") })
      let ending = try train(recipe, communicator, reporter)
      if communicator.isFirst { Console.write(line.finish()) }
      if case .interrupted(let signal, let step) = ending {
        throw Interrupted(signal: signal, what: "with a checkpoint after step \(step)")
      }
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

/// A signal ended the work early, in good order and on every rank alike.
struct Interrupted: AgreedError, CustomStringConvertible {
  let signal: Int32
  /// In which state.
  let what: String
  var exitStatus: Int32 { 75 }
  var description: String { "stopped by signal \(signal) \(what); start again to resume" }
}

/// A whole number of at least 1.
func positive(_ argument: String) throws -> Int {
  guard let value = Int(argument), value > 0 else {
    throw ValidationError("'\(argument)' is not a whole number of at least 1")
  }
  return value
}

import ArgumentParser
import Collectives
import Foundation
import Scaling
import ScalingStudies
import Training

/// `mergevq scaling run`.
struct ScalingRunCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "run", abstract: "Measure a training on several numbers of ranks.",
    discussion: """
      Starts mpirun itself: every number of ranks, some steps each, by turns. Writes study.json with every rank's times \
      of every measured step, study.csv, study.md and study.png. Nothing else should run on the machines meanwhile.

      Under Slurm, start Launch/scaling.sbatch.

      Example: mergevq scaling run Launch/recipes/tokenizer-small64.yaml --set data.train=images/train --ranks 1,2,4 \
      --hosts hosts --batch 16 --output studies/weak
      """)

  @OptionGroup var recipe: RecipeOptions

  @Option(help: "Numbers of ranks: 1,2,4, or 1...64 for doublings.")
  var ranks: RankCounts

  @Option(help: "A folder, which is made.")
  var output: String

  @Option(help: "weak: every rank has --batch samples; strong: all ranks together.")
  var mode = ScalingMode.weak

  @Option(help: "Samples of a step; the recipe's global batch unless given.", transform: positive)
  var batch: Int?

  @Option(help: "What the recipe trains.")
  var model = ScaledModel.tokenizer

  @Option(help: "Measured steps of a start.", transform: positive)
  var steps = 10

  @Option(help: "Steps before them that do not count.")
  var warmup = 3

  @Option(help: "Starts of every number of ranks.", transform: positive)
  var repeats = 3

  @Option(help: "Threads of a rank.", transform: positive)
  var threads = 1

  @Option(
    name: .customLong("hosts"),
    help: ArgumentHelp("Hostfile of Open MPI (a line per host: node7 slots=4).", valueName: "file"))
  var hostFile: String?

  @Option(help: "Ranks of a node, where mpirun knows the hosts by itself.", transform: positive)
  var ranksPerNode: Int?

  @Option(help: "Command that starts another on a host.")
  var remoteShell = "ssh -x -o BatchMode=yes"

  @Option(help: "Further arguments of mpirun, in one word: --mpirun='--map-by numa'.")
  var mpirun = ""

  @Option(help: "The network between the hosts, for check and fit: Cluster/networks/NAME.yaml.")
  var network: String?

  @Flag(help: "All hosts are this one machine, as in the virtual cluster, and share its cores.")
  var sharedMachine = false

  func validate() throws {
    guard warmup >= 0 else { throw ValidationError("--warmup must be at least 0") }
  }

  func run() throws {
    try runAlone {
      let facts = try model.facts(recipe)
      let machine = try RankFacts.gather(on: SingleCommunicator())[0]
      let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
      var settings = StudyRunner.Settings(
        recipe: recipe.recipe, ranks: ranks.counts, batch: batch ?? facts.batch.global,
        coresPerMachine: machine.cpus.count, program: program, folder: output)
      settings.model = model.rawValue
      settings.overrides = recipe.overrides
      settings.mode = mode
      settings.steps = steps
      settings.warmupSteps = warmup
      settings.repeats = repeats
      settings.threads = threads
      settings.hostFile = hostFile
      settings.ranksPerNode = ranksPerNode
      settings.remoteShell = remoteShell
      settings.launcherArguments = mpirun.split(separator: " ").map(String.init)
      settings.sharesMachine = sharedMachine
      settings.network = try network.map { try NetworkProfile.resolve(path: $0).network }
      let runner = try StudyRunner(settings)
      for count in ranks.counts {
        var shares = facts.batch
        shares.global = runner.globalBatch(worldSize: count)
        _ = try shares.imagesPerRank(worldSize: count)
      }
      try makeFolder()
      let results = try runner.run { Console.write($0 + "\n") }
      try write(
        Study(
          recipe: facts.name, overrides: recipe.overrides, mode: mode, machine: machine, work: facts.work,
          warmupSteps: warmup, settings: results), to: output)
    }
  }

  private func makeFolder() throws {
    do {
      try FileManager.default.createDirectory(atPath: output, withIntermediateDirectories: true)
    } catch {
      throw ConfigError(origin: output, problem: "the folder cannot be made: \(error.localizedDescription)")
    }
  }
}

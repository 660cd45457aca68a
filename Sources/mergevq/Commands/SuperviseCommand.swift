import ArgumentParser
import Collectives
import Foundation
import Training

/// A command that the supervisor can keep running.
protocol SupervisedCommand {
  /// What a supervisor must know of the run: its batch and its directory.
  func supervised() throws -> (batch: BatchConfig, runDirectory: String)
}

/// `mergevq supervise`.
struct SuperviseCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "supervise",
    abstract: "Keep a training running under mpirun: restart it after faults, without the hosts that are gone.",
    discussion: """
      Starts mpirun itself. After a fault it checks the hosts and starts again on those that answer, with the same \
      global batch: fewer ranks take more samples, in more rounds if they would not fit. Hosts that come back, and \
      changes of the host list, are taken in at a checkpoint. SIGTERM, SIGINT and SIGUSR1 end the training with a \
      checkpoint and status 75. Statuses 64, 65, 70 and 74 of the training end the supervision: a restart cannot help.

      Example: mergevq supervise --hosts hosts -- tokenizer train RECIPE.yaml --set run.directory=runs/mine
      """)

  @Option(
    name: .customLong("hosts"),
    help: ArgumentHelp(
      "Hostfile of Open MPI (a line per host: node7 slots=4), read anew at every start.", valueName: "file"))
  var hostFile: String?

  @Option(help: "Ranks on this host, where there is no hostfile.")
  var ranks = 1

  @Option(help: "Command that starts another on a host.")
  var remoteShell = "ssh -x -o BatchMode=yes -o ConnectTimeout=5"

  @Option(
    help: ArgumentHelp(
      "Further arguments of mpirun, in one word: --mpirun='--map-by ppr:1:numa'.", valueName: "arguments"))
  var mpirun = ""

  @Option(help: "The most samples of a rank in one round; as many as with all hosts unless given.")
  var samplesPerRank: Int?

  @Option(help: "Failures in a row, without a new checkpoint between, after which to give up.")
  var restartLimit = 10

  @Option(help: "Seconds to wait after the first failure in a row; doubles up to 300.")
  var backOff = 5.0

  @Option(help: "Seconds between checks of the hosts while the training runs.")
  var checkInterval = 30.0

  @Option(help: "Seconds that a host may take to answer.")
  var checkPatience = 10.0

  @Option(help: "Seconds that the ranks may take for their last checkpoint when they are asked to stop.")
  var grace = 600.0

  @Argument(parsing: .postTerminator, help: "The training command, after --: tokenizer train RECIPE.yaml …")
  var command: [String] = []

  func validate() throws {
    guard !command.isEmpty else { throw ValidationError("give the training command after --") }
    guard ranks > 0, samplesPerRank ?? 1 > 0, restartLimit >= 0 else {
      throw ValidationError("--ranks and --samples-per-rank must be at least 1, --restart-limit at least 0")
    }
    guard backOff >= 0, checkInterval > 0, checkPatience > 0, grace >= 0 else {
      throw ValidationError("times must be positive numbers of seconds")
    }
  }

  func run() throws {
    guard let training = try Mergevq.parseAsRoot(command) as? any SupervisedCommand else {
      throw ValidationError("'\(command.joined(separator: " "))' is not a training command")
    }
    var status: Int32 = 0
    try runCommand { communicator in
      guard communicator.worldSize == 1 else {
        throw ConfigError(problem: "the supervisor starts mpirun itself; start it without mpirun")
      }
      let (batch, runDirectory) = try training.supervised()
      let program = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
      var settings = Supervisor.Settings(command: [program] + command, batch: batch, runDirectory: runDirectory)
      settings.hostFile = hostFile
      settings.localRanks = ranks
      settings.remoteShell = words(remoteShell)
      settings.launcherArguments = words(mpirun)
      settings.samplesPerRank = samplesPerRank
      settings.restartLimit = restartLimit
      settings.backOff = .seconds(backOff)
      settings.checkInterval = .seconds(checkInterval)
      settings.checkPatience = .seconds(checkPatience)
      settings.grace = .seconds(grace)
      status = try Supervisor(settings) { Console.writeError("supervisor: \($0)\n") }.run()
    }
    if status != 0 { throw ExitCode(status) }
  }

  private func words(_ text: String) -> [String] { text.split(separator: " ").map(String.init) }
}

extension TrainGeneratorCommand: SupervisedCommand {
  func supervised() throws -> (batch: BatchConfig, runDirectory: String) {
    try training.supervised(GeneratorRecipe.self)
  }
}

extension TrainTokenizerCommand: SupervisedCommand {
  func supervised() throws -> (batch: BatchConfig, runDirectory: String) {
    try training.supervised(TokenizerRecipe.self)
  }
}

import ArgumentParser
import Foundation

/// The program: everything a user does is one of its commands.
@main
struct Mergevq: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "mergevq",
    abstract: "Trains MergeVQ image tokenizers and generators on the CPUs of one machine or a cluster.",
    discussion: """
      Start training commands under mpirun to use several ranks: mpirun -n 4 mergevq tokenizer train RECIPE.

      Exit status: 0 done; 64 wrong recipe or arguments; 65 unreadable data; 70 training diverged; \
      74 checkpoint or run directory unusable; 75 interrupted or a rank lost, start again to resume.
      """,
    subcommands: [
      TokenizerCommand.self, GeneratorCommand.self, DataCommand.self, CheckpointCommand.self, DoctorCommand.self,
      ScalingCommand.self, SuperviseCommand.self, StatusCommand.self, WatchCommand.self, ReportCommand.self,
    ])

  /// As the library's own, but the ranks of a job show help and usage errors once.
  static func main() {
    do {
      var command = try parseAsRoot()
      try command.run()
    } catch {
      if isFirstOfLaunch { exit(withError: error) }
      Foundation.exit(exitCode(for: error).rawValue)
    }
  }
}

import ArgumentParser
import Collectives
import MPI
import Training

/// `mergevq doctor`.
struct DoctorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "doctor",
    abstract: "Check CPUs, BLAS, threads, communication and libraries, and say what is wrong and what helps.",
    discussion: "Start it as you start training: mpirun -n 4 mergevq doctor. Exit status 1: training would fail.")

  func run() throws {
    try runCommand { communicator in
      let diagnosis = try examine(communicator)
      if communicator.isFirst { Console.write(diagnosis.text) }
      if !diagnosis.isUsable { throw UnusableMachine() }
    }
  }

  /// Examines every rank and their communication. Collective.
  private func examine(_ communicator: any Communicator) throws -> Diagnosis {
    let ranks = try RankFacts.gather(on: communicator)
    guard isStartedByLauncher else { return Diagnosis(ranks: ranks, job: nil) }
    let isCorrect = try allReduceIsCorrect(on: communicator, count: 1_000_003)
    let speeds = try measureTransferRates(on: communicator)
      .map { JobFacts.TransferSpeed(byteCount: $0.byteCount, seconds: $0.seconds, librarySeconds: $0.librarySeconds) }
    return Diagnosis(
      ranks: ranks,
      job: JobFacts(libraryVersion: libraryVersion(), allReduceIsCorrect: isCorrect, transferSpeeds: speeds))
  }
}

/// The report has said why; this only sets the exit status, on every rank alike.
private struct UnusableMachine: AgreedError, CustomStringConvertible {
  var exitStatus: Int32 { 1 }
  var description: String { "this machine or job cannot train; see the lines marked ✘" }
}

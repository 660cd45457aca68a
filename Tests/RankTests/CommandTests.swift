import Testing

/// The program as a user starts it. What it says, it says once, however many ranks there are.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct CommandTests {
  @Test func theDoctorReportsOnceForAllRanks() throws {
    let outcome = try MPIRun.run("mergevq", ["doctor"], rankCount: 2)
    #expect(outcome.occurrences(of: "OpenBLAS core type") == 1, "\(outcome)")
    #expect(outcome.occurrences(of: "2 on 1 host, Open MPI") == 1)
    #expect(outcome.occurrences(of: "gives the right sums") == 1)
    #expect(outcome.status == 0, "\(outcome)")
  }

  @Test func usageErrorsAppearOnceWithTheirStatus() throws {
    let outcome = try MPIRun.run("mergevq", ["docter"], rankCount: 3)
    #expect(outcome.occurrences(of: "Unexpected argument 'docter'") == 1, "\(outcome)")
    #expect(outcome.status == 64)
  }

  @Test func helpAppearsOnce() throws {
    let outcome = try MPIRun.run("mergevq", ["doctor", "--help"], rankCount: 2)
    #expect(outcome.occurrences(of: "USAGE: mergevq doctor") == 1, "\(outcome)")
    #expect(outcome.status == 0)
  }
}

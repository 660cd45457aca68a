import Collectives
import Testing

@testable import Training

struct DiagnosisTests {
  private let job = JobFacts(
    libraryVersion: "Open MPI v4.1.4", allReduceIsCorrect: true,
    transferSpeeds: [.init(byteCount: 100_000_000, seconds: 0.05, librarySeconds: 0.15)])

  @Test func aGoodMachineNeedsNothing() {
    let diagnosis = Diagnosis(ranks: [facts(0, cpus: [0]), facts(1, cpus: [1])], job: job)
    #expect(diagnosis.findings.allSatisfy { $0.verdict == .fine }, "\(diagnosis.text)")
    #expect(diagnosis.isUsable)
    #expect(diagnosis.text.hasSuffix("All is as it should be.\n"))
    #expect(diagnosis.text.contains("100 MB"))
    #expect(diagnosis.text.contains("2.00 GB/s, 3.00 times as fast as MPI's own"))
    #expect(diagnosis.text.contains("corrected from Prescott"))
  }

  @Test func aSlowCoreTypeIsFoundWithItsRemedy() {
    var rank = facts(0, cpus: [0, 1])
    rank.coreAfter = "Prescott"
    #expect(remedy(of: "BLAS", ranks: [rank])?.contains("set OPENBLAS_CORETYPE=SkylakeX") == true)
    rank.isCoreForced = true
    #expect(remedy(of: "BLAS", ranks: [rank])?.contains("unset it") == true)
    rank.coreAfter = "Cooperlake"
    #expect(remedy(of: "BLAS", ranks: [rank]) == nil)
  }

  @Test func ranksThatShareCPUsAreFound() {
    let both = [facts(0, cpus: [0, 1]), facts(1, cpus: [0, 1])]
    #expect(remedy(of: "threads", ranks: both)?.contains("4 threads share 2 CPUs") == true)
  }

  @Test func idleCPUsAreFound() {
    #expect(remedy(of: "threads", ranks: [facts(0, cpus: [1])])?.contains("1 CPUs stay idle") == true)
  }

  @Test func littleSharedMemoryBreaksManyRanksOnly() {
    var rank = facts(0, cpus: [0, 1])
    rank.sharedMemory = 64 << 20
    #expect(remedy(of: "memory", ranks: [rank]) == nil)
    var ranks = [facts(0, cpus: [0]), facts(1, cpus: [1])]
    for index in ranks.indices { ranks[index].sharedMemory = 64 << 20 }
    #expect(remedy(of: "memory", ranks: ranks)?.contains("--shm-size") == true)
    #expect(!Diagnosis(ranks: ranks, job: job).isUsable)
  }

  @Test func aLoneProcessIsToldHowToCheckCommunication() {
    #expect(Diagnosis(ranks: [facts(0, cpus: [0, 1])], job: nil).text.contains("mpirun -n 2 mergevq doctor"))
  }

  @Test func brokenCodecsAreNotUsable() {
    var rank = facts(0, cpus: [0, 1])
    rank.codecTrouble = "PNG changes pixels"
    #expect(!Diagnosis(ranks: [rank], job: nil).isUsable)
  }

  @Test func wrongSumsAreNotUsable() {
    var wrong = job
    wrong.allReduceIsCorrect = false
    #expect(!Diagnosis(ranks: [facts(0, cpus: [0, 1])], job: wrong).isUsable)
  }

  @Test func hostsAreToldApartAndMixedOnesNoted() {
    var other = facts(1, cpus: [0, 1])
    other.host = "node2"
    other.vectorLevel = "x86-64-v3"
    let diagnosis = Diagnosis(ranks: [facts(0, cpus: [0, 1]), other], job: job)
    #expect(diagnosis.findings.contains { $0.subject == "CPU (node2)" })
    #expect(diagnosis.findings.contains { $0.found == "of different levels: x86-64-v3, x86-64-v4" })
  }

  @Test(arguments: [([], ""), ([3], "3"), ([0, 1, 2, 3, 8, 10, 11], "0-3,8,10-11")])
  func cpusAreWrittenAsRanges(cpus: [Int], text: String) { #expect(ranges(cpus) == text) }

  @Test func thisMachineTellsAboutItself() throws {
    let rank = try #require(try RankFacts.gather(on: SingleCommunicator()).first)
    #expect(rank.gflops > 0.1)
    #expect(rank.onlineCPUCount >= rank.cpus.count)
    #expect(!rank.cpus.isEmpty)
    #expect(rank.codecTrouble == nil)
    #expect(rank.libraries.contains { $0.hasPrefix("libopenblas") })
  }

  private func remedy(of subject: String, ranks: [RankFacts]) -> String? {
    switch Diagnosis(ranks: ranks, job: job).findings.first(where: { $0.subject == subject })?.verdict {
    case .slow(let remedy), .broken(let remedy): remedy
    case .fine, nil: nil
    }
  }

  private func facts(_ rank: Int, cpus: [Int]) -> RankFacts {
    RankFacts(
      rank: rank, host: "node1", cpuModel: "Some CPU", vectorLevel: "x86-64-v4", coreBefore: "Prescott",
      coreAfter: "SkylakeX", suitableCore: "SkylakeX", isCoreForced: false, singleThreadGFLOPS: 150, gflops: 150,
      threadCount: cpus.count, cpus: cpus, onlineCPUCount: 2, availableMemory: 8 << 30, sharedMemory: 4 << 30,
      libraries: ["libopenblasp-r0.3.21.so"])
  }
}

import Foundation
import Testing

@testable import Training

struct HostListTests {
  @Test func aHostfileOfOpenMPIIsRead() throws {
    let list = try HostList(text: "# mine\nnode1 slots=4\n\n  node2\tslots=2 # old\nnode3\n", named: "hosts")
    #expect(
      list.hosts == [.init(name: "node1", slots: 4), .init(name: "node2", slots: 2), .init(name: "node3", slots: 1)])
    #expect(list.slots == 7)
    #expect(list.keeping(["node3", "node1", "node9"]).text == "node1 slots=4\nnode3 slots=1\n")
  }

  @Test(arguments: [
    ("node1 slots=none", "hosts:1: 'slots=none' is not a number of slots"),
    ("a\nb\na slots=2", "hosts:3: host 'a' is listed twice"),
    ("# nothing\n", "hosts: lists no host"),
  ])
  func whatIsWrongIsNamedWithItsLine(text: String, message: String) {
    let error = #expect(throws: ConfigError.self) { try HostList(text: text, named: "hosts") }
    #expect(error?.description.hasPrefix(message) == true)
  }
}

struct LaunchShapeTests {
  @Test(arguments: [
    // slots, batch, samples per rank at most, ranks, rounds
    (4, 12, 3, 4, 1), (3, 12, 4, 3, 1), (3, 12, 3, 3, 2), (2, 12, 3, 2, 2), (1, 12, 3, 1, 4),
    // Seven ranks do not divide the batch: four do, in rounds that fit.
    (7, 16, 2, 4, 2), (512, 256, 1, 256, 1), (5, 7, 1, 1, 7),
  ])
  func theGlobalBatchStays(slots: Int, batch: Int, limit: Int, ranks: Int, rounds: Int) {
    let shape = LaunchShape(slots: slots, globalBatch: batch, samplesPerRank: limit)
    #expect(shape.rankCount == ranks)
    #expect(shape.accumulation == rounds)
    #expect(batch.isMultiple(of: shape.rankCount * shape.accumulation))
    #expect(batch / (shape.rankCount * shape.accumulation) <= limit)
  }
}

struct HostCheckTests {
  @Test func hostsThatDoNotAnswerInTimeAreLeftOut() throws {
    try withTemporaryFolder { folder in
      let shell = folder + "/shell"
      try "case $1 in dead) exit 255 ;; hanging) sleep 60 ;; esac\n".write(
        toFile: shell, atomically: true, encoding: .utf8)
      let check = HostCheck(remoteShell: ["sh", shell], patience: .seconds(3))
      let hosts = ["good", "dead", "hanging", "fine"].map { HostList.Host(name: $0, slots: 1) }
      let start = ContinuousClock.now
      #expect(check.reachable(hosts) == ["good", "fine"])
      #expect(ContinuousClock.now - start < .seconds(20))
    }
  }

  @Test func thisHostNeedsNoRemoteShell() {
    let check = HostCheck(remoteShell: ["/no/such/shell"], patience: .seconds(1))
    #expect(check.reachable([.init(name: "localhost", slots: 2), .init(name: "elsewhere", slots: 2)]) == ["localhost"])
  }
}

import Testing

extension RankTests {
  @Suite struct Collectives {
    @Test(arguments: [1, 2, 3, 4])
    func everyOperationGivesTheValuesComputedOnOneRank(rankCount: Int) throws {
      let outcome = try MPIRun.run("rank-checks", ["collectives", "\(rankCount)"], rankCount: rankCount)
      #expect(outcome.status == 0, "\(outcome.standardError)")
    }

    @Test(arguments: [(4, 2), (4, 1), (5, 2), (3, 2)])
    func nodesOfAnySizeReduceAlike(rankCount: Int, ranksPerNode: Int) throws {
      let outcome = try MPIRun.run("rank-checks", ["nodes", "\(ranksPerNode)"], rankCount: rankCount)
      #expect(outcome.status == 0, "\(outcome.standardError)")
    }
  }
}

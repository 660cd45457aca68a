extension Network {
  /// Fits latency and bandwidth to measured all-reduces among nodes, by least squares of relative errors.
  ///
  /// From one number of nodes, overhead cannot be told from latency and is counted as such; what shared memory takes is
  /// counted as bandwidth.
  /// - Parameter allReduces: Bytes of the array, and seconds.
  /// - Throws: `FitError` if they are on one node, or too few or too alike to tell latency from bandwidth.
  public init(
    fittingAllReduces allReduces: [(byteCount: Int, seconds: Double)], shape: JobShape, name: String
  ) throws(FitError) {
    guard shape.nodeCount > 1 else {
      throw FitError(description: "all ranks are on one node; start them on at least two to measure their network")
    }
    func seconds(_ network: Network, _ byteCount: Int) -> Double {
      TransferCost(shape: shape, network: network, nodeBytesPerSecond: .infinity).allReduce(Double(byteCount))
    }
    let latency = Network(name: "", latency: 1, overhead: 0, bytesPerSecond: .infinity)
    let bandwidth = Network(name: "", latency: 0, overhead: 0, bytesPerSecond: 1)
    let solution = LeastSquares.nonNegative(
      rows: allReduces.map { [seconds(latency, $0.byteCount), seconds(bandwidth, $0.byteCount)] },
      values: allReduces.map(\.seconds), weights: allReduces.map { 1 / ($0.seconds * $0.seconds) }
    ).solution
    guard solution.count == 2, solution[0] > 0, solution[1] > 0 else {
      throw FitError(
        description: "the times of all-reduces do not tell latency from bandwidth; measure more sizes, undisturbed")
    }
    self.init(name: name, latency: solution[0], overhead: 0, bytesPerSecond: 1 / solution[1])
  }
}

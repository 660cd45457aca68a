extension Network {
  /// Fits latency and bandwidth to measured exchanges among nodes, by least squares of relative errors. An exchange is
  /// what a training step does with its gradients and weights: a reduce-scatter, then an all-gather of as many bytes.
  ///
  /// From one number of nodes, overhead cannot be told from latency and is counted as such; what shared memory takes is
  /// counted as bandwidth.
  /// - Parameters:
  ///   - exchanges: Bytes of the array, and seconds.
  ///   - shape: Of the job that exchanged.
  ///   - name: What to call the network.
  /// - Throws: `FitError` if they are on one node, or too few or too alike to tell latency from bandwidth.
  public init(
    fitting exchanges: [(byteCount: Int, seconds: Double)], shape: JobShape, name: String
  ) throws(FitError) {
    guard shape.nodeCount > 1 else {
      throw FitError(description: "all ranks are on one node; start them on at least two to measure their network")
    }
    func seconds(_ network: Network, _ byteCount: Int) -> Double {
      let cost = TransferCost(shape: shape, network: network, nodeBytesPerSecond: .infinity)
      return cost.reduceScatter(Double(byteCount)) + cost.allGather(Double(byteCount))
    }
    let latency = Network(name: "", latency: 1, overhead: 0, bytesPerSecond: .infinity)
    let bandwidth = Network(name: "", latency: 0, overhead: 0, bytesPerSecond: 1)
    let solution = LeastSquares.nonNegative(
      rows: exchanges.map { [seconds(latency, $0.byteCount), seconds(bandwidth, $0.byteCount)] },
      values: exchanges.map(\.seconds), weights: exchanges.map { 1 / ($0.seconds * $0.seconds) }
    ).solution
    guard solution.count == 2, solution[0] > 0, solution[1] > 0 else {
      throw FitError(
        description: "the times of exchanges do not tell latency from bandwidth; measure more sizes, undisturbed")
    }
    self.init(name: name, latency: solution[0], overhead: 0, bytesPerSecond: 1 / solution[1])
  }
}

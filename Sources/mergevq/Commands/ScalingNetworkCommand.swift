import ArgumentParser
import Collectives
import MPI
import Scaling
import ScalingStudies
import Training

/// `mergevq scaling network`.
struct ScalingNetworkCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "network", abstract: "Measure the network between nodes and write its profile.",
    discussion: """
      Times all-reduces of several sizes and fits latency and bandwidth to them. Start it on at least two nodes, as you \
      start training: mpirun -n 2 --map-by ppr:1:node mergevq scaling network --name mine --output mine.yaml
      """)

  @Option(help: "What the network is called.")
  var name: String

  @Option(help: "The YAML file to write.")
  var output: String

  @Option(help: "How often each size is timed; the median counts.", transform: positive)
  var repetitions = 15

  func run() throws {
    try runCommand { communicator in
      let rates = try measureTransferRates(
        on: communicator, byteCounts: [8, 64 << 10, 1 << 20, 8 << 20], repetitions: repetitions)
      let localSize = try communicator.allReduce(Int64(communicator.localSize), .max)
      try communicator.collectively("writing the profile") {
        guard communicator.isFirst else { return }
        let shape = JobShape(
          worldSize: communicator.worldSize, ranksPerNode: Int(localSize), coresPerMachine: Int(localSize))
        let network = try Network(
          fittingAllReduces: rates.map { ($0.byteCount, $0.seconds) }, shape: shape, name: name)
        let yaml = try NetworkProfile(network).resolvedYAML()
        try write(text: yaml, to: output)
        let times = rates.map { "\($0.byteCount) bytes \($0.seconds * 1e3) ms" }.joined(separator: ", ")
        Console.write("all-reduce on \(shape.nodeCount) nodes: \(times)\n\(yaml)")
      }
    }
  }
}

import ArgumentParser
import Collectives
import Scaling
import ScalingStudies
import Training

/// `mergevq scaling network`.
struct ScalingNetworkCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "network", abstract: "Measure the network between nodes and write its profile.",
    discussion: """
      Times what a step does with gradients and weights, at several sizes, and fits latency and bandwidth to that. \
      Start it on at least two nodes, as you start training:

      mpirun -n 2 --map-by ppr:1:node mergevq scaling network --name mine --output mine.yaml
      """)

  @Option(help: "What the network is called.")
  var name: String

  @Option(help: "The YAML file to write.")
  var output: String

  @Option(help: "How often each size is timed; the median counts.", transform: positive)
  var repetitions = 5

  func run() throws {
    try runCommand { communicator in
      let exchanges = try NetworkMeasurement.exchanges(
        on: communicator, byteCounts: [8, 4 << 20, 32 << 20], repetitions: repetitions)
      let localSize = try communicator.allReduce(Int64(communicator.localSize), .max)
      try communicator.collectively("writing the profile") {
        guard communicator.isFirst else { return }
        let shape = JobShape(
          worldSize: communicator.worldSize, ranksPerNode: Int(localSize), coresPerMachine: Int(localSize))
        let network = try Network(fitting: exchanges, shape: shape, name: name)
        let yaml = try NetworkProfile(network).resolvedYAML()
        try write(text: yaml, to: output)
        let times = exchanges.map { "\($0.byteCount) bytes in \($0.seconds * 1e3) ms" }.joined(separator: ", ")
        Console.write("\(shape.nodeCount) nodes exchange \(times)\n\(yaml)")
      }
    }
  }
}

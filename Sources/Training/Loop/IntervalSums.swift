import Collectives

/// Sums of this rank's values by name, each with how often it was added, and of the times of its steps.
struct IntervalSums {
  private var sums: [(name: String, sum: Double, count: Int)] = []
  private var work = 0.0
  private var data = 0.0
  private var communication = 0.0
  private var stepCount = 0

  /// Whether every value is finite.
  var areFinite: Bool { sums.allSatisfy { $0.sum.isFinite } }

  /// Adds values of one step; those of one name are first added up by the caller, or here.
  mutating func add(_ terms: [(name: String, value: Double)]) {
    for (name, value) in terms { add(name, value, count: 1) }
  }

  /// Adds what one step has gathered, as one value of each name.
  mutating func add(_ step: IntervalSums) {
    for (name, sum, _) in step.sums { add(name, sum, count: 1) }
  }

  /// Adds the times of a step.
  mutating func add(_ times: StepTimes) {
    work += times.work
    data += times.data
    communication += times.communication
    stepCount += 1
  }

  private mutating func add(_ name: String, _ value: Double, count: Int) {
    if let index = sums.firstIndex(where: { $0.name == name }) {
      sums[index].sum += value
      sums[index].count += count
    } else {
      sums.append((name, value, count))
    }
  }

  /// The mean of every value over its additions and all ranks, in the order of first additions. Collective; every rank
  /// must have added the same names.
  func means(_ communicator: any Communicator) throws(CommunicationError) -> [(name: String, value: Double)] {
    var totals = sums.map(\.sum)
    try communicator.allReduce(&totals, .mean)
    return zip(sums, totals).map { (name: $0.name, value: $1 / Double($0.count)) }
  }

  /// The mean times of every rank's steps, by rank. Collective.
  func times(of communicator: any Communicator) throws(CommunicationError) -> [StepTimes] {
    let count = Double(max(stepCount, 1))
    var all = [Double](repeating: 0, count: 3 * communicator.worldSize)
    for (index, value) in [work, data, communication].enumerated() {
      all[3 * communicator.rank + index] = value / count
    }
    let ranges = (0..<communicator.worldSize).map { 3 * $0..<3 * $0 + 3 }
    try all.withUnsafeMutableBufferPointer { (buffer) throws(CommunicationError) in
      try communicator.allGather(buffer, ranges: ranges)
    }
    return ranges.map {
      StepTimes(work: all[$0.lowerBound], data: all[$0.lowerBound + 1], communication: all[$0.lowerBound + 2])
    }
  }
}

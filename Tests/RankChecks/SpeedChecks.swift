import Checkpointing
import Collectives
import Foundation
import MPI
import Tokenizer
import Training

/// What a side of a benchmark took, as `Tests/Benchmarks/Peers/compare.py` reads it.
private struct Measured: Encodable {
  var seconds: [Double]
  /// The largest resident set of the fullest rank meanwhile; nil if the system does not tell.
  var peakBytes: Int?
}

/// `all-reduce BYTES WARMUP REPETITIONS`: sums an array of floats, by our node-aware path and by one `MPI_Allreduce`, by
/// turns; rank 0 prints what each took on the slowest rank, as one line of JSON.
func timeAllReduce(_ communicator: any Communicator, _ arguments: [String]) throws {
  let numbers = arguments.compactMap { Int($0) }
  guard arguments.count == 3, numbers.count == 3, numbers[0] >= 4, numbers[1] >= 0, numbers[2] > 0 else {
    throw CheckFailure(description: "usage: all-reduce BYTES WARMUP REPETITIONS")
  }
  guard let world = communicator as? MPICommunicator else { throw CheckFailure(description: "needs mpirun") }
  let values = UnsafeMutableBufferPointer<Float>.allocate(capacity: numbers[0] / MemoryLayout<Float>.stride)
  values.initialize(repeating: 1)
  defer { values.deallocate() }

  struct Report: Encodable {
    let ranks: Int
    let bytes: Int
    var ours = Measured(seconds: [])
    var peer = Measured(seconds: [])
  }
  var report = Report(ranks: world.worldSize, bytes: numbers[0])
  for repetition in -numbers[1]..<numbers[2] {
    // MPI's own call goes first: what ours keeps from then on would count as its memory.
    for side in [\Report.peer, \.ours] {
      forgetPeakMemory()
      let seconds = try world.slowestTime { () throws(CommunicationError) in
        if side == \.ours { try world.allReduce(values, .sum) } else { try world.allReduceByLibrary(values) }
      }
      let peak = try peakMemoryOfFullestRank(world)
      // The first round touches memory for the first time, so it tells the peaks.
      if repetition == -numbers[1] { report[keyPath: side].peakBytes = peak }
      if repetition >= 0 { report[keyPath: side].seconds.append(seconds) }
      let expected = Float(world.worldSize)
      try expect(values.allSatisfy { $0 == expected }, "the sum of ones is wrong")
      values.update(repeating: 1)
    }
  }
  if world.isFirst { try printLine(report) }
}

/// `checkpoint DIRECTORY WARMUP REPETITIONS`: saves weights, average and moments of the published G+R-d64; rank 0 prints
/// how long that took until every byte was on the disk, and how long it kept training, as one line of JSON.
func timeCheckpoint(_ communicator: any Communicator, _ arguments: [String]) throws {
  let numbers = arguments.dropFirst().compactMap { Int($0) }
  guard arguments.count == 3, numbers.count == 2, numbers[0] >= 0, numbers[1] > 0 else {
    throw CheckFailure(description: "usage: checkpoint DIRECTORY WARMUP REPETITIONS")
  }
  let model = TokenizerModel(TokenizerConfig(), seed: 0)
  let task = PlainTask(communicator, counts: model.parameters.map(\.parameter.count))
  let saves = RunCheckpoints(
    runDirectory: arguments[0], communicator: communicator, retention: CheckpointRetention(last: 1), recipe: "a: 1\n")

  struct Report: Encodable {
    var bytes = 0
    var seconds: [Double] = []
    var blockedSeconds: [Double] = []
    var peakBytes: Int?
  }
  var report = Report()
  for repetition in 0..<numbers[0] + numbers[1] {
    try communicator.barrier()
    let start = ContinuousClock.now
    try saves.begin(task: task, step: repetition + 1, cursor: 0)
    let blocked = ContinuousClock.now - start
    try saves.finish()
    let total = ContinuousClock.now - start
    // Beside the time, as `dd`'s file is removed; else pruning would do it in the next save.
    let written = CheckpointFolder(runDirectory: arguments[0]).directory(ofStep: repetition + 1)
    if communicator.isFirst { try FileManager.default.removeItem(atPath: written) }
    guard repetition >= numbers[0] else { continue }
    report.blockedSeconds.append(try communicator.allReduce(blocked / .seconds(1), .max))
    report.seconds.append(try communicator.allReduce(total / .seconds(1), .max))
  }
  report.bytes = Int(try communicator.allReduce(Int64(task.weights[0].ownRange.count * 16), .sum))
  report.peakBytes = try peakMemoryOfFullestRank(communicator)
  if communicator.isFirst { try printLine(report) }
}

private func printLine(_ report: some Encodable) throws {
  let encoder = JSONEncoder()
  encoder.keyEncodingStrategy = .convertToSnakeCase
  encoder.outputFormatting = .sortedKeys
  print(String(decoding: try encoder.encode(report), as: UTF8.self))
}

/// Lets the kernel begin anew with the largest resident set, where it may.
private func forgetPeakMemory() {
  guard let file = fopen("/proc/self/clear_refs", "w") else { return }
  fputs("5", file)
  fclose(file)
}

/// The largest resident set of the fullest rank since the start, or since it was forgotten, in bytes. Collective.
private func peakMemoryOfFullestRank(_ communicator: any Communicator) throws -> Int? {
  let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
  let line = status.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
  let kibibytes = line.flatMap { Int64($0.split(whereSeparator: \.isWhitespace)[1]) } ?? 0
  let bytes = try communicator.allReduce(1024 * kibibytes, .max)
  return bytes > 0 ? Int(bytes) : nil
}

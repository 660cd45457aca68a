import Collectives
import DataLoading

/// Where a training takes its batches from. One rank has one.
protocol BatchSource<Batch>: AnyObject {
  /// What the task learns from.
  associatedtype Batch

  /// This rank's share of the next round.
  /// - Throws: `DataError`, or what else keeps it from being read.
  func next() throws -> Batch

  /// How many images this rank could not use so far.
  var badImageCount: Int { get }

  /// How many bytes this rank has read so far.
  var byteCount: Int { get }

  /// Ends whatever reads ahead.
  func stop()
}

extension BatchSource {
  /// Nothing that is worth counting.
  var byteCount: Int { 0 }
}

/// Shuffled images; those that cannot be used are listed in the run directory.
final class ImageSource: BatchSource {
  private let loader: BatchLoader
  private let log: BadImageLog

  /// Images from `loader`, whose unusable ones go to `log`.
  /// - Parameter onStall: Told, on this rank, when images do not come for long.
  init(loader: BatchLoader, log: BadImageLog, onStall: @escaping (DataStall) -> Void) {
    self.loader = loader
    self.log = log
    loader.stallHandler = onStall
  }

  func next() throws -> ImageBatch {
    let batch = Result { () throws(DataError) in try loader.next() }
    try log.append(loader.drainBadImages())
    return try batch.get()
  }

  var badImageCount: Int { loader.badCount }
  var byteCount: Int { loader.byteCount }

  func stop() { loader.stop() }
}

extension TrainingReporter {
  /// Says that a rank waits for its images, and for which.
  func tell(_ stall: DataStall, of communicator: any Communicator) {
    message("rank \(communicator.rank) on \(communicator.hostName) \(stall)")
  }
}

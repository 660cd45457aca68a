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
  private let stage: ShardStage?
  private let tell: (_ trouble: String) -> Void

  /// Images from `loader`, whose unusable ones go to `log`.
  /// - Parameters:
  ///   - stage: Where the images' archives are copied to, if they are.
  ///   - tell: Told, on this rank, when images do not come for long, or cannot be copied.
  init(loader: BatchLoader, log: BadImageLog, stage: ShardStage?, tell: @escaping (_ trouble: String) -> Void) {
    self.loader = loader
    self.log = log
    self.stage = stage
    self.tell = tell
    loader.stallHandler = { tell($0.description) }
  }

  func next() throws -> ImageBatch {
    if let problem = stage?.drainProblem() {
      tell("copies no images to 'data.stageDirectory' and goes on with the originals: \(problem)")
    }
    let batch = Result { () throws(DataError) in try loader.next() }
    try log.append(loader.drainBadImages())
    return try batch.get()
  }

  var badImageCount: Int { loader.badCount }
  var byteCount: Int { loader.byteCount }

  func stop() { loader.stop() }
}

extension TrainingReporter {
  /// Says what trouble a rank has with its images.
  func tell(_ trouble: String, of communicator: any Communicator) {
    message("rank \(communicator.rank) on \(communicator.hostName) \(trouble)")
  }
}

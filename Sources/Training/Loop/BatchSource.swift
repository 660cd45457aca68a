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

  /// Ends whatever reads ahead.
  func stop()
}

/// Shuffled images; those that cannot be used are listed in the run directory.
final class ImageSource: BatchSource {
  private let loader: BatchLoader
  private let log: BadImageLog

  /// Images from `loader`, whose unusable ones go to `log`.
  init(loader: BatchLoader, log: BadImageLog) {
    self.loader = loader
    self.log = log
  }

  func next() throws -> ImageBatch {
    let batch = Result { () throws(DataError) in try loader.next() }
    try log.append(loader.drainBadImages())
    return try batch.get()
  }

  var badImageCount: Int { loader.badCount }

  func stop() { loader.stop() }
}

import EventFiles
import Foundation
import Tensors

/// Tells TensorBoard what `metrics.jsonl` says, and shows it pictures and distributions: `RUN/tensorboard`. One rank has
/// one.
final class TensorBoardLog {
  private let file: EventFile

  /// Starts an event file of its own for this start of the run, which has done `step` steps.
  /// - Throws: `RunDirectoryError`, `EventFileError`.
  init(_ directory: RunDirectory, resumingAt step: Int) throws {
    let folder = directory.path + "/tensorboard"
    guard mkdir(folder, 0o755) == 0 || errno == EEXIST else { throw RunDirectoryError.system("mkdir", folder) }
    file = try EventFile(folder: folder, firstStep: step + 1)
  }

  /// A record's values as `train/loss`, `validation/psnr`.
  func append(_ record: MetricsRecord) throws(EventFileError) {
    try file.append(
      step: record.step,
      scalars: record.values.sorted { $0.key < $1.key }.map { ("\(record.kind.rawValue)/\($0.key)", $0.value) })
  }

  /// What a validation shows, as `validation/reconstructions` or `validation/samples`.
  func append(step: Int, _ picture: ValidationPicture, jpeg: [UInt8]) throws(EventFileError) {
    try file.append(
      step: step, tag: "validation/\(picture.kind.rawValue)", encoded: jpeg, width: picture.image.width,
      height: picture.image.height)
  }

  /// The distribution of the weights of every part of a model, as `weights/decoder`, and others by their names.
  func append(
    step: Int, _ weights: ShardedWeights, _ others: [(name: String, values: [Float])]
  ) throws(EventFileError) {
    let parts = Dictionary(grouping: weights.arena.entries) { String($0.name.prefix { $0 != "." }) }
    let ofWeights = parts.sorted { $0.key < $1.key }.map { name, entries in
      let values = entries.map { UnsafeBufferPointer(rebasing: weights.arena.values[$0.range]) }
      return (tag: "weights/\(name)", histogram: Histogram(of: values))
    }
    let ofOthers = others.map { (tag: $0.name, histogram: Histogram(of: $0.values)) }
    try file.append(
      step: step,
      histograms: (ofWeights + ofOthers).compactMap { tag, histogram in histogram.map { (tag, $0) } })
  }
}

import Collectives
import DataLoading
import Evaluation
import Tensors

/// Images on their way through Inception, shared by the ranks.
///
/// Which images are computed together depends on their number alone, and everything is added up exactly: any number of
/// ranks gets the same bits.
struct InceptionMeasurement {
  let network: InceptionNetwork
  var options: FeatureTotals.Options

  /// Images computed together.
  private static let batchSize = 16

  /// What was found.
  struct Result {
    var totals: FeatureTotals
    var imageCount: Int
    /// SHA-256 of the images as they were seen.
    var pixels: String
  }

  /// Judges images. Collective.
  /// - Parameters:
  ///   - resolution: Height and width that they are judged at.
  ///   - isExact: Whether they must have that size; they are resized and cropped otherwise.
  ///   - progress: Called on rank 0 with the images that are done of its share.
  /// - Throws: `PeerFailure` with the `DataError` of an image that cannot be read or has another size.
  func result(
    of images: some ImageDataset, resolution: Int, isExact: Bool, on communicator: any Communicator,
    progress: (_ done: Int, _ count: Int) -> Void
  ) throws -> Result {
    let count = images.count
    var totals = FeatureTotals(imageCount: count, options: options)
    var pixels = PixelHash()
    let batches = (count + Self.batchSize - 1) / Self.batchSize
    let (rank, ranks) = (communicator.rank, communicator.worldSize)
    let own = batches * rank / ranks..<batches * (rank + 1) / ranks
    let view = ViewOptions(resolution: resolution).deterministic
    try communicator.collectively("judging images") {
      for batch in own {
        let indices = batch * Self.batchSize..<min(count, (batch + 1) * Self.batchSize)
        var values: [Float] = []
        for index in indices {
          let image = try images.image(at: index)
          guard !isExact || (image.width, image.height) == (resolution, resolution) else {
            throw DataError(
              path: images.name(of: index),
              reason: .undecodable(
                detail: "it has \(image.width)×\(image.height) pixels, expected \(resolution)×\(resolution) as the "
                  + "first; samples are judged as they are"))
          }
          values += view.values(of: image)
        }
        let tensor = Tensor(values, shape: [indices.count, resolution, resolution, 3])
        pixels.add(tensor)
        totals.add(network(unitRange(tensor), by: options.convention), at: indices)
        if communicator.isFirst { progress(batch + 1 - own.lowerBound, own.count) }
      }
    }
    try totals.gather(on: communicator)
    return Result(totals: totals, imageCount: count, pixels: try pixels.gathered(on: communicator))
  }
}

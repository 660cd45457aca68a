/// Reads, decodes and views single images; shared by the loader threads.
struct ImageLoading: Sendable {
  let dataset: any ImageDataset
  let plan: BatchPlan
  let options: LoaderOptions

  /// What came of one position.
  struct Result: Sendable {
    /// `nil` where no image could be used.
    var image: (views: [[UInt8]], label: Int32, sampleIndex: Int)?
    /// Images that were tried before and could not be used.
    var badImages: [BadImage] = []
    /// Bytes of encoded images that were read.
    var byteCount = 0
  }

  /// Loads the image of a position or its replacement. A pure function of the position, whatever the thread.
  func load(position: Int) -> Result {
    var result = Result()
    for attempt in 0..<plan.candidateCount {
      let sample = plan.candidate(attempt, at: position)
      do throws(DataError) {
        let views = try views(of: sample, position: position, byteCount: &result.byteCount)
        result.image = (views, dataset.label(of: sample), sample)
        return result
      } catch {
        result.badImages.append(
          BadImage(name: dataset.name(of: sample), reason: error.reason.description, sampleIndex: sample))
      }
    }
    return result
  }

  /// What to call the image that is intended for a position.
  func name(position: Int) -> String { dataset.name(of: plan.candidate(0, at: position)) }

  private func views(of sample: Int, position: Int, byteCount: inout Int) throws(DataError) -> [[UInt8]] {
    let epoch = plan.sampler.epoch(at: position)
    guard let dataset = dataset as? any EncodedImageDataset else {
      let image = try dataset.image(at: sample, decoding: options.decoding)
      return options.views.indices.map { options.pixels(of: image, view: $0, sample: sample, epoch: epoch) }
    }
    let bytes = try dataset.bytes(at: sample)
    byteCount += bytes.count
    let image = try EncodedImage(bytes, name: dataset.name(of: sample), options: options.decoding)
    return try options.pixels(of: image, sample: sample, epoch: epoch)
  }

  /// Puts the images of a batch together.
  func batch(of results: [Result], firstPosition: Int) -> ImageBatch {
    let images = results.compactMap(\.image)
    let views = options.views.indices.map { view in
      let options = options.views[view]
      let imageCount = options.resolution * options.resolution * 3
      let pixels = [Float](unsafeUninitializedCapacity: images.count * imageCount) { values, count in
        for (index, image) in images.enumerated() {
          let place = UnsafeMutableBufferPointer(rebasing: values[(index * imageCount)..<((index + 1) * imageCount)])
          options.normalization.normalize(image.views[view], into: place)
        }
        count = images.count * imageCount
      }
      return ImageView(resolution: options.resolution, pixels: pixels)
    }
    return ImageBatch(
      views: views, labels: images.map(\.label), sampleIndices: images.map(\.sampleIndex),
      firstGlobalIndex: firstPosition, epoch: plan.sampler.epoch(at: firstPosition))
  }
}

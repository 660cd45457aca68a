import Evaluation
import Layers
import Tensors
import TestSupport
import Testing

/// Metrics against the numbers of published implementations.
struct EvaluationParityTests {
  @Test(arguments: Fixture.all(ofKind: "inception_fid"))
  func inceptionAgrees(fixture: Fixture) throws {
    let file = try fixture.open()
    var random = SplitMix64(seed: 0)
    let network = InceptionNetwork(using: &random)
    network.setWeights(by: WeightsByRule(salt: file.metadata["salt"] ?? ""))
    let output = network(try channelsLast(file.floats("input.image01"), shape: file.shape(of: "input.image01")))
    for (name, found) in [
      ("maxpool2_mean", pixelMeans(output.secondPool)), ("mixed6e_mean", pixelMeans(output.penultimateStage)),
      ("pool2048", output.features), ("logits1008", output.logits),
    ] {
      expectClose(found.values, try file.floats("output.\(name)"), name)
    }
  }

  @Test(arguments: Fixture.all(ofKind: "fid"))
  func theFrechetDistanceAndTheInceptionScoreAgree(fixture: Fixture) throws {
    let file = try fixture.open()
    func gaussian(_ name: String) throws -> GaussianStatistics? {
      let shape = try file.shape(of: name)
      let features = try file.doubles(name)
      var statistics = FeatureStatistics(dimensionCount: shape[1])
      // Chunks of uneven size.
      for start in stride(from: 0, to: shape[0], by: 37) {
        statistics.add(Array(features[start * shape[1]..<min(shape[0], start + 37) * shape[1]]))
      }
      return statistics.gaussian
    }
    let (a, b) = (try #require(try gaussian("input.a")), try #require(try gaussian("input.b")))
    let expected = try #require(file.metadata["fid"].flatMap { Double($0) })
    expectClose(frechetDistance(a, b), expected, "distance")
    expectClose(frechetDistance(b, a), expected, "distance the other way round")

    let shape = try file.shape(of: "input.is_logits")
    let logits = try file.doubles("input.is_logits")
    var score = InceptionScore(imageCount: shape[0], classCount: shape[1], parts: .count(2))
    for image in (0..<shape[0]).reversed() {
      score.add(logits: logits[image * shape[1]..<(image + 1) * shape[1]], at: image)
    }
    let mean = try #require(file.metadata["inception_score_mean"].flatMap { Double($0) })
    let deviation = try #require(file.metadata["inception_score_std"].flatMap { Double($0) })
    expectClose(score.result.mean, mean, "score")
    expectClose(score.result.standardDeviation, deviation, "its deviation")
  }

  @Test(arguments: Fixture.all(ofKind: "image_quality"))
  func structuralSimilarityAndSignalToNoiseAgree(fixture: Fixture) throws {
    let file = try fixture.open()
    let shape = try file.shape(of: "input.image")
    let images = channelsLast(try file.floats("input.image"), shape: shape).values
    let references = channelsLast(try file.floats("input.reference"), shape: shape).values
    let similarities = try #require(Fixture.json("ssim", of: file) as? [Double])
    let ratios = try #require(Fixture.json("psnr", of: file) as? [Double])
    let size = images.count / shape[0]
    for index in 0..<shape[0] {
      images[index * size..<(index + 1) * size].withUnsafeBufferPointer { image in
        references[index * size..<(index + 1) * size].withUnsafeBufferPointer { reference in
          expectClose(
            ImageQuality.structuralSimilarity(
              image, reference, height: shape[2], width: shape[3], channels: shape[1]), similarities[index], "SSIM")
          expectClose(ImageQuality.peakSignalToNoise(image, reference, range: 1), ratios[index], "PSNR")
        }
      }
    }
  }

  /// `[B, C, H, W]` as a tensor `[B, H, W, C]`.
  private func channelsLast(_ values: [Float], shape: [Int]) -> Tensor {
    let (batch, channels, pixels) = (shape[0], shape[1], shape[2] * shape[3])
    let y = Tensor(uninitialized: [batch, shape[2], shape[3], channels])
    for sample in 0..<batch {
      for channel in 0..<channels {
        for pixel in 0..<pixels {
          y.pointer[(sample * pixels + pixel) * channels + channel] =
            values[(sample * channels + channel) * pixels + pixel]
        }
      }
    }
    return y
  }
}

import DataLoading
import Evaluation
import Foundation
import Tensors
import Tokenizer

/// Shows what a trained tokenizer makes of images, at one keep count or at several beside each other.
public struct TokenizerReconstruction {
  /// Images drawn of each path at most, evenly spread over what it holds.
  public static let imageLimit = 16

  private let tokenizer: TrainedTokenizer
  private let inference: TokenizerInference
  private let keepCounts: [Int]
  private let source: SourceChoice

  /// Reconstructs with a trained tokenizer.
  /// - Parameters:
  ///   - tokenizer: What reconstructs.
  ///   - keepCounts: Tokens to keep of each image; empty for the recipe's default.
  ///   - source: What expands tokens to positions.
  /// - Throws: `ConfigError` if a keep count cannot be reached, or there is no learned source.
  public init(_ tokenizer: TrainedTokenizer, keepCounts: [Int] = [], source: SourceChoice = .actual) throws {
    self.tokenizer = tokenizer
    self.keepCounts = keepCounts.isEmpty ? [tokenizer.recipe.model.defaultKeepCount] : keepCounts
    self.source = source
    try tokenizer.check(keepCounts: self.keepCounts, source: source)
    inference = TokenizerInference(tokenizer)
  }

  /// One image at one keep count.
  private struct Sample {
    let original: PixelImage
    let reconstruction: PixelImage
    let groups: [Int32]
    let peakSignalToNoise: Double
    /// The share of positions whose group is predicted right; nil without a learned recovery.
    let sourcesRight: Double?
  }

  /// What the images of one keep count have in common.
  public struct Row: Sendable, Equatable {
    /// Tokens kept.
    public let keepCount: Int
    /// Mean over the images, in dB.
    public let peakSignalToNoise: Double
    /// The mean share of positions whose group the learned recovery predicts right; nil without one.
    public let sourcesRight: Double?
  }

  /// Writes the picture: original | reconstruction | merge map for one keep count, otherwise original and a column for
  /// each keep count.
  /// - Parameters:
  ///   - images: Image files, folders of images, or any data set that training takes.
  ///   - path: The PNG file.
  /// - Returns: Means over the images that the picture shows.
  /// - Throws: `DataError` for an image that cannot be read, or if the picture cannot be written.
  @discardableResult
  public func write(images: [String], to path: String) throws -> [Row] {
    let selection = try ImageSelection(paths: images, limit: Self.imageLimit)
    let samples = try (0..<selection.count).map { index in
      let image = try selection.image(at: index)
      return keepCounts.map { sample(image, keep: $0) }
    }
    let names = (0..<selection.count).map { (selection.name(of: $0) as NSString).lastPathComponent }
    let picture = keepCounts.count == 1 ? single(samples, names) : study(samples, names)
    try picture.writePNG(to: path)
    return keepCounts.indices.map { column in
      let ofCount = samples.map { $0[column] }
      let right = ofCount.compactMap(\.sourcesRight)
      return Row(
        keepCount: keepCounts[column], peakSignalToNoise: mean(ofCount.map(\.peakSignalToNoise)),
        sourcesRight: right.isEmpty ? nil : mean(right))
    }
  }

  /// The means as a table for people.
  public static func table(_ rows: [Row]) -> String {
    let hasSources = rows.contains { $0.sourcesRight != nil }
    let head = "tokens   PSNR, dB" + (hasSources ? "   sources predicted right" : "") + "\n"
    return head
      + rows.map { row in
        let tokens = String(row.keepCount)
        return String(repeating: " ", count: 6 - tokens.count) + tokens + "   "
          + String(format: "%8.2f", row.peakSignalToNoise)
          + (row.sourcesRight.map { String(format: "   %21.1f %%", 100 * $0) } ?? "") + "\n"
      }.joined()
  }

  private func sample(_ image: PixelImage, keep: Int) -> Sample {
    let size = tokenizer.recipe.model.resolution
    let input = Tensor(inference.view.values(of: image), shape: [1, size, size, 3])
    return withoutGradient {
      let encoded = tokenizer.model.encode(input, keep: keep)
      let predicted = tokenizer.model.predictedGroups(encoded)
      let output = tokenizer.model.decode(encoded, source: source)
      return Sample(
        original: PixelImage(input), reconstruction: PixelImage(output), groups: encoded.groups,
        peakSignalToNoise: ImageError(of: output, to: input, sample: 0).peakSignalToNoise,
        sourcesRight: predicted.map { shareAlike($0, encoded.groups) })
    }
  }

  private var title: String {
    let config = tokenizer.recipe.model
    let kept = keepCounts.map(String.init).joined(separator: ", ")
    return "\(tokenizer.title): \(kept) of \(config.positionCount) tokens, \(config.codeBits) bits each"
      + (source == .learned ? ", source predicted" : "")
  }

  private func caption(_ sample: Sample) -> String {
    String(format: "%.1f dB", sample.peakSignalToNoise)
      + (source == .learned ? sample.sourcesRight.map { String(format: ", %.0f %% right", 100 * $0) } ?? "" : "")
  }

  private func single(_ samples: [[Sample]], _ names: [String]) -> PixelImage {
    ReconstructionPicture(
      title: title,
      samples: zip(samples, names).map { samples, name in
        ReconstructionPicture.Sample(
          original: samples[0].original, reconstruction: samples[0].reconstruction,
          mergeMap: MergeMap(squareOf: samples[0].groups), caption: "\(name)  \(caption(samples[0]))")
      }
    ).image()
  }

  private func study(_ samples: [[Sample]], _ names: [String]) -> PixelImage {
    LabelledGrid(
      title: "\(tokenizer.title): tokens of \(tokenizer.recipe.model.positionCount)",
      images: samples.flatMap { [$0[0].original] + $0.map(\.reconstruction) },
      labels: zip(samples, names).flatMap { samples, name in
        [name] + zip(keepCounts, samples).map { "\($0): \(caption($1))" }
      }, columns: keepCounts.count + 1
    ).image()
  }
}

/// The share of positions at which two arrays agree.
func shareAlike(_ a: [Int32], _ b: [Int32]) -> Double {
  Double(zip(a, b).count { $0 == $1 }) / Double(max(a.count, 1))
}

private func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(max(values.count, 1)) }

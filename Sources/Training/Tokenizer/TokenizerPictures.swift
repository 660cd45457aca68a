public import DataLoading
import Evaluation
import Foundation
import Tensors
public import Tokenizer

/// Shows what a tokenizer keeps of images.
public struct TokenizerPictures {
  private let model: TokenizerModel
  private let view: ViewOptions

  /// Pictures by `model` of images seen through `view`, which must have the model's resolution.
  public init(model: TokenizerModel, view: ViewOptions) {
    self.model = model
    self.view = view
  }

  /// Original | reconstruction | merge map, with class and PSNR, for some images of a data set.
  ///
  /// Images are reconstructed one after the other, so that any number of them fits into memory.
  /// - Parameters:
  ///   - dataset: Where the images are.
  ///   - indices: Which of its images, one row each.
  ///   - keep: Tokens to keep of each.
  ///   - title: Stands above the picture.
  /// - Throws: `DataError` for an image that cannot be read.
  public func reconstructions(
    of dataset: any ImageDataset, at indices: [Int], keep: Int, title: String
  ) throws -> PixelImage {
    let samples = try indices.map { index in
      let image = try dataset.image(at: index)
      let name =
        dataset.classNames.isEmpty
        ? (dataset.name(of: index) as NSString).lastPathComponent : dataset.classNames[Int(dataset.label(of: index))]
      return sample(image, name: name, keep: keep)
    }
    let positions = model.config.positionCount
    return ReconstructionPicture(
      title: "\(title): \(keep) of \(positions) tokens, \(model.config.codeBits) bits each", samples: samples
    ).image()
  }

  private func sample(_ image: PixelImage, name: String, keep: Int) -> ReconstructionPicture.Sample {
    let size = model.config.resolution
    let input = Tensor(view.values(of: image), shape: [1, size, size, 3])
    let output = withoutGradient { model(input, keep: keep) }
    let error = ImageError(of: output.reconstruction, to: input, sample: 0)
    return ReconstructionPicture.Sample(
      original: PixelImage(input), reconstruction: PixelImage(output.reconstruction),
      mergeMap: MergeMap(squareOf: output.groups),
      caption: "\(name)  " + String(format: "%.1f dB", error.peakSignalToNoise))
  }
}

extension PixelImage {
  /// One image of shape `[1, H, W, 3]` with values in `[-1, 1]`, clamped and rounded to 8 bits.
  init(_ image: Tensor) {
    let bytes = image.values.map { UInt8((min(1, max(-1, $0)) * 127.5 + 127.5).rounded()) }
    self.init(width: image.shape[2], height: image.shape[1], pixels: bytes)
  }
}

import DataLoading
import Generator
import Tensors
import Tokenizer

/// Turns codes into pictures, one image after the other, so that a picture does not depend on those beside it.
struct CodePictures {
  let tokenizer: TrainedTokenizer

  /// Decodes one image's merged tokens.
  /// - Parameters:
  ///   - codes: K codes.
  ///   - groups: The token that each of the L positions belongs to.
  func picture(codes: [Int32], groups: [Int32]) -> PixelImage {
    ConvolutionPrecision.$current.withValue(tokenizer.recipe.run.convolutions) {
      withoutGradient { PixelImage(tokenizer.model.decode(indices: codes, groups: groups, batch: 1)) }
    }
  }

  /// Decodes one image's codes in raster order, one per position.
  func picture(rasterCodes codes: [Int32]) -> PixelImage {
    picture(codes: codes, groups: codes.indices.map { Int32($0) })
  }

  /// Decodes one image's tokens whose groups nobody knows, by the learned source recovery.
  /// - Parameters:
  ///   - codes: K codes.
  ///   - cells: The raster position of each token's representative, which belongs to the token.
  /// - Precondition: The tokenizer has a source recovery.
  func picture(codes: [Int32], cells: [Int32]) -> PixelImage {
    let model = tokenizer.model
    guard let recovery = model.recovery else { fatalError("picture(codes:cells:): no source recovery") }
    var groups = withoutGradient {
      let vectors = codeVectors(codes, bits: model.config.codeBits)
        .reshaped([1, codes.count, model.config.codeBits])
      return SourceRecovery.groups(
        fromLogits: recovery(vectors, representatives: recovery.usesPositions ? cells : nil))
    }
    for (token, cell) in cells.enumerated() { groups[Int(cell)] = Int32(token) }
    return picture(codes: codes, groups: groups)
  }
}

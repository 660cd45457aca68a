import DataLoading
import Generator
import Tensors
import Tokenizer

/// Turns codes into pictures, one image after the other, so that a picture does not depend on those beside it.
struct CodePictures {
  let tokenizer: TrainedTokenizer

  /// Pictures by a tokenizer of the caller's choice.
  init(tokenizer: TrainedTokenizer) { self.tokenizer = tokenizer }

  /// Pictures by the tokenizer that a generator's codes belong to.
  /// - Parameters:
  ///   - named: Where the user says it is, if so.
  ///   - trainedWith: Where it was for training; where nobody says, it is where it was when it made the codes.
  ///   - order: The order of the generator.
  ///   - option: How the user names another tokenizer, for messages.
  /// - Throws: As `TrainedTokenizer.init(path:weights:)`; `CodeFileError` if it is another tokenizer; `ConfigError` if it
  ///   cannot decode what a generator in that order draws.
  init(
    tokenizer named: String? = nil, trainedWith: String?, of codes: CodeProperties, order: GeneratorConfig.Order,
    option: String
  ) throws {
    let path = named ?? trainedWith ?? codes.tokenizer.checkpoint
    do {
      tokenizer = try TrainedTokenizer(path: path)
    } catch let error as ConfigError where named == nil {
      throw ConfigError(
        origin: path,
        problem: "the tokenizer of this generator, \(codes.tokenizer.text), is not there any more; "
          + "say where it is with \(option) (\(error.problem))")
    }
    guard tokenizer.identity == codes.tokenizer else {
      throw CodeFileError(
        path: tokenizer.path,
        problem: "is \(tokenizer.identity.text), but the generator speaks the codes of "
          + "\(codes.tokenizer.text); name that tokenizer with \(option)")
    }
    if order == .random && tokenizer.model.recovery == nil {
      throw ConfigError(
        origin: tokenizer.path,
        problem:
          "has no source recovery ('model.recoveryWidth' is 0), so nobody can tell which positions the tokens of a "
          + "generator in random order cover; train the tokenizer with one, or a generator in order raster")
    }
  }

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

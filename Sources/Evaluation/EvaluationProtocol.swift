/// How images are judged by Inception. Figures of different protocols must not be compared with each other.
public enum EvaluationProtocol: String, Sendable, Codable, CaseIterable {
  /// The program `pytorch-fid`: images resized between pixel centres, `[0, 1]` to `[-1, 1]`; Inception Score of ten equal
  /// parts.
  case pytorchFID = "pytorch-fid"
  /// The evaluation suite of Dhariwal and Nichol (2021): images of 8 bits, resized as TensorFlow 1 does,
  /// `(byte − 128) / 128`; logits without bias, Inception Score of parts of 5,000 images.
  case adm

  /// How the Inception Score divides images.
  public var inceptionScoreParts: InceptionScore.Parts {
    switch self {
    case .pytorchFID: .count(10)
    case .adm: .size(5000)
    }
  }

  /// What a report says of the protocol.
  public var definitions: [String: String] {
    let (resize, parts) =
      switch self {
      case .pytorchFID:
        (
          "bilinear resize to 299 between pixel centres, pixels not rounded to 8 bits, scaled to [-1, 1]",
          "10 equal parts, 1008 classes, logits with bias"
        )
      case .adm:
        (
          "pixels rounded to 8 bits, bilinear resize to 299 between pixel corners (TensorFlow 1), (byte - 128) / 128",
          "parts of 5000, 1008 classes, logits without bias"
        )
      }
    return [
      "fid": "Inception-v3 pool features (2048), float64, \(resize)", "inceptionScore": parts,
      "sfid": "Inception-v3, first 7 channels of Mixed_6d.branch1x1 at 17 x 17 (2023)",
      "precision, recall": "k = 3, Inception-v3 pool features",
    ]
  }
}

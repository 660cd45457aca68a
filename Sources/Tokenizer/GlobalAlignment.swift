public import Tensors

/// What the class token is trained to know: a frozen teacher's view of the same image, or its class (method 1.5).
public enum GlobalAlignment: Sendable, Equatable {
  /// `T²·mean_n KL(softmax(teacher/T) ‖ softmax(student/T))`.
  case divergence(temperature: Float)
  /// `−mean_{n,c} ŝ_nc·t̂_nc` of vectors of unit length: as published a mean over the channels, too, so at most 1/C.
  case product
  /// Cross-entropy with the image's class, label smoothing ε.
  case labels(smoothing: Float)

  /// Whether a teacher is asked.
  public var needsTeacher: Bool { if case .labels = self { false } else { true } }

  /// The loss, a scalar.
  /// - Parameters:
  ///   - student: What the head makes of images, shape `[B, C]`.
  ///   - teacher: What the teacher makes of them, the shape of `student`; no gradient flows into it.
  ///   - labels: The images' classes in `0..<C`, B of them.
  /// - Precondition: There is a teacher where one is needed.
  public func callAsFunction(student: Tensor, teacher: Tensor?, labels: [Int32]) -> Tensor {
    func asked() -> Tensor {
      require(teacher != nil, "GlobalAlignment: \(self) without a teacher")
      return teacher ?? student
    }
    switch self {
    case .divergence(let temperature):
      return softmaxDivergence(student: student, teacher: asked(), temperature: temperature)
    case .product: return 1 / Float(student.channels) * negativeNormalizedProduct(student, asked())
    case .labels(let smoothing): return crossEntropy(student, targets: labels, labelSmoothing: smoothing)
    }
  }
}

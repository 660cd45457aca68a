import Tensors
import Testing
import Tokenizer

struct GlobalAlignmentTests {
  private let student = Tensor([3, 4, 0, 1, 0, 0], shape: [2, 3])
  private let teacher = Tensor([0, 2, 0, -5, 0, 0], shape: [2, 3])

  @Test func theProductIsAMeanOverSamplesAndChannels() {
    // Unit vectors (0.6, 0.8, 0)·(0, 1, 0) and (1, 0, 0)·(−1, 0, 0): −(0.8 − 1)/6.
    let alignment = GlobalAlignment.product
    let loss = alignment(student: student, teacher: teacher, labels: [])
    #expect(abs(loss.item - 0.2 / 6) < 1e-6)
    #expect(alignment.needsTeacher)
  }

  @Test func theDivergenceOfEqualsIsNothing() {
    let alignment = GlobalAlignment.divergence(temperature: 4)
    #expect(abs(alignment(student: teacher, teacher: teacher, labels: []).item) < 1e-6)
    #expect(alignment(student: student, teacher: teacher, labels: []).item > 0.1)
    #expect(alignment.needsTeacher)
  }

  @Test func classesNeedNoTeacher() {
    let alignment = GlobalAlignment.labels(smoothing: 0.1)
    let loss = alignment(student: student, teacher: nil, labels: [1, 0])
    #expect(loss.item == crossEntropy(student, targets: [1, 0], labelSmoothing: 0.1).item)
    #expect(!alignment.needsTeacher)
  }
}

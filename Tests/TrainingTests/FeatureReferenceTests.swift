import Checkpointing
import Collectives
import Evaluation
import Foundation
import Tensors
import Testing

@testable import Training

/// Statistics of reference images on their way through files, and images in `.npz` files.
struct FeatureReferenceTests {
  private static let dimensions = InceptionNetwork.featureCount

  /// Writes statistics as other programs do, without saying where they come from.
  private func writeForeign(to path: String, change: (inout [Double]) -> Void = { _ in }) throws {
    let writer = try NumPyArchiveWriter(path: path)
    try writer.begin("mu", elementType: .float64, shape: [Self.dimensions])
    try writer.append(numbers: (0..<Self.dimensions).map { Double($0) / 100 })
    var covariance = [Double](repeating: 0, count: Self.dimensions * Self.dimensions)
    for index in 0..<Self.dimensions { covariance[index * Self.dimensions + index] = 1 + Double(index % 3) }
    change(&covariance)
    try writer.begin("sigma", elementType: .float64, shape: [Self.dimensions, Self.dimensions])
    try writer.append(numbers: covariance)
    try writer.finish()
  }

  private func failure(_ path: String) -> String {
    do {
      _ = try FeatureReference(path: path)
      return "accepted"
    } catch {
      return "\(error)"
    }
  }

  @Test func statisticsOfOtherProgramsAreReadAndWhatIsNoneIsRefused() throws {
    try withTemporaryFolder { folder in
      try writeForeign(to: folder + "/train.npz")
      #expect(try FeatureReference.isStatistics(folder + "/train.npz"))
      let reference = try FeatureReference(path: folder + "/train.npz")
      #expect(reference.gaussian.mean[150] == 1.5)
      #expect(reference.gaussian.covariance[1 * Self.dimensions + 1] == 2)
      #expect(reference.spatialGaussian == nil && reference.features.isEmpty)
      #expect(reference.provenance.images == nil && reference.provenance.split == "train")
      #expect(reference.provenance.fileSHA256?.count == 64)

      try writeForeign(to: folder + "/skew.npz") { $0[7] = 1 }
      #expect(failure(folder + "/skew.npz").contains("'sigma' is no covariance"))
      try writeForeign(to: folder + "/nan.npz") { $0[0] = .nan }
      #expect(failure(folder + "/nan.npz").contains("'sigma' is no covariance"))
      let writer = try NumPyArchiveWriter(path: folder + "/small.npz")
      try writer.begin("mu", elementType: .float64, shape: [2])
      try writer.append(numbers: [1.0, 2.0])
      try writer.finish()
      #expect(failure(folder + "/small.npz").contains("'mu' has shape [2], expected [2048]"))
      #expect(failure(folder + "/none.npz").contains("none.npz: open failed"))
    }
  }

  @Test func whatIsComputedOfImagesIsWrittenWithWhereItComesFrom() throws {
    try withTemporaryFolder { folder in
      var reference = try FeatureReference.computed(
        ofImages: ["drawn:6,resolution=16,seed=2"], resolution: 16, split: "train", convention: .adm,
        inception: JudgingNetwork.standIn, keepsFeatures: true, limit: 5, on: SingleCommunicator()
      ) { _, _ in }
      try reference.write(to: NewOutput(folder + "/reference.npz"))
      let read = try FeatureReference(path: folder + "/reference.npz")
      #expect(read.gaussian.mean == reference.gaussian.mean)
      #expect(read.gaussian.covariance == reference.gaussian.covariance)
      #expect(read.spatialGaussian?.covariance == reference.spatialGaussian?.covariance)
      #expect(read.features == reference.features && read.features.count == 5 * Self.dimensions)
      #expect(read.provenance.images == reference.provenance.images)
      let images = try #require(read.provenance.images)
      #expect(images.count == 5 && images.convention == .adm && images.network.isStandIn)
      #expect(images.split == "train" && images.view.contains("16 × 16"))
      // A file's words are its comment's.
      reference.provenance = read.provenance
      #expect(read.provenance.file == folder + "/reference.npz")
    }
  }

  @Test(arguments: [
    (["data/tiny/val"], "val"), (["ILSVRC2012_img_train.tar"], "train"), (["/test/x/y/train-256.npz"], "train"),
    (["a/validation/cats"], "validation"), (["a/train/x", "a/test/y"], "test"), (["drawn:6"], nil),
    (["interval/contest"], nil),
  ])
  func namesOfImagesTellTheirSplit(paths: [String], expected: String?) {
    #expect(SplitName(paths: paths)?.name == expected)
  }

  @Test func validationAndTestImagesAreHeldOut() {
    #expect(["val", "validation", "Test2019"].allSatisfy { SplitName($0).isHeldOut })
    #expect(["train", "training", "interval"].allSatisfy { !SplitName($0).isHeldOut })
  }

  @Test func imagesOfAnArrayAreADataSet() throws {
    try withTemporaryFolder { folder in
      let writer = try NumPyArchiveWriter(path: folder + "/images.npz")
      try writer.begin("arr_0", shape: [3, 2, 4, 3])
      try writer.append((0..<3 * 24).map { UInt8($0) })
      try writer.finish()
      let selection = try ImageSelection(
        paths: [folder + "/images.npz", "drawn:2,resolution=16"], communicator: SingleCommunicator())
      #expect(selection.count == 5)
      let image = try selection.image(at: 1)
      #expect((image.width, image.height) == (4, 2) && image.pixels == (24..<48).map { UInt8($0) })
      #expect(selection.name(of: 2) == folder + "/images.npz!2")

      try writeForeign(to: folder + "/statistics.npz")
      #expect {
        _ = try ImageSelection(paths: [folder + "/statistics.npz"], communicator: SingleCommunicator())
      } throws: { error in
        "\(error)".contains("expected arr_0 of N×H×W×3 bytes, found mu [2048] of F64, sigma [2048, 2048] of F64")
      }
    }
  }
}

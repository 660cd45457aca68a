import Foundation
import Testing

@testable import DataLoading

/// Pillow's, torchvision's and timm's results are stored by `make_augmentation_fixtures.py`.
struct AugmentationTests {
  private let picture: PixelImage

  init() throws {
    picture = try PixelImage(decoding: contents(ofFixture: "resize-wide.png"), name: "resize-wide.png")
  }

  private func lines(ofFixture name: String) throws -> [[String]] {
    String(decoding: try contents(ofFixture: name), as: UTF8.self).split(separator: "\n").map {
      $0.split(separator: " ").map(String.init)
    }
  }

  @Test func operationsAgreeWithTorchvisionAndTimm() throws {
    let sheet = try PixelImage(decoding: contents(ofFixture: "augmented.png"), name: "augmented.png")
    let lines = try lines(ofFixture: "augmented.txt")
    let picture = picture.cropped(to: PixelWindow(columns: 8..<40, rows: 6..<30))
    #expect(sheet.height == lines.count * picture.height && lines.count > 40)
    for (index, line) in lines.enumerated() {
      var found = picture
      for step in line.split(separator: "|") { found = try applied(found, Array(step)) }
      let rows = (index * picture.height)..<((index + 1) * picture.height)
      let expected = sheet.cropped(to: PixelWindow(columns: 0..<picture.width, rows: rows))
      let differences = zip(found.pixels, expected.pixels).map { abs(Int($0) - Int($1)) }
      let text = line.joined(separator: " ")
      // Interpolated and convolved values may round the other way; all others are whole-number rules.
      let isInterpolated = ["Rotate", "Shear", "Translate", "blur"].contains { text.contains($0) }
      let allowedCount = isInterpolated ? differences.count / 1000 : 0
      #expect(differences.max() ?? 0 <= (isInterpolated ? 1 : 0), "\(text)")
      #expect(differences.count { $0 > 0 } <= allowedCount, "\(text)")
    }
  }

  private func applied(_ image: PixelImage, _ step: [String]) throws -> PixelImage {
    let argument = try #require(Double(step[1]))
    switch step[0] {
    case "brightness": return image.withBrightness(argument)
    case "contrast": return image.withContrast(argument)
    case "saturation": return image.withSaturation(argument)
    case "hue": return image.withHueTurned(by: argument)
    case "greyscale": return image.desaturated()
    case "blur9": return image.blurred(sigma: argument, kernelSize: 9)
    case "blur23": return image.blurred(sigma: argument, kernelSize: 23)
    default:
      let name = step[0].split(separator: ":").map(String.init)
      let operation = try #require(RandAugment.Operation(rawValue: name[0]), "\(step[0])")
      return operation.apply(to: image, argument, interpolation: name.last == "linear" ? .linear : .cubic)
    }
  }

  @Test func strengthsMeanWhatTheyMeanToTimm() throws {
    let lines = try lines(ofFixture: "augmented-strengths.txt")
    #expect(lines.count == RandAugment.Operation.allCases.count * 12)
    for line in lines {
      let operation = try #require(RandAugment.Operation(rawValue: line[0]))
      let (strength, expected) = (try #require(Double(line[1])), try #require(Double(line[3])))
      let found = operation.argument(strength: strength, isNegative: line[2] == "-1")
      #expect(abs(found - expected) < 1e-12, "\(line)")
    }
  }

  @Test func timmsNotationIsRead() {
    #expect(RandAugment(timmName: "rand-m7-mstd0.5-inc1") == RandAugment())
    #expect(RandAugment(timmName: "rand-m9-inc1-n3")?.operationCount == 3)
    #expect(RandAugment(timmName: "rand-m9-inc1")?.magnitudeDeviation == 0)
    for text in [
      "", "rand", "rand-inc1", "rand-m11-inc1", "rand-m7-mstd0.5", "augmix-m5", "rand-m7-inc1-x", "rand-m7-n0-inc1",
    ] {
      #expect(RandAugment(timmName: text) == nil, "\(text)")
    }
  }

  @Test func aResizedCropAgreesWithTorchvision() throws {
    let expected = try PixelImage(decoding: contents(ofFixture: "augmented-crop.png"), name: "augmented-crop.png")
    let part = picture.cropped(to: PixelWindow(columns: 13..<53, rows: 7..<31))
    #expect(part.resized(width: 20, height: 20) == expected)
  }

  @Test func randomPartsHaveTheStatedAreasAndProportions() {
    let view = ViewOptions(crop: .randomResized, cropArea: 0.1...0.4)
    var random = KeyedRandom(seed: 3, purpose: .view, epoch: 0)
    var areas: [Double] = []
    for _ in 0..<2_000 {
      let window = view.randomWindow(ofWidth: 500, height: 375, using: &random)
      areas.append(Double(window.columns.count * window.rows.count) / (500 * 375))
      let aspect = Double(window.columns.count) / Double(window.rows.count)
      #expect((0.74...1.35).contains(aspect) && window.columns.upperBound <= 500 && window.rows.upperBound <= 375)
    }
    // Uniform: all parts of these areas fit.
    #expect(areas.allSatisfy { (0.098...0.402).contains($0) })
    #expect(abs(areas.reduce(0, +) / 2_000 - 0.25) < 0.01)
    #expect(areas.count { $0 < 0.2 } > 600 && areas.count { $0 < 0.2 } < 730)
    let narrow = view.randomWindow(ofWidth: 1_000, height: 10, using: &random)
    #expect(narrow == PixelWindow(columns: 493..<506, rows: 0..<10), "the middle at the widest proportions allowed")
  }

  @Test func aViewDependsOnItsKeyAndOnNothingElse() {
    let view = ViewOptions(
      resolution: 24, crop: .randomResized, randAugment: RandAugment(),
      colors: ColorChanges(
        jitter: .init(brightness: 0.4, contrast: 0.4, saturation: 0.2, hue: 0.1), greyscaleProbability: 0.2,
        blurProbability: 0.5))
    let pixels = { (seed: UInt64, epoch: Int, sample: Int, number: Int) in
      var random = KeyedRandom(seed: seed, purpose: .view, epoch: epoch, sample: sample, view: number)
      return view.pixels(of: picture, using: &random)
    }
    let first = pixels(1, 0, 0, 0)
    #expect(first == pixels(1, 0, 0, 0) && first.count == 24 * 24 * 3)
    for other in [pixels(2, 0, 0, 0), pixels(1, 1, 0, 0), pixels(1, 0, 1, 0), pixels(1, 0, 0, 1)] {
      #expect(first != other)
    }
  }

  /// The pixels of crop and mirroring before there was any augmentation.
  @Test func cropAndMirroringAreWhatTheyAlwaysWere() {
    let view = ViewOptions(resolution: 16, shorterSide: 24)
    var random = KeyedRandom(seed: 5, purpose: .view, epoch: 2, sample: 7)
    let sums = (0..<4).map { _ in
      view.pixels(of: picture, using: &random).enumerated().reduce(0) { ($0 &* 31 &+ Int($1.element)) & 0xFFFF_FFFF }
    }
    #expect(sums == [1_661_353_822, 2_201_865_172, 1_518_491_018, 572_868_182])
  }

  @Test func chancesComeAsOftenAsStated() {
    let colors = ColorChanges(greyscaleProbability: 0.3)
    var random = KeyedRandom(seed: 1, purpose: .view, epoch: 0)
    let dot = PixelImage(width: 1, height: 1, pixels: [200, 100, 50])
    let greyCount = (0..<3_000).count { _ in Set(colors(dot, using: &random).pixels).count == 1 }
    #expect((820...980).contains(greyCount))
    var applied = 0
    let augment = RandAugment(operationCount: 1)
    // Inverting is one operation of fifteen, and half of the draws are applied.
    for _ in 0..<6_000 where augment(dot, using: &random).pixels == [55, 155, 205] { applied += 1 }
    #expect((150...250).contains(applied))
  }

  @Test func jitterStaysInItsRanges() {
    let jitter = ColorChanges.Jitter(brightness: 0.4, contrast: 2, saturation: 0, hue: 0.1)
    var random = KeyedRandom(seed: 9, purpose: .view, epoch: 0)
    let draws = (0..<2_000).map { _ in jitter.draws(using: &random) }
    let extremes = { (values: [Double]) in (values.min() ?? 0, values.max() ?? 0) }
    let (brightness, contrast, hue) = (
      extremes(draws.map { $0.factors[0] }), extremes(draws.map { $0.factors[1] }), extremes(draws.map(\.hueTurn))
    )
    #expect(brightness.0 >= 0.6 && brightness.0 < 0.61 && brightness.1 > 1.39 && brightness.1 <= 1.4)
    #expect(contrast.0 >= 0 && contrast.0 < 0.01 && contrast.1 > 2.98 && contrast.1 <= 3)
    #expect(hue.0 >= -0.1 && hue.0 < -0.099 && hue.1 > 0.099 && hue.1 <= 0.1)
    #expect(Set(draws.map { "\($0.order)" }).count == 24)
    #expect(draws.allSatisfy { $0.factors[2] == 1 })
  }

  @Test func optionsThatMakeNoSenseAreNamed() {
    #expect(ViewOptions(cropArea: 0...1).problem?.contains("cropArea") == true)
    #expect(ViewOptions(cropAspect: 0...1).problem?.contains("cropAspect") == true)
    #expect(ViewOptions(randAugment: RandAugment(magnitude: 11)).problem?.contains("magnitude") == true)
    #expect(ViewOptions(colors: ColorChanges(blurKernelSize: 4)).problem?.contains("blurKernelSize") == true)
    #expect(ViewOptions(colors: ColorChanges(jitter: .init(hue: 0.6))).problem?.contains("hue") == true)
    #expect(ViewOptions().problem == nil)
  }
}

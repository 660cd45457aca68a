import Layers
import Tensors
import TestSupport
import Testing

@testable import Generator

struct SamplerTests {
  private func options(_ order: GeneratorConfig.Order) -> SamplingOptions {
    var options = SamplingOptions()
    options.pre = .init(guidance: 2, filter: TokenFilter(temperature: 0.9, topK: 3, topP: 0.95))
    options.post = .init(guidance: 1.5, filter: TokenFilter(temperature: 1.1, topP: 0.9))
    options.schedule = order == .random ? .linear : .constant
    options.keepCount = 9
    options.steps = 5
    options.seed = 42
    return options
  }

  @Test(arguments: GeneratorConfig.Order.allCases)
  func anImageDoesNotDependOnItsBatch(order: GeneratorConfig.Order) {
    let sampler = Sampler(smallModel(order))
    let (classes, images): ([Int32], [Int]) = ([0, 1, 2, 3, 4], [10, 11, 12, 13, 14])
    let whole = sampler.sample(classes: classes, images: images, options: options(order))
    for parts in [[0..<2, 2..<5], [0..<1, 1..<2, 2..<3, 3..<4, 4..<5]] {
      let drawn = parts.map {
        sampler.sample(classes: Array(classes[$0]), images: Array(images[$0]), options: options(order))
      }
      #expect(drawn.flatMap(\.codes.pre) == whole.codes.pre)
      #expect(drawn.flatMap(\.codes.post) == whole.codes.post)
      #expect(drawn.flatMap(\.cells) == whole.cells)
    }
  }

  @Test(arguments: GeneratorConfig.Order.allCases)
  func seedsAndImagesDiffer(order: GeneratorConfig.Order) {
    let sampler = Sampler(smallModel(order))
    var options = options(order)
    let first = sampler.sample(classes: [0, 0], images: [0, 1], options: options)
    let count = first.tokenCount
    #expect(Array(first.codes.post[..<count]) != Array(first.codes.post[count...]))
    options.seed = 43
    let second = sampler.sample(classes: [0, 0], images: [0, 1], options: options)
    #expect(first.codes != second.codes)
  }

  @Test(arguments: GeneratorConfig.Order.allCases)
  func theCacheReservedForPlansIsTheLargestOfADraw(order: GeneratorConfig.Order) {
    let sampler = Sampler(smallModel(order))
    let drawn = sampler.sample(classes: [0, 1], images: [0, 1], options: options(order))
    let reserved = sampler.reserveCache(imageCount: 2, options: options(order))
    // Raster order evicts what repeats, and nobody knows before how much that is.
    #expect(order == .raster ? drawn.cacheByteCount <= reserved : drawn.cacheByteCount == reserved)
  }

  @Test func guidanceMixesBothStreams() {
    // Guidance 0 is the class-free distribution, whatever the class; guidance 1 is the class's own.
    let model = smallModel(.plain)
    let sampler = Sampler(model)
    var greedy = SamplingOptions.greedy
    func sample(_ label: Int, guidance: Float) -> CodePairs {
      (greedy.pre.guidance, greedy.post.guidance) = (guidance, guidance)
      return sampler.sample(classes: [Int32(label)], images: [0], options: greedy).codes
    }
    #expect(sample(1, guidance: 0) == sample(model.config.droppedClass, guidance: 1))
    #expect(sample(1, guidance: 0) != sample(1, guidance: 1))
    #expect(sample(1, guidance: 0.999999) == sample(1, guidance: 1))
  }

  @Test func linearGuidanceRunsFromOneToTheScale() {
    var options = SamplingOptions()
    options.schedule = .linear
    let factor = SamplingOptions.Factor(guidance: 4)
    #expect(options.guidance(of: factor, done: 0, count: 10) == 1)
    #expect(options.guidance(of: factor, done: 9, count: 10) == 4)
    options.schedule = .constant
    #expect(options.guidance(of: factor, done: 0, count: 10) == 4)
  }

  @Test func drawsFollowTheProbabilities() {
    let logits: [Float] = [0, 1, -1, 2].map { $0 * 0.6931472 }  // weights 1, 2, ½, 4
    func counts(_ filter: TokenFilter) -> [Int] {
      var counts = [0, 0, 0, 0]
      for step in 0..<7500 { counts[filter.choose(logits, count: 4, uniform: (Float(step) + 0.5) / 7500)] += 1 }
      return counts
    }
    #expect(counts(TokenFilter()) == [1000, 2000, 500, 4000])
    #expect(counts(TokenFilter(temperature: 0)) == [0, 0, 0, 7500])
    #expect(counts(TokenFilter(topK: 2)) == [0, 2500, 0, 5000])
    // Cumulated 4/7.5 = 0.53, then 0.8: the token that crosses 0.6 stays.
    #expect(counts(TokenFilter(topP: 0.6)) == [0, 2500, 0, 5000])
    #expect(counts(TokenFilter(topP: 0.5)) == [0, 0, 0, 7500])
    // Temperature ½ squares the weights: 1, 4, ¼, 16.
    #expect(counts(TokenFilter(temperature: 0.5, topK: 2)) == [0, 1500, 0, 6000])
    #expect(TokenFilter(topK: 2).kept([1, 1, 1, 0], count: 4) == [true, true, true, false])
  }

  @Test func wrongOptionsAreNamed() {
    var options = SamplingOptions()
    options.pre.guidance = -1
    options.post.filter.topP = 0
    options.keepCount = 17
    let keys = options.problems(for: smallModel(.random).config).map(\.key)
    #expect(keys == ["pre.guidance", "post.topP", "keepCount"])
    #expect(SamplingOptions.greedy.problems(for: smallModel(.plain).config).isEmpty)
  }
}

import Collectives
import DataLoading
import Foundation
import Generator
import Kernels
import Tensors
import Tokenizer

/// Where a generator's codes come from: folders of codes, or images that the tokenizer encodes on the way.
struct GeneratorData {
  /// What the codes are like.
  let properties: CodeProperties
  /// Training images.
  let count: Int
  /// Copies of the images' archives, to be left when no more images are needed.
  let stage: ShardStage?
  /// What the user reads about them.
  let description: String
  /// This rank's training batches, behind `cursor` images of the run.
  let makeSource:
    (_ recipe: GeneratorRecipe, _ cursor: Int, RunDirectory, TrainingReporter) -> any BatchSource<CodeBatch>
  /// Calls its argument with this rank's share of training codes at a keep count, for statistics.
  let forEachTrainingBatch: (_ keep: Int) -> CodePass
  /// Calls its argument with this rank's share of the validation codes, once through; nil where there are none.
  let forEachValidationBatch: CodePass?
  /// What guessing by frequency costs on the validation codes, or on the training codes where there are none. Collective.
  func baseline(_ recipe: GeneratorRecipe, communicator: any Communicator) throws -> UnigramBaseline {
    let training = forEachTrainingBatch(recipe.validationKeepCount(properties))
    return try UnigramBaseline(
      codeBits: properties.codeBits, order: recipe.model.order, communicator: communicator, training: training,
      validation: forEachValidationBatch ?? training)
  }

  /// The properties with what sampling in random order needs to know. Collective.
  func completedProperties(_ recipe: GeneratorRecipe, communicator: any Communicator) throws -> CodeProperties {
    guard recipe.model.order == .random else { return properties }
    var completed = properties
    completed.representativeShares = [:]
    for keep in recipe.model.keepCounts {
      var counts = [Int64](repeating: 0, count: properties.gridSize * properties.gridSize + 1)
      let pass = forEachTrainingBatch(keep)
      try communicator.collectively("counting representatives") {
        try pass { batch in
          let length = counts.count - 1
          let firsts = MergeMask.representatives(groups: batch.groups, length: length)
          for (index, first) in firsts.enumerated() where Int(first) == index % length { counts[Int(first)] += 1 }
          counts[counts.count - 1] += Int64(batch.count)
        }
      }
      try communicator.allReduce(&counts, .sum)
      completed.representativeShares?[keep] = counts.dropLast().map { Float($0) / Float(max(1, counts.last ?? 1)) }
    }
    return completed
  }

  /// Calls its argument with batches of codes.
  typealias CodePass = (_ body: (CodeBatch) throws -> Void) throws -> Void

  /// Opens what the recipe names. Collective.
  /// - Throws: `ConfigError`, `PeerFailure`.
  static func open(_ recipe: GeneratorRecipe, communicator: any Communicator) throws -> GeneratorData {
    if let images = recipe.images { return try encoding(images, recipe: recipe, communicator: communicator) }
    guard let path = recipe.data.codes else {
      throw ConfigError(
        key: "data.codes",
        problem: "is not set; make codes with 'mergevq generator encode' and add --set data.codes=DIRECTORY")
    }
    return try reading(path, recipe: recipe, communicator: communicator)
  }

  private static func reading(
    _ path: String, recipe: GeneratorRecipe, communicator: any Communicator
  ) throws -> GeneratorData {
    let training = try openCodes(path, key: "data.codes", communicator: communicator)
    let validation = try recipe.data.validation.map {
      try openCodes($0, key: "data.validation", communicator: communicator)
    }
    let properties = training.content.properties
    try communicator.collectively("comparing the codes") {
      if let validation {
        try validation.require(tokenizer: properties.tokenizer)
        guard validation.content.classes.names == properties.classes.names else {
          throw CodeFileError(path: validation.directory, problem: "has other classes than \(path)")
        }
      }
      if let tokenizer = recipe.tokenizer {
        try training.require(tokenizer: TrainedTokenizer(path: tokenizer).identity)
      }
    }
    let share = RankShare(
      rank: communicator.rank, worldSize: communicator.worldSize,
      batchSize: try recipe.batch.imagesPerRank(worldSize: communicator.worldSize))
    let keep = recipe.validationKeepCount(properties)
    return GeneratorData(
      properties: properties, count: training.count, stage: nil,
      description: "codes of \(training.count) images in \(training.content.views.count) views",
      makeSource: { recipe, cursor, _, _ in
        CodeSource(
          dataset: training, seed: recipe.run.seed, schedule: KeepSchedule(recipe), share: share, cursor: cursor)
      },
      forEachTrainingBatch: { keep in
        { try forEachBatch(of: training, keep: keep, share: share, limit: nil, $0) }
      },
      forEachValidationBatch: validation.map { validation in
        { try forEachBatch(of: validation, keep: keep, share: share, limit: recipe.data.validationImages, $0) }
      })
  }

  /// This rank's share of the images of a folder in their first view, once through.
  private static func forEachBatch(
    of dataset: CodeDataset, keep: Int, share: RankShare, limit: Int?, _ body: (CodeBatch) throws -> Void
  ) throws {
    let count = min(dataset.count, limit ?? dataset.count)
    for round in 0..<(count + share.imagesPerRound - 1) / share.imagesPerRound {
      let images = share.positions(round: round).clamped(to: 0..<count)
      guard !images.isEmpty else { continue }
      try body(
        dataset.batch(
          images: Array(images), views: images.map { _ in 0 }, keep: keep, firstGlobalIndex: images.lowerBound))
    }
  }

  private static func openCodes(
    _ path: String, key: String, communicator: any Communicator
  ) throws -> CodeDataset {
    let dataset = try communicator.collectively("opening \(key)") { try CodeDataset(directory: path) }
    try communicator.collectively("verifying \(path)") {
      try dataset.verify(share: communicator.rank, of: communicator.worldSize)
    }
    guard dataset.count > 0 else { throw ConfigError(key: key, problem: "has no images") }
    return dataset
  }

  /// Training images that statistics of on-the-fly encoding look at: enough for the common codes.
  private static let statisticsImages = 2048

  private static func encoding(
    _ images: DataConfig, recipe: GeneratorRecipe, communicator: any Communicator
  ) throws -> GeneratorData {
    guard let path = recipe.tokenizer else { throw ConfigError(key: "tokenizer", problem: "is not set") }
    guard let trainingPath = images.train else {
      throw ConfigError(key: "images.train", problem: "is not set; add --set images.train=DIRECTORY")
    }
    let tokenizer = try communicator.collectively("reading the tokenizer") { try TrainedTokenizer(path: path) }
    let config = tokenizer.recipe.model
    let (training, stage) = try staged(
      openDataset(
        trainingPath, key: "images.train", runDirectory: recipe.runDirectory, communicator: communicator),
      by: images, communicator: communicator)
    let validation = try images.validation.map {
      try openDataset(
        $0, key: "images.validation", labels: images.validationLabels, classNames: training.classNames,
        runDirectory: recipe.runDirectory, communicator: communicator)
    }
    let reachable = recipe.model.keepCounts.filter {
      MergeSchedule.isReachable(keep: $0, of: config.positionCount, blocks: config.attentionBlocks)
    }
    let properties = CodeProperties(
      tokenizer: tokenizer.identity, codeBits: config.codeBits, gridSize: config.gridSize,
      keepCounts: Array(Set(reachable + config.keepCounts)).sorted(), defaultKeepCount: config.defaultKeepCount,
      classes: ClassNames(names: training.classNames))
    let share = RankShare(
      rank: communicator.rank, worldSize: communicator.worldSize,
      batchSize: try recipe.batch.imagesPerRank(worldSize: communicator.worldSize))
    func loader(_ dataset: any ImageDataset, isTraining: Bool, order: LoadingOrder, seed: UInt64) -> BatchLoader {
      BatchLoader(
        dataset: dataset,
        options: images.loaderOptions(
          batchSize: share.batchSize, globalBatch: recipe.batch.global,
          views: [images.view(resolution: config.resolution, isTraining: isTraining)], seed: seed),
        order: order, rank: share.rank, worldSize: share.worldSize)
    }
    func pass(_ dataset: any ImageDataset, keep: Int, limit: Int?) -> CodePass {
      { body in
        let loader = loader(dataset, isTraining: false, order: .sequential, seed: recipe.run.seed)
        defer { loader.stop() }
        let rounds = (min(dataset.count, limit ?? dataset.count) + share.imagesPerRound - 1) / share.imagesPerRound
        for _ in 0..<rounds {
          try body(tokenizer.encoded(loader.next(), keep: keep))
        }
      }
    }
    return GeneratorData(
      properties: properties, count: training.count, stage: stage,
      description: "\(training.count) images encoded by \(tokenizer.title)",
      makeSource: { recipe, cursor, directory, reporter in
        EncodingSource(
          images: ImageSource(
            loader: loader(training, isTraining: true, order: .shuffled(cursor: cursor), seed: recipe.run.seed),
            log: BadImageLog(directory: directory, rank: share.rank),
            stage: stage, tell: { reporter.tell($0, of: communicator) }),
          tokenizer: tokenizer, schedule: KeepSchedule(recipe))
      },
      forEachTrainingBatch: { pass(training, keep: $0, limit: statisticsImages) },
      forEachValidationBatch: validation.map {
        pass($0, keep: recipe.validationKeepCount(properties), limit: recipe.data.validationImages)
      })
  }
}

/// Images, encoded when their turn comes.
private final class EncodingSource: BatchSource {
  private let images: ImageSource
  private let tokenizer: TrainedTokenizer
  private let schedule: KeepSchedule

  init(images: ImageSource, tokenizer: TrainedTokenizer, schedule: KeepSchedule) {
    self.images = images
    self.tokenizer = tokenizer
    self.schedule = schedule
  }

  func next() throws -> CodeBatch {
    let batch = try images.next()
    return tokenizer.encoded(batch, keep: schedule.keepCount(at: batch.firstGlobalIndex))
  }

  var badImageCount: Int { images.badImageCount }
  var byteCount: Int { images.byteCount }

  func stop() { images.stop() }
}

extension TrainedTokenizer {
  /// Images as a generator learns them.
  fileprivate func encoded(_ images: ImageBatch, keep: Int) -> CodeBatch {
    var batch = CodeBatch(keepCount: keep, firstGlobalIndex: images.firstGlobalIndex)
    (batch.labels, batch.sampleIndices) = (images.labels, images.sampleIndices)
    guard images.count > 0 else { return batch }
    let encoded = model.codes(of: Tensor(images), keeps: [keep])[0]
    (batch.codes, batch.groups) = (encoded.codes, encoded.groups)
    return batch
  }
}

extension KeepSchedule {
  fileprivate init(_ recipe: GeneratorRecipe) {
    self.init(
      counts: recipe.model.keepCounts, distribution: recipe.data.keepDistribution,
      imagesPerStep: recipe.batch.global)
  }
}

extension CodeManifest.Content {
  /// What a generator needs to know of the codes.
  var properties: CodeProperties {
    CodeProperties(
      tokenizer: tokenizer, codeBits: codeBits, gridSize: gridSize, keepCounts: keepCounts,
      defaultKeepCount: defaultKeepCount, classes: classes)
  }
}

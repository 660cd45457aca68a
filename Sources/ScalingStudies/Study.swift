import Foundation
public import Scaling
public import Training

/// Measured steps of one training on several numbers of ranks, with all they depend on.
public struct Study: Codable, Sendable, Equatable {
  /// One number of ranks.
  public struct Setting: Codable, Sendable, Equatable {
    /// How the ranks lay.
    public var shape: JobShape
    /// Samples of a step, of all ranks.
    public var globalBatch: Int
    /// Between the nodes, where that is known.
    public var network: Network?
    /// Measured steps of every start: by step, then by rank.
    public var runs: [[[StepTimes]]]

    /// Describes a setting.
    public init(shape: JobShape, globalBatch: Int, network: Network?, runs: [[[StepTimes]]] = []) {
      self.shape = shape
      self.globalBatch = globalBatch
      self.network = network
      self.runs = runs
    }
  }

  /// The version of the file.
  public static let currentFormat = 1

  /// The version of this file.
  public var format = Study.currentFormat
  /// The recipe's name.
  public var recipe: String
  /// What was trained on, and what else differed from the recipe.
  public var overrides: [String]
  /// Whether the batch grew with the ranks.
  public var mode: ScalingMode
  /// Facts of the machine that started it.
  public var machine: RankFacts
  /// What a step computes and sends.
  public var work: StepWork
  /// Steps of every start before the measured ones.
  public var warmupSteps: Int
  /// In the order they were asked for.
  public var settings: [Setting]

  /// Describes a study.
  public init(
    recipe: String, overrides: [String], mode: ScalingMode, machine: RankFacts, work: StepWork, warmupSteps: Int,
    settings: [Setting]
  ) {
    self.recipe = recipe
    self.overrides = overrides
    self.mode = mode
    self.machine = machine
    self.work = work
    self.warmupSteps = warmupSteps
    self.settings = settings
  }

  /// Joins studies of one training, for instance those of the tasks of a Slurm array.
  /// - Throws: `ConfigError` where they are of different trainings.
  public init(joining studies: [Study], named names: [String]) throws(ConfigError) {
    guard var joined = studies.first else { throw ConfigError(problem: "there is no study to join") }
    for (study, name) in zip(studies, names).dropFirst() {
      guard study.recipe == joined.recipe, study.mode == joined.mode, study.work == joined.work else {
        throw ConfigError(
          origin: name,
          problem: "is of another training (\(study.recipe), \(study.mode.rawValue)) than \(names[0]) "
            + "(\(joined.recipe), \(joined.mode.rawValue))")
      }
      for setting in study.settings {
        let index = joined.settings.firstIndex {
          $0.shape == setting.shape && $0.globalBatch == setting.globalBatch && $0.network == setting.network
        }
        if let index {
          joined.settings[index].runs += setting.runs
        } else {
          joined.settings.append(setting)
        }
      }
    }
    joined.settings.sort { $0.shape.worldSize < $1.shape.worldSize }
    self = joined
  }
}

extension Study.Setting {
  /// The parts of a step, on average over all measured steps of all starts.
  public var breakdown: StepModel.Breakdown { Self.mean(runs.flatMap { $0 }.map(Self.breakdown(of:))) }

  /// Seconds of a step, one mean a start, and how sure that is.
  public var stepSeconds: Estimate { Estimate(runs.map { Self.mean($0.map(Self.breakdown(of:))).total }) }

  /// Variance of the ranks' computing times within a step, as a share of their squared mean; nil on one rank.
  public var relativeVariance: Double? {
    guard shape.worldSize > 1 else { return nil }
    let shares = runs.flatMap { $0 }.map { ranks in
      let mean = ranks.reduce(0) { $0 + $1.work } / Double(ranks.count)
      return ranks.reduce(0) { $0 + ($1.work - mean) * ($1.work - mean) } / Double(ranks.count - 1) / (mean * mean)
    }
    return shares.reduce(0, +) / Double(shares.count)
  }

  /// Divides a step into parts: ranks finish it together, so what is left behind the slowest rank's own work is
  /// communication, and what that rank works longer than the mean is imbalance.
  static func breakdown(of ranks: [StepTimes]) -> StepModel.Breakdown {
    func mean(_ value: (StepTimes) -> Double) -> Double { ranks.reduce(0) { $0 + value($1) } / Double(ranks.count) }
    let own = ranks.map { $0.work + $0.data }
    let slowest = own.max() ?? 0
    let total = max(slowest, mean { $0.work + $0.data + $0.communication })
    return StepModel.Breakdown(
      compute: mean(\.work), data: mean(\.data), imbalance: slowest - mean { $0.work + $0.data },
      communication: total - slowest)
  }

  private static func mean(_ steps: [StepModel.Breakdown]) -> StepModel.Breakdown {
    func mean(_ part: (StepModel.Breakdown) -> Double) -> Double {
      steps.reduce(0) { $0 + part($1) } / Double(steps.count)
    }
    return StepModel.Breakdown(
      compute: mean(\.compute), data: mean(\.data), imbalance: mean(\.imbalance), communication: mean(\.communication))
  }

  /// What a model learns from it, or is checked against.
  public func observation(of work: StepWork) -> Observation {
    Observation(
      work: work, shape: shape, samplesPerRank: Double(globalBatch) / Double(shape.worldSize), network: network,
      measured: breakdown, relativeVariance: relativeVariance)
  }
}

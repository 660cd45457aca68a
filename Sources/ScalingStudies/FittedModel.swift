public import Scaling
public import Training

/// A model of the step with what it was fitted on.
public struct FittedModel: Codable, Sendable, Equatable {
  /// The version of the file.
  public static let currentFormat = 1

  /// The version of this file.
  public var format = FittedModel.currentFormat
  /// The parameters.
  public var step: StepModel
  /// The machine of the first study.
  public var machine: RankFacts
  /// Threads of a rank in the first study.
  public var threadsPerRank: Int
  /// Cores of a machine in the first study.
  public var coresPerMachine: Int
  /// Recipe, mode and numbers of ranks of every study; those of equal ones once.
  public var fittedOn: [String]

  /// Fits a model to studies.
  /// - Throws: `FitError`.
  public init(fitting studies: [Study]) throws(FitError) {
    guard let first = studies.first, let shape = first.settings.first?.shape else {
      throw FitError(description: "there is no measured step to fit; run a study first")
    }
    step = try StepModel(
      fitting: studies.flatMap { study in study.settings.map { $0.observation(of: study.work) } })
    machine = first.machine
    threadsPerRank = shape.threadsPerRank
    coresPerMachine = shape.coresPerMachine
    fittedOn = studies.reduce(into: []) { known, study in
      let ranks = study.settings.map { "\($0.shape.worldSize)" }.joined(separator: ", ")
      let description = "\(study.recipe), \(study.mode.rawValue), \(ranks) ranks"
      if !known.contains(description) { known.append(description) }
    }
  }

  /// The parameters as a user reads them.
  public var text: String {
    """
    computing       \(number(1e-9 / step.secondsPerOperation)) GFLOP/s a thread, \
    \(number(1e9 * step.secondsPerUpdateByte)) s a GB of updates, \
    \(number(100 * step.contention)) % slower with all cores busy
    imbalance       \(number(100 * step.imbalance)) % of computing (standard deviation over ranks)
    data            \(number(1e3 * step.dataSecondsPerSample)) ms a sample
    shared memory   \(number(1e-9 / step.secondsPerNodeByte)) GB/s a rank
    fitted on       \(fittedOn.joined(separator: "; "))

    """
  }
}

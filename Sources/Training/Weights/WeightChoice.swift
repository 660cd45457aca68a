/// Which of a checkpoint's values of the parameters are meant.
public enum WeightChoice: String, Sendable, CaseIterable {
  /// The moving average: what validation and pictures use.
  case average = "ema"
  /// The trained values themselves.
  case trained = "model"
}

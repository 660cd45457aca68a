import DataLoading
import Evaluation

/// The curves of a run, from its metrics.
public struct LossPicture {
  private let plot: LinePlot

  /// One panel per value of the training records, validation values beside the training values of the same name.
  public init(records: [MetricsRecord], title: String) {
    let resumes = records.filter { $0.kind == .resume }.map { LinePlot.Marker(x: Double($0.step), label: "resumed") }
    plot = LinePlot(title: title, panels: Self.panels(records), horizontalLabel: "step", markers: resumes)
  }

  /// The charts that there is something to draw in.
  static func panels(_ records: [MetricsRecord]) -> [LinePlot.Panel] {
    let shown: [(name: String, title: String)] = [
      ("loss", "loss"), ("pre", "first factor, nats"), ("post", "second factor, nats"), ("l1", "mean absolute error"),
      ("psnr", "validation PSNR, dB"),
      ("sampleEntropy", "entropy per token, nats"), ("batchEntropy", "entropy of the batch, nats"),
      ("commitment", "commitment"), ("source", "source recovery, nats"), ("sourceAccuracy", "sources predicted right"),
      ("perceptual", "LPIPS"), ("alignment", "alignment of the class token"),
      ("adversarial", "generator's adversarial loss"), ("adversarialWeight", "its weight"),
      ("discriminator", "discriminator's loss"), ("logitsReal", "mean logit of real images"),
      ("logitsFake", "mean logit of reconstructions"), ("codesUsed", "share of codes used"),
      ("gradientNorm", "gradient norm"), ("imagesPerSecond", "images per second"),
    ]
    return shown.compactMap { name, title -> LinePlot.Panel? in
      func curve(_ label: String, _ name: String, of kind: MetricsRecord.Kind) -> LinePlot.Series? {
        let points = records.filter { $0.kind == kind }.compactMap { record in
          record.values[name].map { SIMD2(Double(record.step), $0) }
        }
        return points.isEmpty ? nil : LinePlot.Series(label, points: points)
      }
      let series = [
        curve("training", name, of: .train), curve("validation", name, of: .validation),
        name == "loss" ? curve("guessing by frequency", "unigram", of: .validation) : nil,
      ].compactMap(\.self)
      return series.isEmpty ? nil : LinePlot.Panel(title: title, series: series)
    }
  }

  /// Draws the curves and writes them as a PNG.
  public func writePNG(to path: String) throws { try plot.image().writePNG(to: path) }
}

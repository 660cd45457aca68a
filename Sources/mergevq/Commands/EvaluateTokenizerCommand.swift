import ArgumentParser
import Collectives
import Evaluation
import Training

/// `mergevq tokenizer evaluate`.
struct EvaluateTokenizerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate", abstract: "Measure how good a tokenizer is.",
    discussion: """
      Prints L1, PSNR, SSIM and code usage; with --lpips LPIPS, too; with --inception rFID (reconstructions against \
      the same images) and the Inception Score. The JSON file holds the figures with everything that they depend on. \
      Under mpirun the ranks share the images; any number of ranks gives the same figures.

      The published evaluations use all of ImageNet's validation images and the weights \
      pt_inception-2015-12-05-6726825d.pth; figures from other weights say so. 'stand-in' instead of a weight file takes \
      weights made up by a rule, to try things out.
      """)

  @Option(help: "A run directory (its newest good checkpoint), one checkpoint of it, or a tokenizer's weight file.")
  var checkpoint: String

  @Option(parsing: .upToNextOption, help: "Image files, folders of images, or any data set that training takes.")
  var images: [String]

  @Option(help: "The JSON file to write.")
  var output: String

  @Option(help: "How many tokens to keep, e.g. 144 or 121,144,256; the recipe's default otherwise.")
  var keep = KeepCounts(counts: [])

  @Option(help: "What expands tokens to positions: the encoder's true groups, or the learned recovery's.")
  var source = SourceChoice.actual

  @Option(help: "Weights of the Inception network: as published, or imported; or stand-in.")
  var inception: String?

  @Option(name: .customLong("protocol"), help: "How images are judged by Inception: pytorch-fid or adm.")
  var convention = EvaluationProtocol.pytorchFID

  @Option(
    parsing: .upToNextOption,
    help: "Weights of LPIPS with VGG-16: an imported file, or both published ones; or stand-in.")
  var lpips: [String] = []

  @Flag(help: "Precision and recall (k = 3), too; rank 0 keeps the features of all images in memory.")
  var precisionRecall = false

  @Option(help: "Evaluate that many images at most, evenly spread.", transform: positive)
  var limit: Int?

  @Option(help: "What the images are called in the report, e.g. val; the paths tell it otherwise.")
  var split: String?

  func run() throws {
    try runCommand { communicator in
      var options = TokenizerEvaluation.Options()
      options.keepCounts = keep.counts
      options.source = source
      options.imageLimit = limit
      options.split = split
      (options.inception, options.convention) = (inception, convention)
      options.perceptual = lpips
      options.wantsPrecisionAndRecall = precisionRecall
      let (file, evaluation) = try communicator.collectively("opening tokenizer and weights") {
        // Only the rank that writes looks: the others may see another file system.
        (
          communicator.isFirst ? try NewOutput(output) : nil,
          try TokenizerEvaluation(TrainedTokenizer(path: checkpoint), images: images, options: options)
        )
      }
      var bar = ProgressBar()
      let report = try evaluation.report(on: communicator) { done, count in
        Console.write(bar.report(share: Double(done) / Double(count), "\(done)/\(count) images of rank 0"))
      }
      try write(report, to: file, after: bar, on: communicator)
    }
  }
}

/// Writes a report and shows it. Collective.
/// - Parameter file: Where, on the first rank.
func write(
  _ report: some ReportFile, to file: NewOutput?, after bar: ProgressBar, on communicator: any Communicator
) throws {
  var bar = bar
  try communicator.collectively("writing the report") {
    if let file { try report.write(to: file) }
  }
  if let file { Console.write(bar.finish() + report.text + "\(file.path)\n") }
}

extension EvaluationProtocol: ExpressibleByArgument {}

import ArgumentParser
import Collectives
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
      pt_inception-2015-12-05-6726825d.pth; figures from other weights say so.
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

  @Option(help: "Weights of the Inception network: as published, or imported.")
  var inception: String?

  @Option(parsing: .upToNextOption, help: "Weights of LPIPS with VGG-16: an imported file, or both published ones.")
  var lpips: [String] = []

  @Flag(help: "Precision and recall (k = 3), too; rank 0 keeps the features of all images in memory.")
  var precisionRecall = false

  @Option(help: "Evaluate that many images at most, evenly spread.", transform: positive)
  var limit: Int?

  @Option(help: "What the images are called in the report, e.g. val.")
  var split: String?

  func run() throws {
    try runCommand { communicator in
      var options = TokenizerEvaluation.Options()
      options.keepCounts = keep.counts
      options.source = source
      options.imageLimit = limit
      options.split = split
      options.inception = inception
      options.perceptual = lpips
      options.wantsPrecisionAndRecall = precisionRecall
      let (file, evaluation) = try communicator.collectively("opening tokenizer and weights") {
        // Only the rank that writes looks: the others may see another file system.
        (
          communicator.isFirst ? try NewOutput(output) : nil,
          try TokenizerEvaluation(TrainedTokenizer(path: checkpoint), images: images, options: options)
        )
      }
      let report = try evaluation.report(on: communicator)
      try communicator.collectively("writing the report") {
        if let file { try report.write(to: file) }
      }
      if let file { Console.write(report.text + "\(file.path)\n") }
    }
  }
}

import ArgumentParser
import Collectives
import Evaluation
import Training

/// `mergevq generator evaluate`.
struct EvaluateGeneratorCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "evaluate", abstract: "Measure how good generated images are.",
    discussion: """
      Prints gFID, sFID and the Inception Score, with --precision-recall precision and recall (k = 3). The JSON file holds \
      the figures with everything that they depend on. Under mpirun the ranks share the images; any number of ranks gives \
      the same figures.

      The reference is a file of statistics (the ADM suite's, pytorch-fid's, or one of 'mergevq data reference'), or real \
      images, which are resized and cropped to the size of the samples. Published gFIDs are of 50000 samples against \
      training images, with the weights pt_inception-2015-12-05-6726825d.pth.

      Example: mpirun -n 16 mergevq generator evaluate --samples samples.npz \
      --reference VIRTUAL_imagenet256_labeled.npz --inception pt_inception-2015-12-05-6726825d.pth --output gfid.json
      """)

  @Option(parsing: .upToNextOption, help: "An .npz file of images (arr_0), folders of images, or any data set.")
  var samples: [String]

  @Option(parsing: .upToNextOption, help: "An .npz file of statistics, or real images.")
  var reference: [String]

  @Option(help: "Weights of the Inception network: as published, or imported; or stand-in.")
  var inception: String

  @Option(name: .customLong("protocol"), help: "How images are judged: pytorch-fid or adm.")
  var convention = EvaluationProtocol.adm

  @Flag(help: "Precision and recall (k = 3), too; every rank holds the features of all images in memory.")
  var precisionRecall = false

  @Option(help: "What the reference's images are called, e.g. train; the file or the paths tell it otherwise.")
  var referenceSplit: String?

  @Option(help: "Judge that many samples at most, evenly spread.", transform: positive)
  var limit: Int?

  @Option(help: "Compare with that many real images at most, evenly spread.", transform: positive)
  var referenceLimit: Int?

  @Flag(help: "Compare with validation images, too, or with statistics of unknown weights; the report says so.")
  var force = false

  @Option(help: "The JSON file to write.")
  var output: String

  func run() throws {
    try runCommand { communicator in
      var options = GeneratorEvaluation.Options(samples: samples, reference: reference, inception: inception)
      options.convention = convention
      options.wantsPrecisionAndRecall = precisionRecall
      options.referenceSplit = referenceSplit
      (options.sampleLimit, options.referenceLimit) = (limit, referenceLimit)
      options.isForced = force
      let (file, evaluation) = try communicator.collectively("opening the weights") {
        // Only the rank that writes looks: the others may see another file system.
        (communicator.isFirst ? try NewOutput(output) : nil, try GeneratorEvaluation(options))
      }
      var bar = PhasedProgressBar()
      let report = try evaluation.report(on: communicator) { Console.write(bar.report($0, done: $1, of: $2)) }
      try write(report, to: file, after: bar.bar, on: communicator)
    }
  }
}

/// `mergevq data reference`.
struct ReferenceCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reference", abstract: "Compute what generated images are compared with, once.",
    discussion: """
      Writes mean and covariance of Inception's features of real images: an .npz file as pytorch-fid and the ADM suite \
      have it (mu, sigma, mu_s, sigma_s), which also says what it is of. Under mpirun the ranks share the images.

      Example: mpirun -n 16 mergevq data reference ILSVRC2012_img_train.tar --resolution 256 --protocol adm \
      --inception pt_inception-2015-12-05-6726825d.pth --output train-256-adm.npz
      """)

  @Argument(help: "Any data set that training takes, or several.")
  var images: [String]

  @Option(
    help: "Height and width in pixels: the shorter side is resized to it, and the middle is taken.", transform: positive
  )
  var resolution: Int

  @Option(name: .customLong("protocol"), help: "How images are judged: pytorch-fid or adm.")
  var convention = EvaluationProtocol.adm

  @Option(help: "Weights of the Inception network: as published, or imported; or stand-in.")
  var inception: String

  @Option(help: "What the images are called, e.g. train; the paths tell it otherwise.")
  var split: String?

  @Flag(help: "Keep the features of every image (8 kB each), for precision and recall.")
  var precisionRecall = false

  @Option(help: "Take that many images at most, evenly spread.", transform: positive)
  var limit: Int?

  @Option(help: "The .npz file to write.")
  var output: String

  func run() throws {
    try runCommand { communicator in
      let file = try communicator.collectively("opening the output") {
        guard output.hasSuffix(".npz") else {
          throw ConfigError(origin: "--output \(output)", problem: "must end in .npz: statistics are NumPy arrays")
        }
        return communicator.isFirst ? try NewOutput(output) : nil
      }
      var bar = ProgressBar()
      let reference = try FeatureReference.computed(
        ofImages: images, resolution: resolution, split: split, convention: convention, inception: inception,
        keepsFeatures: precisionRecall, limit: limit, on: communicator
      ) { done, count in
        Console.write(bar.report(share: Double(done) / Double(count), "\(done)/\(count) batches of rank 0"))
      }
      try communicator.collectively("writing the statistics") {
        if let file { try reference.write(to: file) }
      }
      if let file { Console.write(bar.finish() + "\(file.path)\n") }
    }
  }
}

import ArgumentParser
import Collectives
import Training

/// `mergevq data pack`.
struct PackDataCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "pack", abstract: "Pack images of any layout into shards.",
    discussion: """
      Writes WebDataset shards (KEY.jpg or .png, KEY.cls) in shuffled order, and DIR/train-index.json with counts, \
      SHA-256 of every shard and images per class. Every image is decoded; unusable ones are left out and listed. \
      Started again, it goes on where it was. Use as many ranks as there are cores:

      mpirun -n 8 mergevq data pack ILSVRC2012_img_train.tar --output 'shards/train-%06d.tar' --shorter-side 288
      """)

  @Argument(help: "A folder of class folders or class tars, a tar, shards, or drawn:…")
  var input: String

  @Option(help: "Names of the shards, with one number: 'DIR/train-%06d.tar'.")
  var output: String

  @Option(help: "Classes of one flat tar of images: ImageNet's development kit, or a file with one class per image.")
  var labels: String?

  @Option(help: "Images of a shard; 4096 unless --shard-bytes is given.")
  var shardImages: Int?

  @Option(help: "Bytes of a shard, counted as the images are in the input.")
  var shardBytes: Int?

  @Option(help: "Resize larger images until their shorter side has so many pixels.")
  var shorterSide: Int?

  @Option(help: "JPEG quality of resized images.")
  var quality = PackingOptions().quality

  @Option(help: "Seed of the order.")
  var seed: UInt64 = 0

  @Flag(help: "Keep the order of the input.")
  var keepOrder = false

  func validate() throws {
    if shardImages != nil && shardBytes != nil {
      throw ValidationError("--shard-images and --shard-bytes exclude each other")
    }
  }

  func run() throws {
    try runCommand { communicator in
      var options = PackingOptions()
      if let shardImages { options.limit = .images(shardImages) }
      if let shardBytes { options.limit = .bytes(shardBytes) }
      options.shorterSide = shorterSide
      options.quality = quality
      options.seed = keepOrder ? nil : seed
      let names = try ShardNames(pattern: output)
      let packing = DatasetPacking(
        input: input, labels: labels, names: names, options: options, communicator: communicator)
      var line = Console.progressLine()
      let summary = try packing.run { Console.write(line.report("shard \($0)/\($1)")) }
      guard communicator.isFirst else { return }
      Console.write(line.finish())
      Console.write(
        "\(names.indexPath): \(summary.sampleCount) images in \(summary.shardCount) shards, \(summary.byteCount) bytes"
          + (summary.leftOutCount > 0 ? "; \(summary.leftOutCount) images left out, see left_out in it" : "") + "\n")
    }
  }
}

/// `mergevq data stats`.
struct DataStatisticsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stats", abstract: "Count images, classes, formats and sizes.",
    discussion: "Reads every image's header; under mpirun the ranks share the images.")

  @Argument(help: "A folder of class folders or class tars, a tar, shards, or drawn:…")
  var input: String

  @Option(help: "Classes of one flat tar of images: ImageNet's development kit, or a file with one class per image.")
  var labels: String?

  @Option(help: "Look at so many images only, evenly spread.", transform: positive)
  var sample: Int?

  func run() throws {
    try runCommand { communicator in
      let statistics = try DatasetStatistics(
        of: input, labels: labels, sampleCount: sample, communicator: communicator)
      if communicator.isFirst { Console.write(statistics.text) }
    }
  }
}

/// `mergevq data grid`.
struct DataGridCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "grid", abstract: "Draw what the model will see of images, view by view.",
    discussion: """
      Each row: an image, then every view of it as training shows it in successive epochs.

      Example: mergevq data grid Launch/recipes/tokenizer-small64.yaml --set data.train=images/train --output views.png
      """)

  @OptionGroup var recipe: RecipeOptions

  @Option(help: "The PNG file to write.")
  var output: String

  @Option(help: "Images shown, evenly spread over the training images.", transform: positive)
  var images = 8

  @Option(help: "How often each view of an image is shown.", transform: positive)
  var epochs = 4

  func run() throws {
    try runCommand { communicator in
      let recipe = try recipe.resolved(as: TokenizerRecipe.self, on: communicator)
      let dataset = try openDataset(recipe.data.requiredTrainingPath(), communicator: communicator)
      try communicator.collectively("drawing views") {
        guard communicator.isFirst else { return }
        try ViewGrid(recipe: recipe, dataset: dataset).picture(imageCount: images, epochCount: epochs)
          .writePNG(to: output)
      }
      if communicator.isFirst { Console.write("\(output)\n") }
    }
  }
}

/// `mergevq data verify`.
struct VerifyDataCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Check files of images against all that is known of them.",
    discussion: """
      ImageNet's files under their own names: size and MD5. Shards with an index: SHA-256 and counts. Everything: the \
      structure of archives, classes, members that are not used; with --decode every single image. Exit status 65 if \
      something is wrong. Under mpirun the ranks share the work.
      """)

  @Argument(help: "Files, folders or shards.")
  var paths: [String]

  @Option(help: "Classes of one flat tar of images: ImageNet's development kit, or a file with one class per image.")
  var labels: String?

  @Flag(help: "Decode every image.")
  var decode = false

  func run() throws {
    try runCommand { communicator in
      let verification = DatasetVerification(labels: labels, decodesImages: decode, communicator: communicator)
      var problemCount = 0
      for path in paths {
        let findings = try verification.findings(path)
        problemCount += findings.count { !$0.isGood }
        guard communicator.isFirst else { continue }
        for finding in findings { Console.write("\(finding.isGood ? "✔" : "✘") \(finding.text)\n") }
      }
      if problemCount > 0 { throw UnsoundData(problemCount: problemCount) }
    }
  }
}

/// The findings have said what is wrong; this sets the exit status, on every rank alike.
private struct UnsoundData: AgreedError, CustomStringConvertible {
  let problemCount: Int
  var exitStatus: Int32 { 65 }
  var description: String { "\(problemCount) things are not as they should be; see the lines marked ✘" }
}

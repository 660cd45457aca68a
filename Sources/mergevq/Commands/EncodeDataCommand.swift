import ArgumentParser
import Training

/// `mergevq generator encode`.
struct EncodeDataCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "encode", abstract: "Turn a data set into codes for training generators, once and with all ranks.",
    discussion: """
      Writes a folder of safetensors shards (codes, groups and labels at every keep count) and manifest.json, which \
      names the tokenizer by the hash of its weights. The files are the same whatever the number of ranks. Stopped, the \
      same command goes on where it was; a folder that is complete is not touched.

      Example: mpirun -n 2 mergevq generator encode --checkpoint runs/mine --data images/train --output codes/train \
      --flip --names classes.txt
      """)

  @Option(help: "The tokenizer: a run directory (its newest good checkpoint), a checkpoint or a weight file.")
  var checkpoint: String

  @Option(help: "The images: a folder of class folders, a folder of class tars, or one tar of class tars.")
  var data: String

  @Option(help: "The folder to write.")
  var output: String

  @Option(
    help: ArgumentHelp(
      "Keep counts, e.g. 36,49,64; those that the tokenizer was trained with otherwise.", valueName: "counts"),
    transform: wholeNumbers)
  var keep: [Int]?

  @Option(help: "center (the middle of each image), or ten (middle and corners, as they are and mirrored).")
  var crops = Crops.center

  @Flag(help: "Encode the middle mirrored, too.")
  var flip = false

  @Option(
    help: ArgumentHelp(
      "What the shorter side is scaled to; 1.1 times the tokenizer's resolution for ten crops otherwise.",
      valueName: "pixels"),
    transform: positive)
  var resize: Int?

  @Option(help: "A text file with a line NAME<tab>TITLE, SYNONYM, … for each class, so that prompts may use titles.")
  var names: String?

  @Option(help: "Threads of a rank; its share of the cores otherwise.", transform: positive)
  var threads: Int?

  enum Crops: String, ExpressibleByArgument, CaseIterable {
    case center, ten
  }

  func run() throws {
    try runCommand { communicator in
      var options = CodeEncoding.Options(data: data, output: output)
      options.keepCounts = keep
      options.usesTenCrops = crops == .ten
      options.isFlipped = flip
      options.shorterSide = resize
      options.names = names
      options.threads = threads
      let encoding = try CodeEncoding(checkpoint: checkpoint, options: options, communicator: communicator)
      var bar = ProgressBar()
      let ending = try encoding.run { done, count in
        Console.write(bar.report(share: Double(done) / Double(count), "\(done)/\(count) images"))
      }
      if communicator.isFirst { Console.write(bar.finish()) }
      switch ending {
      case .interrupted(let signal): throw Interrupted(signal: signal, what: "with codes up to here")
      case .finished(let manifest):
        guard communicator.isFirst else { return }
        Console.write("\(output): \(manifest.text)\n")
      }
    }
  }
}

/// `36,49,64`.
func wholeNumbers(_ argument: String) throws -> [Int] {
  try argument.split(separator: ",").map { try positive($0.trimmingCharacters(in: .whitespaces)) }
}

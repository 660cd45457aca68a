import ArgumentParser
import Collectives
import Training

/// `mergevq tokenizer encode`.
struct EncodeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "encode", abstract: "Turn images into codes.",
    discussion: """
      Writes safetensors: codes [N, K] and groups [N, L] (which token every position belongs to), labels [N] where \
      images have classes, names and the tokenizer's SHA-256 in the metadata. Under mpirun the ranks share the images.
      """)

  @Option(help: "A run directory, one checkpoint of it, or a tokenizer's weight file.")
  var checkpoint: String

  @Option(parsing: .upToNextOption, help: "Image files, or folders of images.")
  var images: [String]

  @Option(help: "The file to write.")
  var output: String

  @Option(help: "How many tokens to keep; the recipe's default otherwise.")
  var keep: Int?

  func run() throws {
    try runCommand { communicator in
      let (file, tokenizer) = try communicator.collectively("opening the tokenizer") {
        // Only the rank that writes looks: the others may see another file system.
        (communicator.isFirst ? try NewOutput(output) : nil, try TrainedTokenizer(path: checkpoint))
      }
      let codes = try TokenizerEncoding(tokenizer).codes(ofImages: images, keepCount: keep, on: communicator)
      try communicator.collectively("writing the codes") {
        if let file { try codes.write(to: file.path) }
      }
      if let file {
        Console.write("\(file.path): \(codes.imageCount) images of \(codes.keepCount) codes\n")
      }
    }
  }
}

/// `mergevq tokenizer decode`.
struct DecodeCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "decode", abstract: "Turn codes back into images.")

  @Option(help: "The tokenizer that made the codes: a run directory, one checkpoint of it, or a weight file.")
  var checkpoint: String

  @Option(help: "A file that encode has written.")
  var codes: String

  @Option(help: "A folder to make, with a PNG file for every image, or a .png file for all of them in a grid.")
  var output: String

  @Option(help: "What expands tokens to positions: the encoder's true groups, or the learned recovery's.")
  var source = SourceChoice.actual

  func run() throws {
    try runCommand { communicator in
      try communicator.collectively("decoding") {
        guard communicator.isFirst else { return }
        let output = try NewOutput(output)
        let codes = try TokenizerCodes(path: codes)
        let encoding = TokenizerEncoding(try TrainedTokenizer(path: checkpoint))
        try encoding.check(codes, named: self.codes, source: source)
        if output.path.hasSuffix(".png") {
          try encoding.writeGrid(of: codes, source: source, to: output)
        } else {
          try encoding.writeFolder(of: codes, source: source, to: output)
        }
      }
      if communicator.isFirst { Console.write("\(output)\n") }
    }
  }
}

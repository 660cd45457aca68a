import ArgumentParser

/// The commands about tokenizers.
struct TokenizerCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "tokenizer", abstract: "Train a tokenizer, and see what it makes of images.",
    subcommands: [
      TrainTokenizerCommand.self, ReconstructCommand.self, EncodeCommand.self, DecodeCommand.self,
      CodebookCommand.self, EvaluateTokenizerCommand.self, ProbeTokenizerCommand.self,
    ])
}

import Checkpointing
import Collectives
import Foundation
import TestSupport

@testable import Training

/// A tokenizer of random weights, saved as a run's checkpoint: codes of it mean nothing, but are codes.
func saveTinyTokenizer(in folder: String, seed: UInt64 = 1, codeBits: Int = 18) throws -> String {
  let yaml = """
    name: tiny
    \(SmallModel.ofGrid4(codeBits: codeBits))
      head: none
    run: {steps: 1, seed: \(seed)}
    """
  let recipe = try TokenizerRecipe.resolve(yaml: yaml, named: "tiny")
  let communicator = SingleCommunicator()
  let task = try TokenizerTask(recipe: recipe, totalSteps: 1, stepsPerEpoch: 1, communicator: communicator) { _ in }
  let checkpoints = RunCheckpoints(
    runDirectory: folder, communicator: communicator, retention: CheckpointRetention(last: 1),
    recipe: try recipe.resolvedYAML())
  try RunDirectory(path: folder).create()
  try checkpoints.begin(task: task, step: 0, cursor: 0)
  try checkpoints.finish()
  return folder
}

/// Codes of images that the program draws.
@discardableResult
func encode(
  _ data: String, by tokenizer: String, to output: String, _ change: (inout CodeEncoding.Options) -> Void = { _ in }
) throws -> CodeDataset {
  var options = CodeEncoding.Options(data: data, output: output)
  change(&options)
  let ending = try CodeEncoding(checkpoint: tokenizer, options: options, communicator: SingleCommunicator()).run {
    _, _ in
  }
  guard case .finished = ending else { fatalError("encoding ended with \(ending)") }
  return try CodeDataset(directory: output)
}

/// A generator recipe that trains in a moment.
func tinyGeneratorRecipe(
  order: String = "raster", settings: [String] = []
) throws -> GeneratorRecipe {
  try GeneratorRecipe.resolve(
    yaml: """
      name: tiny-generator
      model:
        order: \(order)
        width: 32
        blocks: 2
        factorizedBlocks: 1
        heads: 2
        hiddenMultiple: 16
        factorBits: [6, 12]
        gridSize: 4
        keepCounts: [9, 16]
        dropout: 0.1
      run: {steps: 4, logEvery: 1, validateEvery: 0, checkpointEvery: 2}
      batch: {global: 8}
      optimizer: {learningRate: 1.0e-2, emaDecay: 0.9, schedule: {warmupEpochs: 0}}
      """, named: "tiny-generator", overrides: settings)
}

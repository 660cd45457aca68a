import Checkpointing
import Layers
import Tensors
import TestSupport
import Testing
import Tokenizer

/// DINOv2 against the reference implementation's numbers.
struct TeacherParityTests {
  @Test(arguments: Fixture.all(ofKind: "dinov2"))
  func tokensAgree(fixture: Fixture) throws {
    let file = try fixture.open()
    let settings = try Fixture.object("config", of: file)
    var config = Teacher.Config()
    config.width = try integer("hidden_size", settings)
    config.blocks = try integer("num_hidden_layers", settings)
    config.heads = try integer("num_attention_heads", settings)
    config.patchSize = try integer("patch_size", settings)
    config.imageSize = try integer("image_size", settings)
    var random = SplitMix64(seed: 1)
    let teacher = Teacher(config, using: &random)
    try load(teacher, from: file, prefix: "weights.")
    let expected = file.names.filter { $0.hasPrefix("weights.") }.map { String($0.dropFirst("weights.".count)) }
    #expect(Set(teacher.parameters.map(\.name)) == Set(expected))

    let images = try channelsLast(file, "input.pixel_values")
    expectClose(teacher(images).values, try file.floats("output.pooler_output"), "pooler output")
    expectClose(teacher.hiddenState(images).values, try file.floats("output.last_hidden_state"), "hidden state")
    #expect(teacher(images.trackingGradient).node == nil)
  }
}

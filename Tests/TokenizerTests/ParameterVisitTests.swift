import Layers
import Tensors
import Testing
import Tokenizer

/// Parameters that a module forgets to visit are neither trained nor saved, and nothing else would tell.
struct ParameterVisitTests {
  @Test(arguments: [true, false])
  func everyParameterOfTheTokenizerIsVisitedOnce(isHybrid: Bool) {
    var config = TokenizerConfig()
    config.resolution = 32
    config.channels = 32
    config.channelMultipliers = [1, 2]
    config.isotropicWidth = isHybrid ? 0 : 64
    config.residualBlocks = 1
    config.attentionBlocks = 2
    config.representationBlocks = 1
    config.recoveryBlocks = 1
    config.keepCounts = [196]
    config.defaultKeepCount = 196
    config.codeBits = 6
    for head in [TokenizerConfig.HeadKind.layer3, .layer2] {
      config.head = head
      expectAllVisited(TokenizerModel(config, seed: 1))
    }
  }

  @Test func everyParameterOfTheLossNetworksIsVisitedOnce() {
    var random = SplitMix64(seed: 1)
    expectAllVisited(Discriminator(width: 8, layers: 3, using: &random))
    var config = Teacher.Config()
    (config.width, config.blocks, config.heads, config.imageSize) = (16, 2, 2, 28)
    expectAllVisited(Teacher(config, using: &random))
    expectAllVisited(PerceptualLoss(using: &random))
  }

  private func expectAllVisited(_ module: some Module, sourceLocation: SourceLocation = #_sourceLocation) {
    let visited = module.parameters
    let identities = visited.map { ObjectIdentifier($0.parameter) }
    #expect(Set(identities).count == identities.count, "visited twice", sourceLocation: sourceLocation)
    #expect(Set(visited.map(\.name)).count == visited.count, "a name twice", sourceLocation: sourceLocation)
    var owned: Set<ObjectIdentifier> = []
    collect(module, into: &owned)
    #expect(owned == Set(identities), "\(type(of: module)): owned and visited differ", sourceLocation: sourceLocation)
  }

  private func collect(_ value: Any, into owned: inout Set<ObjectIdentifier>) {
    if let parameter = value as? Parameter {
      owned.insert(ObjectIdentifier(parameter))
      return
    }
    for child in Mirror(reflecting: value).children { collect(child.value, into: &owned) }
  }
}

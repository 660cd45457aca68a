import Collectives
import DataLoading
import Tensors
import Tokenizer

/// Forward and backward of stage 1 with everything that its objective may have: reconstruction, codes, alignment of the
/// class token, and the adversary (method 1.5).
///
/// All statistics and weights are those of the global batch, so R ranks of N images compute what one of R·N does.
final class StageOneStep {
  /// This rank's images of a round, and what else alignment sees of them.
  struct Input {
    /// Shape `[B, H, W, 3]`, values in `[-1, 1]`.
    var images: Tensor
    /// The student's view, values in `[-1, 1]`; where there is alignment.
    var student: Tensor?
    /// The teacher's view, normalised as ImageNet images are; where there is a teacher.
    var teacher: Tensor?
    /// The classes, B of them.
    var labels: [Int32]
    /// Position in the run of the first image.
    var firstIndex: Int
  }

  let model: TokenizerModel
  /// The generator's opponent, if it has one, and the place of its parameters.
  let adversary: (player: Adversary, arena: ParameterArena)?

  private let recipe: TokenizerRecipe
  private let objective: TokenizerObjective
  private let networks: BroughtNetworks
  private let alignment: GlobalAlignment?
  private let communicator: any Communicator

  /// - Parameter adversary: Must be there if the recipe has one.
  init(
    _ recipe: TokenizerRecipe, model: TokenizerModel, networks: BroughtNetworks,
    adversary: (player: Adversary, arena: ParameterArena)?, communicator: any Communicator
  ) {
    self.recipe = recipe
    self.model = model
    self.networks = networks
    self.adversary = adversary
    self.communicator = communicator
    objective = recipe.loss.objective
    alignment = networks.alignment(of: recipe)
  }

  /// Adds this rank's gradients times `scale` to those of the generator, and to the adversary's own. Collective.
  /// - Parameters:
  ///   - step: Optimizer steps done.
  ///   - keep: Tokens to keep of each image.
  ///   - scale: 1/rounds.
  ///   - isLast: Whether this is the last round, whose gradients announce that they are complete.
  /// - Returns: The loss and its unweighted terms, in the order they are shown, and the codes.
  func accumulateGradients(
    _ input: Input, step: Int, keep: Int, scale: Float, isLast: Bool = true
  ) throws -> (values: [(name: String, value: Double)], indices: [Int32]) {
    let depth = StochasticDepth(seed: recipe.run.seed, firstSample: input.firstIndex)
    let output = model(input.images, keep: keep, depth: depth)
    let average: RankAverage = { [communicator] probabilities in try communicator.allReduce(probabilities, .mean) }
    var values: [(name: String, value: Double)] = []
    var terms: TokenizerObjective.Terms
    if let (player, arena) = adversary, step >= recipe.loss.adversarial.startStep {
      // Backward goes to the images first, loss by loss, so that the weight of one can follow from the other's; then once
      // through the decoder.
      let leaf = output.reconstruction.detached.trackingGradient
      let images = objective.reconstruction(leaf, of: input.images, perceptual: networks.perceptual)
      StepTimeline.current?.enter("backward of the image losses")
      images.total.backward()
      StepTimeline.current?.enter("the discriminator's opinion")
      let opinion = try player.opinion(on: output.reconstruction, frozen: arena)
      let weight = try adversarialWeight(
        player.settings.weight, reconstruction: leaf.gradient, adversarial: opinion.imageGradient,
        features: output.features)
      terms = try objective.codes(output, model: model, averageOverRanks: average)
      if let alignment { align(input, keep: keep, with: alignment, into: &terms) }
      let direction = leaf.gradient + weight * opinion.imageGradient
      StepTimeline.current?.enter("backward")
      (terms.total + projection(output.reconstruction, onto: direction)).backward(scale: scale, announcing: isLast)
      terms.named = images.named + terms.named
      values.append(("loss", Double(images.total.item + terms.total.item + weight * opinion.loss)))
      values += terms.named.map { ($0.name, Double($0.value)) }
      values += [("adversarial", Double(opinion.loss)), ("adversarialWeight", Double(weight))]
      StepTimeline.current?.enter("discriminator")
      values += try player.accumulateGradients(real: input.images, fake: output.reconstruction, scale: scale)
        .map { ($0.name, Double($0.value)) }
    } else {
      terms = try objective(
        output, images: input.images, model: model, perceptual: networks.perceptual, averageOverRanks: average)
      if let alignment { align(input, keep: keep, with: alignment, into: &terms) }
      StepTimeline.current?.enter("backward")
      terms.total.backward(scale: scale, announcing: isLast)
      values.append(("loss", Double(terms.total.item)))
      values += terms.named.map { ($0.name, Double($0.value)) }
    }
    if let accuracy = terms.sourceAccuracy { values.append(("sourceAccuracy", Double(accuracy))) }
    return (values, output.indices)
  }

  private func align(
    _ input: Input, keep: Int, with alignment: GlobalAlignment, into terms: inout TokenizerObjective.Terms
  ) {
    // The student drops branches of its own.
    let depth = StochasticDepth(seed: recipe.run.seed ^ 0x7374_7564_656E_74, firstSample: input.firstIndex)
    let student = model.encoder.representation(input.student ?? input.images, keep: keep, depth: depth)
    let teacher = input.teacher.flatMap { view in networks.teacher.map { $0(view) } }
    let loss = alignment(student: student, teacher: teacher, labels: input.labels)
    terms.total = terms.total + Float(recipe.alignment.weight) * loss
    terms.named.append((name: "alignment", value: loss.item))
  }

  /// The adversarial weight of the global batch. Collective if it is adaptive.
  private func adversarialWeight(
    _ rule: AdversarialWeight, reconstruction: Tensor, adversarial: Tensor, features: Tensor
  ) throws -> Float {
    if case .fixed(let weight) = rule { return weight }
    let norms = try [reconstruction, adversarial].map { imageGradient in
      let gradient = model.decoder.lastLayerGradient(features: features, imageGradient: imageGradient)
      try communicator.allReduce(UnsafeMutableBufferPointer(start: gradient.pointer, count: gradient.count), .mean)
      return gradient.values.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
    }
    return rule.value(reconstruction: norms[0], adversarial: norms[1])
  }
}

extension BroughtNetworks {
  /// What student and teacher see of every image, in this order; nothing without alignment.
  func alignmentViews(of recipe: TokenizerRecipe) -> [ViewOptions] {
    guard let loss = alignment(of: recipe) else { return [] }
    return recipe.alignment.views(withTeacher: loss.needsTeacher)
  }

  /// The alignment that a recipe asks for, if what it needs is there.
  func alignment(of recipe: TokenizerRecipe) -> GlobalAlignment? {
    guard let loss = recipe.alignment.loss, teacher != nil || !loss.needsTeacher else { return nil }
    return loss
  }
}

import Kernels

/// What the backward pass computes again instead of keeping it: memory against time.
///
/// Results and gradients have the same bits whatever is chosen.
public enum Recomputation: String, Codable, Sendable, CaseIterable {
  /// Nothing.
  case none
  /// What normalisations, activations and gates give, from their inputs, which are kept: a pass over memory each.
  case elementwise
  /// That, and residual and transformer blocks as a whole, from their inputs: about a forward pass more (Chen et al.,
  /// 2016).
  case blocks

  /// The choice for what is recorded by this task.
  @TaskLocal public static var current = Recomputation.none
}

/// Values that an op needs once more for its gradient: kept, or computed again from what is kept anyway.
struct NeededAgain {
  private let values: Tensor?
  private let source: GradientNode?

  init(_ tensor: Tensor) {
    source = tensor.node?.recompute == nil ? nil : tensor.node
    values = source == nil ? tensor.detached : nil
  }

  /// The values. To be called before gradients have flowed through the node they come from.
  var tensor: Tensor {
    if let values { return values }
    guard let recompute = source?.recompute else { fatalError("NeededAgain: the tape was released") }
    return recompute()
  }
}

/// Returns `body(inputs)`. With `Recomputation.blocks`, only the inputs are kept of it, and the backward pass computes it
/// once more.
/// - Parameters:
///   - inputs: All tensors on the tape that `body` reads, but for `parameters`.
///   - parameters: Leaves of the tape that `body` reads.
///   - body: A pure function: called twice, it records the same.
public func recomputable(
  _ inputs: [Tensor], parameters: [Tensor], _ body: @escaping ([Tensor]) -> Tensor
) -> Tensor {
  guard Recomputation.current == .blocks, Tape.isRecording else { return body(inputs) }
  let needed = inputs.map(NeededAgain.init)
  let nodes = inputs.map(\.node)
  return withoutGradient { body(inputs) }.recording(from: inputs + parameters) { dY in
    let leaves = zip(needed, nodes).map { input, node in
      node == nil ? input.tensor : input.tensor.asGatheringLeaf
    }
    let again = Tape.$isRecording.withValue(true) {
      Recomputation.$current.withValue(.none) { OperationCount.$current.withValue(nil) { body(leaves) } }
    }
    again.backward(from: dY)
    for (leaf, node) in zip(leaves, nodes) {
      if let gradient = leaf.node?.gradient { node?.accumulate(adding: gradient) }
    }
  }
}

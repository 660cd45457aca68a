import Kernels

/// A tensor's place in the tape: which nodes it was computed from and how its gradient flows back to them.
///
/// Nodes are made by `Tensor.recording` and walked backwards once by `Tensor.backward`, which releases them as it goes.
/// There are no second derivatives.
public final class GradientNode {
  let shape: [Int]
  /// Creation order: an op's inputs always have smaller numbers than its result.
  let sequence: Int
  fileprivate var inputs: [GradientNode]
  fileprivate var pullback: ((Tensor) -> Void)?
  /// Computes the tensor again, where that is cheaper than to keep it.
  fileprivate(set) var recompute: (() -> Tensor)?
  /// The gradient gathered so far; nil while nothing has flowed back. May be shared with another node's.
  fileprivate var gathered: Storage?
  fileprivate var gatheredOffset = 0
  /// For parameters: where the gradient is kept.
  private let home: Tensor?
  /// For parameters: gives `home` its memory, before the first contribution.
  private let openHome: (() -> Void)?
  /// For parameters: whether `home` holds anything yet. Where it does not, the first contribution overwrites.
  var homeIsFilled = false
  /// For parameters: called when nothing more flows back to it, by a `backward` that announces it.
  var whenComplete: (() -> Void)?
  /// Nodes of that `backward` that have yet to add their share.
  fileprivate var pendingConsumers = 0

  fileprivate init(
    shape: [Int], inputs: [GradientNode], pullback: ((Tensor) -> Void)?, home: Tensor? = nil,
    openHome: (() -> Void)? = nil
  ) {
    self.shape = shape
    self.inputs = inputs
    self.pullback = pullback
    self.home = home
    self.openHome = openHome
    sequence = inputs.reduce(0) { max($0, $1.sequence + 1) }
  }

  /// A leaf whose gradient is kept at `home` across `backward` calls.
  /// - Parameter openHome: Called before the first contribution is written there.
  convenience init(leafAt home: Tensor, openHome: (() -> Void)? = nil) {
    self.init(shape: home.shape, inputs: [], pullback: nil, home: home, openHome: openHome)
  }

  /// The gradient gathered so far, in the shape of the node's tensor.
  var gradient: Tensor? {
    if let home { return homeIsFilled ? home : nil }
    return gathered.map { Tensor(storage: $0, offset: gatheredOffset, shape: shape) }
  }

  /// Lets `write` compute a contribution to this node's gradient in place.
  ///
  /// `write` receives the buffer and whether to add to it (`true`) or to overwrite whatever is there (`false`).
  public func accumulate(_ write: (_ gradient: Tensor, _ accumulating: Bool) -> Void) {
    if let home {
      if !homeIsFilled { openHome?() }
      write(home, homeIsFilled)
      homeIsFilled = true
      return
    }
    let isFirst = gathered == nil
    if isFirst {
      gathered = Storage(count: shape.reduce(1, *))
      gatheredOffset = 0
    } else if !isKnownUniquelyReferenced(&gathered), let shared = gradient {
      let own = Storage(count: shared.count)
      copy(shared.pointer, to: own.pointer, count: shared.count)
      gathered = own
      gatheredOffset = 0
    }
    if let gradient { write(gradient, !isFirst) }
  }

  /// Adds `contribution`, whose shape may differ as long as its count agrees. The first one is shared, not copied.
  public func accumulate(adding contribution: Tensor) {
    if home == nil && gathered == nil {
      gathered = contribution.storage
      gatheredOffset = contribution.offset
      return
    }
    accumulate { target, accumulating in
      if accumulating {
        add(contribution.pointer, to: target.pointer, count: target.count)
      } else {
        copy(contribution.pointer, to: target.pointer, count: target.count)
      }
    }
  }

  /// Runs the pullback on the gathered gradient and lets go of everything the node held.
  fileprivate func flowBack() {
    guard let pullback else { return }
    if let gradient {
      gathered = nil
      self.pullback = nil
      pullback(gradient)
    }
    self.pullback = nil
    recompute = nil
    inputs = []
  }
}

/// Whether ops record themselves for a later `backward`.
public enum Tape {
  @TaskLocal static var isRecording = true
}

/// Runs `body` without recording: for evaluation, teachers and targets.
public func withoutGradient<Result>(_ body: () throws -> Result) rethrows -> Result {
  try Tape.$isRecording.withValue(false, operation: body)
}

extension Tensor {
  /// This tensor with a node in the tape, if any of `inputs` has one and recording is on.
  ///
  /// The pullback receives the gradient with respect to this tensor and adds its share to each input's node. It should
  /// capture nodes and only those tensors whose values it reads, because what it captures stays in memory.
  /// - Parameters:
  ///   - inputs: What the op read and may want gradients; nil where there is none.
  ///   - recompute: Computes this tensor once more from values that `pullback` captures anyway; ops that need it for
  ///     their gradients then need not keep it. See `Recomputation`.
  ///   - pullback: Adds the gradients of the inputs' nodes, given that of this tensor in its shape.
  public func recording(
    from inputs: [Tensor?], recompute: (() -> Tensor)? = nil, _ pullback: @escaping (_ dY: Tensor) -> Void
  ) -> Tensor {
    guard Tape.isRecording else { return self }
    let nodes = inputs.compactMap { $0?.node }
    guard !nodes.isEmpty else { return self }
    let node = GradientNode(shape: shape, inputs: nodes, pullback: pullback)
    if Recomputation.current != .none { node.recompute = recompute }
    return Tensor(storage: storage, offset: offset, shape: shape, node: node)
  }

  /// A leaf of the tape whose gradient is gathered as it comes, and nil while none has come.
  var asGatheringLeaf: Tensor {
    let node = GradientNode(shape: shape, inputs: [], pullback: nil)
    return Tensor(storage: storage, offset: offset, shape: shape, node: node)
  }

  /// A leaf of the tape with its own gradient, for gradient checks and for gradients with respect to inputs.
  public var trackingGradient: Tensor {
    let node = GradientNode(leafAt: Tensor(repeating: 0, shape: shape))
    return Tensor(storage: storage, offset: offset, shape: shape, node: node)
  }

  /// The gradient with respect to this tensor after `backward`, for leaves; zero where nothing flowed back.
  public var gradient: Tensor {
    require(node != nil, "gradient: the tensor is outside the tape")
    return node?.gradient ?? Tensor(repeating: 0, shape: shape)
  }

  /// Computes the gradient of this scalar with respect to every leaf it depends on, times `scale`, and adds it there.
  ///
  /// The tape behind this tensor is released on the way: `backward` can be called once.
  /// - Parameters:
  ///   - scale: What the gradient is multiplied with: 1/rounds where rounds are accumulated.
  ///   - announcing: Whether parameters announce their gradients as they become complete (see
  ///     `ParameterArena.announceGradients`): for the last `backward` of a step.
  public func backward(scale: Float = 1, announcing: Bool = false) {
    backward(from: Tensor(repeating: scale, shape: shape), announcing: announcing)
  }

  /// Propagates `gradient`, taken as the gradient of some scalar with respect to this tensor, to every leaf.
  public func backward(from gradient: Tensor, announcing: Bool = false) {
    guard let node else { return }
    require(gradient.count == count, "backward: gradient \(gradient.shape) for a tensor of shape \(shape)")
    node.accumulate(adding: gradient)
    let nodes = Self.reachable(from: node)
    guard announcing else {
      for node in nodes { node.flowBack() }
      return
    }
    for node in nodes {
      for leaf in node.inputs where leaf.whenComplete != nil { leaf.pendingConsumers += 1 }
    }
    for node in nodes {
      let leaves = node.inputs.filter { $0.whenComplete != nil }
      node.flowBack()
      for leaf in leaves {
        leaf.pendingConsumers -= 1
        if leaf.pendingConsumers == 0 { leaf.whenComplete?() }
      }
    }
  }

  /// All nodes behind `root`, later ones first. An explicit stack, because graphs are thousands of nodes deep.
  private static func reachable(from root: GradientNode) -> [GradientNode] {
    var seen: Set<ObjectIdentifier> = [ObjectIdentifier(root)]
    var found = [root]
    var index = 0
    while index < found.count {
      for input in found[index].inputs where seen.insert(ObjectIdentifier(input)).inserted { found.append(input) }
      index += 1
    }
    // Every consumer has a larger sequence than what it consumes; ties have no path between them, and the order in
    // which they were found is the same every time, so sums keep their order from run to run.
    return found.enumerated().sorted {
      ($0.element.sequence, $1.offset) > ($1.element.sequence, $0.offset)
    }.map(\.element)
  }
}

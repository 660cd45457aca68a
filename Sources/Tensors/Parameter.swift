import Kernels

/// How a parameter's published (PyTorch) layout maps onto the layout kept in memory.
public enum ParameterLayout: Sendable, Equatable {
  /// The same order of values: linear weights `[out, in]` (and 1×1 convolutions `[out, in, 1, 1]`), biases, gains.
  case asPublished
  /// Convolution: published `[out, in, height, width]`, in memory `[height, width, in, out]`.
  case convolution
  /// Depthwise convolution: published `[channels, 1, height, width]`, in memory `[height, width, channels]`.
  case depthwise
}

/// A trainable array with its gradient.
///
/// Parameters start with memory of their own; a `ParameterArena` moves all of a model's into one block.
public final class Parameter {
  /// The shape in memory.
  public let shape: [Int]
  /// The shape in published checkpoints.
  public let publishedShape: [Int]
  /// How the two relate.
  public let layout: ParameterLayout
  /// The number of values.
  public let count: Int

  private var storage: Storage
  private var offset = 0
  private var leaf: GradientNode?
  fileprivate var isFrozen = false

  /// A parameter with the given initial values in memory order.
  public init(_ initial: Tensor, publishedShape: [Int]? = nil, layout: ParameterLayout = .asPublished) {
    shape = initial.shape
    count = initial.count
    self.publishedShape = publishedShape ?? initial.shape
    self.layout = layout
    storage = initial.storage
    require(initial.offset == 0, "Parameter: initial values must own their storage")
    require(
      self.publishedShape.reduce(1, *) == count,
      "Parameter: published shape \(self.publishedShape) does not match \(shape)")
  }

  /// The values, as a leaf of the tape once the parameter lives in an arena with gradients.
  public var value: Tensor {
    Tensor(storage: storage, offset: offset, shape: shape, node: isFrozen ? nil : leaf)
  }

  /// The gradient with respect to the values; zero where nothing flowed back since the arena's `startStep`.
  public var gradient: Tensor { Tensor(storage: storage, offset: offset, shape: shape, node: leaf).gradient }

  fileprivate func move(to storage: Storage, offset: Int, gradients: PagedStorage?) {
    let destination = storage.pointer + offset
    destination.update(from: value.pointer, count: count)
    self.storage = storage
    self.offset = offset
    leaf = gradients.map { gradients in
      let range = offset..<offset + count
      return GradientNode(
        leafAt: Tensor(storage: gradients.storage, offset: offset, shape: shape),
        openHome: { gradients.provide(range) })
    }
  }

  fileprivate func announceGradient(_ body: (() -> Void)?) { leaf?.whenComplete = body }

  fileprivate var gradientIsFilled: Bool {
    get { leaf?.homeIsFilled ?? false }
    set { leaf?.homeIsFilled = newValue }
  }

  /// Sets the values from published order.
  public func setPublished(_ values: some Collection<Float>) {
    require(values.count == count, "setPublished: \(values.count) values for \(publishedShape)")
    let source = Array(values)
    forEachPublishedIndex { published, memory in value.pointer[memory] = source[published] }
  }

  /// The values, or those of another array laid out like this parameter (its gradient, a moment), in published order.
  public func published(from memory: UnsafePointer<Float>? = nil) -> [Float] {
    let source = memory ?? UnsafePointer(value.pointer)
    var result = [Float](repeating: 0, count: count)
    forEachPublishedIndex { published, memory in result[published] = source[memory] }
    return result
  }

  private func forEachPublishedIndex(_ body: (_ published: Int, _ memory: Int) -> Void) {
    switch layout {
    case .asPublished:
      for index in 0..<count { body(index, index) }
    case .convolution, .depthwise:
      // Published [outer, inner, taps] against memory [taps, inner, outer]; depthwise has inner = 1.
      let (outer, inner) = (publishedShape[0], publishedShape[1])
      let taps = publishedShape[2] * publishedShape[3]
      for o in 0..<outer {
        for i in 0..<inner {
          for t in 0..<taps { body((o * inner + i) * taps + t, (t * inner + i) * outer + o) }
        }
      }
    }
  }
}

/// All parameters of a model in one block of floats, in the order of execution, and their gradients in another.
///
/// A gradient bucket, an optimizer shard and a checkpoint piece are ranges of these floats. Gradients have memory from when
/// they are first written in a step until the next `startStep`.
public final class ParameterArena {
  /// One parameter's place.
  public struct Entry {
    /// The published state-dict key.
    public let name: String
    /// The parameter.
    public let parameter: Parameter
    /// Its floats in the arena.
    public let range: Range<Int>
  }

  /// Every parameter, in order, without gaps.
  public let entries: [Entry]
  /// Floats in the arena.
  public let count: Int
  private let valueStorage: Storage
  private let gradientStorage: PagedStorage?

  /// Moves the parameters into one block. Afterwards they record gradients unless `gradients` is false.
  public init(_ parameters: [(name: String, parameter: Parameter)], gradients: Bool = true) {
    var entries: [Entry] = []
    var end = 0
    for (name, parameter) in parameters {
      entries.append(Entry(name: name, parameter: parameter, range: end..<end + parameter.count))
      end += parameter.count
    }
    self.entries = entries
    count = end
    valueStorage = Storage(count: end)
    gradientStorage = gradients ? PagedStorage(count: end) : nil
    for entry in entries {
      entry.parameter.move(to: valueStorage, offset: entry.range.lowerBound, gradients: gradientStorage)
    }
    // What the parameters leave may be more than activations ever need.
    StoragePool.shared.trim()
  }

  /// All values.
  public var values: UnsafeMutableBufferPointer<Float> {
    UnsafeMutableBufferPointer(start: valueStorage.pointer, count: count)
  }

  /// All gradients. Complete after `finishGradients`.
  public var gradients: UnsafeMutableBufferPointer<Float> {
    require(gradientStorage != nil, "gradients: this arena was made without them")
    return UnsafeMutableBufferPointer(start: gradientStorage?.pointer, count: gradientStorage?.count ?? 0)
  }

  /// Runs `body` with these parameters outside the tape: gradients flow through the model, but not to its parameters.
  public func frozen<Result>(_ body: () throws -> Result) rethrows -> Result {
    for entry in entries { entry.parameter.isFrozen = true }
    defer { for entry in entries { entry.parameter.isFrozen = false } }
    return try body()
  }

  /// Forgets all gradients: the next contribution to each overwrites. Their memory is free for activations.
  public func startStep() {
    for entry in entries { entry.parameter.gradientIsFilled = false }
    gradientStorage?.release()
  }

  /// Zeroes the gradients of parameters that nothing flowed back to since `startStep`.
  public func finishGradients() {
    for entry in entries { finishGradient(of: entry) }
  }

  private func finishGradient(of entry: Entry) {
    guard !entry.parameter.gradientIsFilled else { return }
    gradientStorage?.provide(entry.range)
    UnsafeMutableBufferPointer(rebasing: gradients[entry.range]).update(repeating: 0)
    entry.parameter.gradientIsFilled = true
  }

  /// Lets a `backward` that announces it call `body` with the position in `entries` of every parameter whose gradient is
  /// complete while others are still being computed. Parameters that the result does not depend on announce nothing.
  /// - Parameter body: Nil to announce nothing any more.
  public func announceGradients(_ body: ((_ index: Int) -> Void)?) {
    for (index, entry) in entries.enumerated() {
      entry.parameter.announceGradient(
        body.map { body in
          { [unowned self] in
            finishGradient(of: entry)
            body(index)
          }
        })
    }
  }
}

public import Kernels

/// Contiguous row-major `Float` values with a shape, and, while gradients are recorded, a place in the tape.
///
/// Images are `[batch, height, width, channels]`, tokens `[batch, length, channels]`: the last axis is always the
/// channels. A `Tensor` is a reference to its storage: copies share it, and nothing but the op that made a tensor writes
/// to it.
public struct Tensor {
  /// The memory that holds the values.
  public let storage: Storage
  /// The first value's position in `storage`, in floats.
  public let offset: Int
  /// The extent of each axis; empty for a scalar.
  public let shape: [Int]
  /// The tensor's node in the tape, where a gradient with respect to it is wanted.
  public let node: GradientNode?

  /// A tensor over existing memory.
  /// - Precondition: `storage` holds `offset + shape.product` floats.
  public init(storage: Storage, offset: Int = 0, shape: [Int], node: GradientNode? = nil) {
    require(
      offset + shape.reduce(1, *) <= storage.count,
      "Tensor: shape \(shape) at offset \(offset) does not fit into \(storage.count) floats")
    self.storage = storage
    self.offset = offset
    self.shape = shape
    self.node = node
  }

  /// A tensor with undefined values.
  public init(uninitialized shape: [Int]) {
    self.init(storage: Storage(count: shape.reduce(1, *)), shape: shape)
  }

  /// A tensor of one value repeated.
  public init(repeating value: Float, shape: [Int]) {
    self.init(uninitialized: shape)
    fill(pointer, count: count, with: value)
  }

  /// A tensor with the given values in row-major order.
  public init(_ values: some Collection<Float>, shape: [Int]) {
    require(values.count == shape.reduce(1, *), "Tensor: \(values.count) values for shape \(shape)")
    self.init(uninitialized: shape)
    _ = UnsafeMutableBufferPointer(start: pointer, count: count).update(from: values)
  }

  /// A scalar.
  public init(_ value: Float) { self.init(CollectionOfOne(value), shape: []) }

  /// The number of values.
  public var count: Int { shape.reduce(1, *) }
  /// The number of axes.
  public var dimensionCount: Int { shape.count }
  /// The extent of the last axis, 1 for a scalar.
  public var channels: Int { shape.last ?? 1 }
  /// The product of all extents but the last.
  public var rows: Int { shape.dropLast().reduce(1, *) }
  /// The first value.
  public var pointer: UnsafeMutablePointer<Float> { storage.pointer + offset }
  /// The values as a `rows × channels` matrix.
  public var matrix: MatrixView { MatrixView(pointer, rows: rows, columns: channels) }
  /// The values in row-major order.
  public var values: [Float] { Array(UnsafeBufferPointer(start: pointer, count: count)) }

  /// The value of a tensor that has just one.
  public var item: Float {
    require(count == 1, "item: a tensor of shape \(shape) has \(count) values")
    return pointer[0]
  }

  /// The same values outside the tape: gradients stop here.
  public var detached: Tensor { Tensor(storage: storage, offset: offset, shape: shape) }
}

/// Stops the program with a message when a caller broke an op's contract. Not for anything a user can cause.
@inlinable
public func require(
  _ condition: Bool, _ message: @autoclosure () -> String, file: StaticString = #fileID, line: UInt = #line
) {
  guard condition else { fatalError(message(), file: file, line: line) }
}

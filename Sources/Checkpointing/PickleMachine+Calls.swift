/// What the names and calls in a PyTorch pickle mean.
extension PickleMachine {
  mutating func pushGlobal(module: String, name: String) throws(CheckpointError) {
    guard let global = PickleGlobal(module: module, name: name) else {
      throw CheckpointError(path: path, .refusedGlobal(name: "\(module).\(name)"))
    }
    push(.global(global))
  }

  mutating func pushStackGlobal() throws(CheckpointError) {
    guard case .text(let name) = try pop(), case .text(let module) = try pop() else {
      throw malformed("the name of a class is not text")
    }
    try pushGlobal(module: module, name: name)
  }

  /// Gives a call of a known name its meaning.
  mutating func call(argumentCount: Int) throws(CheckpointError) {
    if argumentCount == 2 { _ = try pop() }  // Keyword arguments, of no interest.
    guard case .tuple(let tuple) = try pop() else { throw malformed("the arguments of a call are not a tuple") }
    let arguments = graph.tuples[tuple]
    switch try pop() {
    case .global(.dictionary):
      pushDictionary()
      // Old files pass the items as a list of pairs.
      if case .list(let pairs)? = arguments.first { try set(pairs: graph.lists[pairs]) }
    case .global(.size):
      guard case .tuple? = arguments.first else { throw malformed("a torch.Size of something else than a tuple") }
      push(arguments[0])
    case .global(.rebuildTensor):
      graph.tensors.append(try tensor(from: arguments))
      push(.tensor(graph.tensors.count - 1))
    case .global(.rebuildParameter):
      guard case .tensor? = arguments.first else { throw malformed("a parameter without a tensor") }
      push(arguments[0])
    case .global(.inert), .inert:
      push(.inert)
    default:
      throw malformed("something that cannot be called is called")
    }
  }

  private mutating func set(pairs: [PickleValue]) throws(CheckpointError) {
    // A list may be used many times over; its copies must not outgrow the pickle.
    copiedPairCount += pairs.count
    guard copiedPairCount <= bytes.count else { throw malformed("more dictionary items than the file can hold") }
    for pair in pairs {
      let elements: [PickleValue] =
        switch pair {
        case .tuple(let index): graph.tuples[index]
        case .list(let index): graph.lists[index]
        default: []
        }
      guard elements.count == 2 else { throw malformed("the items of a dictionary are not pairs") }
      try set(elements)
    }
  }

  /// A storage from its persistent identifier: `('storage', class, key, location, elementCount, …)`.
  func storage(identifiedBy identifier: PickleValue) throws(CheckpointError) -> TorchStorage {
    guard case .tuple(let tuple) = identifier, graph.tuples[tuple].count >= 5,
      case .text("storage") = graph.tuples[tuple][0], case .global(.storageClass(let type)) = graph.tuples[tuple][1],
      case .text(let key) = graph.tuples[tuple][2], case .integer(let count) = graph.tuples[tuple][4], count >= 0
    else { throw malformed("the identifier of a storage is not ('storage', class, key, location, count)") }
    if graph.tuples[tuple].count > 5 {
      guard case .none = graph.tuples[tuple][5] else {
        throw CheckpointError(path: path, .unsupported(detail: "the storage '\(key)', a view of another storage,"))
      }
    }
    return TorchStorage(key: key, elementType: type, elementCount: count)
  }

  /// A tensor from the arguments of `_rebuild_tensor…`: `(storage, offset, shape, strides, …)`. Version 3 adds the
  /// element type at position 6, because its storages are untyped.
  func tensor(from arguments: [PickleValue]) throws(CheckpointError) -> TorchTensor {
    guard arguments.count >= 4, case .storage(let storage) = arguments[0], case .integer(let offset) = arguments[1],
      offset >= 0, let shape = naturals(arguments[2]), let strides = naturals(arguments[3]),
      shape.count == strides.count
    else { throw malformed("the arguments of a tensor are not (storage, offset, shape, strides)") }
    var type = graph.storages[storage].elementType
    if type == nil, arguments.count >= 7, case .global(.elementType(let given)) = arguments[6] { type = given }
    guard let type else { throw malformed("a tensor has no element type") }
    return TorchTensor(storage: storage, elementType: type, offset: offset, shape: shape, strides: strides)
  }

  private func naturals(_ value: PickleValue) -> [Int]? {
    guard case .tuple(let tuple) = value else { return nil }
    // More dimensions than this are never meant.
    guard graph.tuples[tuple].count <= 64 else { return nil }
    var naturals: [Int] = []
    for element in graph.tuples[tuple] {
      guard case .integer(let number) = element, number >= 0 else { return nil }
      naturals.append(number)
    }
    return naturals
  }
}

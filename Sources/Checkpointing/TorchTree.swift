/// The dictionaries and lists of a PyTorch file, as a tree with tensors for leaves.
struct TorchTree {
  let root: PickleValue
  let graph: PickleGraph
  /// How many values may be visited and letters of names made: shared containers and long keys would otherwise
  /// multiply without end.
  private let limit: Int

  /// Where trainers put the weights, in order of preference.
  private static let preferredSections = ["state_dict", "model_state_dict", "model", "module", "params"]
  private static let maximumDepth = 16

  /// The tree of a file of `byteCount` bytes.
  init(root: PickleValue, graph: PickleGraph, byteCount: Int) {
    self.root = root
    self.graph = graph
    limit = 65_536 + 8 * byteCount
  }

  /// The top-level keys under which there are tensors, in the file's order.
  func sections(path: String) throws(CheckpointError) -> [String] {
    guard case .dictionary(let dictionary) = root else { return [] }
    var sections: [String] = []
    var budget = limit
    for (key, value) in graph.dictionaries[dictionary] {
      guard case .text(let name) = key, isContainer(value), !sections.contains(name) else { continue }
      var tensors: [String: Int] = [:]
      try collect(value, name: "", depth: 0, into: &tensors, budget: &budget, path: path)
      if !tensors.isEmpty { sections.append(name) }
    }
    return sections
  }

  /// Numbers and texts at the top.
  func scalars() -> [String: String] {
    guard case .dictionary(let dictionary) = root else { return [:] }
    var scalars: [String: String] = [:]
    for (key, value) in graph.dictionaries[dictionary] {
      guard case .text(let name) = key else { continue }
      switch value {
      case .boolean(let flag): scalars[name] = String(flag)
      case .integer(let number): scalars[name] = String(number)
      case .real(let number): scalars[name] = String(number)
      case .text(let text): scalars[name] = text
      default: break
      }
    }
    return scalars
  }

  /// The tensors of a section by name, as indices into the graph.
  func tensors(inSection section: String?, path: String) throws(CheckpointError) -> [String: Int] {
    var tensors: [String: Int] = [:]
    var budget = limit
    let value = try container(ofSection: section, path: path)
    try collect(value, name: "", depth: 0, into: &tensors, budget: &budget, path: path)
    guard !tensors.isEmpty else {
      throw CheckpointError(path: path, .missingTensor(name: section.map { $0 + ".…" } ?? "…"))
    }
    return tensors
  }

  private func container(ofSection section: String?, path: String) throws(CheckpointError) -> PickleValue {
    guard let section else {
      guard case .dictionary(let dictionary) = root else { return root }
      let isStateDictionary = graph.dictionaries[dictionary].contains { pair in
        if case .tensor = pair.value { true } else { false }
      }
      if isStateDictionary { return root }
      let sections = try sections(path: path)
      guard let preferred = Self.preferredSections.first(where: sections.contains) else { return root }
      return graph.value(of: preferred, in: dictionary) ?? root
    }
    var value = root
    for part in section.split(separator: ".") {
      guard case .dictionary(let dictionary) = value, let next = graph.value(of: String(part), in: dictionary) else {
        throw CheckpointError(
          path: path, .malformed(format: "PyTorch", detail: "there is no section '\(section)'"))
      }
      value = next
    }
    return value
  }

  private func collect(
    _ value: PickleValue, name: String, depth: Int, into tensors: inout [String: Int], budget: inout Int, path: String
  ) throws(CheckpointError) {
    budget -= 1 + name.utf8.count
    guard budget >= 0, depth <= Self.maximumDepth else {
      throw CheckpointError(
        path: path, .malformed(format: "PyTorch", detail: "its dictionaries are nested too deeply or in a circle"))
    }
    func extended(_ part: String) -> String { name.isEmpty ? part : "\(name).\(part)" }
    switch value {
    case .tensor(let index):
      tensors[name.isEmpty ? "tensor" : name] = index
    case .dictionary(let dictionary):
      for (key, value) in graph.dictionaries[dictionary] {
        let part: String
        switch key {
        case .text(let text): part = text
        case .integer(let number): part = String(number)
        default: continue
        }
        try collect(value, name: extended(part), depth: depth + 1, into: &tensors, budget: &budget, path: path)
      }
    case .list(let list):
      for (index, value) in graph.lists[list].enumerated() {
        try collect(value, name: extended(String(index)), depth: depth + 1, into: &tensors, budget: &budget, path: path)
      }
    case .tuple(let tuple):
      for (index, value) in graph.tuples[tuple].enumerated() {
        try collect(value, name: extended(String(index)), depth: depth + 1, into: &tensors, budget: &budget, path: path)
      }
    default:
      break
    }
  }

  private func isContainer(_ value: PickleValue) -> Bool {
    switch value {
    case .dictionary, .list, .tuple: true
    default: false
    }
  }
}

public import Tensors

/// A part of a model that owns parameters and knows their published names.
public protocol Module {
  /// Visits every parameter once, in order of execution, with its name relative to this module.
  func forEachParameter(_ body: (_ name: String, _ parameter: Parameter) -> Void)
}

extension Module {
  /// Visits every parameter with `prefix` and a dot in front of its name.
  public func forEachParameter(under prefix: String, _ body: (_ name: String, _ parameter: Parameter) -> Void) {
    forEachParameter { name, parameter in body("\(prefix).\(name)", parameter) }
  }

  /// All parameters with their names.
  public var parameters: [(name: String, parameter: Parameter)] {
    var result: [(name: String, parameter: Parameter)] = []
    forEachParameter { result.append(($0, $1)) }
    return result
  }

  /// The number of trainable values.
  public var parameterCount: Int { parameters.reduce(0) { $0 + $1.parameter.count } }
}

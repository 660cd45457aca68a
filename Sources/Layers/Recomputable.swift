public import Tensors

extension Module {
  /// Returns `body(x)`, a part of this module that may be computed again in the backward pass: see `Recomputation`.
  /// - Parameters:
  ///   - x: The only tensor on the tape that `body` reads, but for this module's parameters.
  ///   - body: A pure function: called twice, it records the same.
  public func recomputable(_ x: Tensor, _ body: @escaping (Tensor) -> Tensor) -> Tensor {
    guard Recomputation.current == .blocks else { return body(x) }
    var parameters: [Tensor] = []
    forEachParameter { _, parameter in parameters.append(parameter.value) }
    return Tensors.recomputable([x], parameters: parameters) { body($0[0]) }
  }
}

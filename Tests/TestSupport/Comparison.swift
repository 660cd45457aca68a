import Testing

/// Expects `max |Δ| ≤ tolerance·max(1, max |reference|)`, the rule for forward tensors.
public func expectClose(
  _ found: [Float], _ reference: [Float], _ name: String, tolerance: Float = 1e-4,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  guard found.count == reference.count else {
    Issue.record("\(name): \(found.count) values, expected \(reference.count)", sourceLocation: sourceLocation)
    return
  }
  let limit = tolerance * max(1, reference.map(abs).max() ?? 0)
  let worst = zip(found, reference).map { abs($0 - $1) }.max() ?? 0
  // The comparison is written so that NaN fails it.
  #expect(worst <= limit, "\(name): differs by \(worst), allowed \(limit)", sourceLocation: sourceLocation)
}

/// Expects `|Δ| ≤ tolerance·|reference|`, the rule for losses.
public func expectClose(
  _ found: Double, _ reference: Double, _ name: String, relative tolerance: Double = 1e-5,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  #expect(
    abs(found - reference) <= tolerance * abs(reference), "\(name): \(found), expected \(reference)",
    sourceLocation: sourceLocation)
}

/// Expects `‖Δ‖ ≤ tolerance·‖reference‖`, the rule for gradients; below a norm of 1e-6 an absolute 1e-6.
public func expectCloseGradient(
  _ found: [Float], _ reference: [Float], _ name: String, tolerance: Double = 1e-3,
  sourceLocation: SourceLocation = #_sourceLocation
) {
  guard found.count == reference.count else {
    Issue.record("\(name): \(found.count) values, expected \(reference.count)", sourceLocation: sourceLocation)
    return
  }
  func norm(_ values: some Sequence<Double>) -> Double { values.reduce(0) { $0 + $1 * $1 }.squareRoot() }
  let size = norm(reference.lazy.map(Double.init))
  let error = norm(zip(found, reference).lazy.map { Double($0) - Double($1) })
  let limit = size < 1e-6 ? 1e-6 : tolerance * size
  #expect(error <= limit, "\(name): off by \(error) of \(size)", sourceLocation: sourceLocation)
}

import Checkpointing

extension ShardedWeights {
  /// Starts from the parameters of a weight file: the values, and the average of this rank's range. Adam starts afresh.
  /// - Throws: `UnfitWeights` unless the file has exactly these parameters.
  func load(published file: any TensorFile) throws {
    let expected = Dictionary(uniqueKeysWithValues: arena.entries.map { ($0.name, $0.parameter.publishedShape) })
    let comparison = ParameterComparison(expected: expected, found: file.shapes)
    guard comparison.isExact else { throw UnfitWeights(path: file.path, report: comparison.description) }
    for entry in arena.entries { entry.parameter.setPublished(try file.floats(entry.name)) }
    _ = average.update(fromContentsOf: UnsafeMutableBufferPointer(rebasing: arena.values[ownRange]))
  }
}

import Tokenizer

extension Teacher.Config {
  /// The shape of a vision transformer, from the shapes of its weights.
  /// - Parameters:
  ///   - heads: They leave no trace in the shapes; nil for one per 64 channels.
  ///   - path: Names the file in messages.
  init(shapes: [String: [Int]], heads: Int?, path: String) throws {
    self.init()
    func shape(_ key: String, dimensions: Int) throws -> [Int] {
      guard let shape = shapes[key], shape.count == dimensions, shape.allSatisfy({ $0 > 0 }) else {
        throw UnfitWeights(path: path, report: "'\(key)', which every DINOv2 has, is missing or of another shape")
      }
      return shape
    }
    let positions = try shape("embeddings.position_embeddings", dimensions: 3)
    width = positions[2]
    patchSize = try shape("embeddings.patch_embeddings.projection.weight", dimensions: 4)[3]
    imageSize = Int(Double(positions[1] - 1).squareRoot().rounded()) * patchSize
    blocks = 0
    while shapes["encoder.layer.\(blocks).norm1.weight"] != nil { blocks += 1 }
    self.heads = heads ?? max(1, width / 64)
    guard width.isMultiple(of: self.heads) else {
      throw ConfigError(
        key: "alignment.teacherHeads",
        problem: "is \(self.heads), which does not divide the teacher's \(width) channels")
    }
  }
}

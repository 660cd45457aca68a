import Checkpointing
import Foundation
import Layers
import Tensors
import Tokenizer

extension TokenizerModel {
  /// Gives the encoder's attention blocks and class token elements of a larger vision transformer's weights, evenly
  /// spread along every axis (Xu et al., 2024, "Initializing Models with Larger Ones").
  /// - Parameter files: Weights named as in timm and in the original DINOv2: `cls_token`, `blocks.N.attn.qkv.weight`, …
  /// - Returns: How many parameters were set.
  /// - Throws: `UnfitWeights` if a parameter is missing or smaller there; `CheckpointError` if a file cannot be read.
  @discardableResult
  func initializeEncoder(from files: [any TensorFile]) throws -> Int {
    let (prefix, path) = ("encoder.attn.", files.map(\.path).joined(separator: ", "))
    var count = 0
    for (name, parameter) in parameters where name.hasPrefix(prefix) {
      let key = String(name.dropFirst(prefix.count))
      guard let file = files.first(where: { $0.description(of: key) != nil }), let tensor = file.description(of: key)
      else {
        // Not every transformer scales its branches.
        if key.hasSuffix(".gamma") { continue }
        throw UnfitWeights(path: path, report: "'\(key)', from which '\(name)' would begin, is missing")
      }
      guard
        let selected = uniformSelection(
          try file.floats(key), shape: tensor.shape, to: parameter.publishedShape)
      else {
        throw UnfitWeights(
          path: path,
          report: "'\(key)' of shape \(tensor.shape) is smaller than the \(parameter.publishedShape) of '\(name)'")
      }
      parameter.setPublished(selected)
      count += 1
    }
    return count
  }
}

/// Elements of an array at evenly spread indices of every axis; nil unless the array is as large as wanted along each.
///
/// Where the sizes divide, every n-th index; otherwise the nearest to as many equally spaced points from first to last.
func uniformSelection(_ values: [Float], shape: [Int], to target: [Int]) -> [Float]? {
  guard shape.count == target.count, zip(shape, target).allSatisfy({ $0 >= $1 }) else { return nil }
  let indices = zip(shape, target).map { size, wanted in
    (0..<wanted).map { index in
      size.isMultiple(of: wanted)
        ? index * (size / wanted)
        : Int((Double(index * (size - 1)) / Double(wanted - 1)).rounded(.toNearestOrEven))
    }
  }
  // Offsets of the leading axes, extended axis by axis.
  var offsets = [0]
  for (axis, positions) in indices.enumerated() {
    offsets = offsets.flatMap { offset in positions.map { offset * shape[axis] + $0 } }
  }
  return offsets.map { values[$0] }
}

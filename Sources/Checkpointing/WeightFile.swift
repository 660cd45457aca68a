/// Opens weight files of any format that is read here.
public enum WeightFile {
  /// Opens a safetensors or PyTorch file, told apart by its content, not by its name.
  /// - Parameters:
  ///   - path: Of the file; its name does not matter.
  ///   - section: For PyTorch files, the dictionary whose tensors are wanted; see `PyTorchFile`.
  /// - Throws: `CheckpointError` if the file cannot be read or follows neither format.
  public static func open(_ path: String, section: String? = nil) throws(CheckpointError) -> any TensorFile {
    let region = try ByteRegion(mapping: path)
    // A safetensors file begins with a length below 2³² and an opening brace, which neither zip nor pickle do.
    if region.bytes.count > 8, region.bytes[8] == UInt8(ascii: "{") { return try Safetensors(region) }
    return try PyTorchFile(region, section: section)
  }
}

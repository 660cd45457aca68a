import CImageCodecs

/// How finely a JPEG stores colour.
public enum ChromaSampling: String, Codable, Sendable {
  /// Halved in both directions (4:2:0), as most photographs are.
  case halved
  /// At full resolution (4:4:4).
  case full
}

extension PixelImage {
  /// The picture as the bytes of a PNG file (8-bit RGB, sRGB).
  /// - Throws: `DataError` when memory does not suffice.
  public func encodedAsPNG() throws(DataError) -> [UInt8] {
    try encoded(release: codec_release_png) { pixels, bytes, count, message in
      codec_encode_png(pixels, UInt32(width), UInt32(height), bytes, count, message)
    }
  }

  /// The picture as the bytes of a JPEG file.
  /// - Parameters:
  ///   - quality: 1 (worst) to 100.
  ///   - chroma: How finely colour is stored.
  /// - Throws: `DataError` when a side exceeds 65,500 pixels or memory does not suffice.
  public func encodedAsJPEG(quality: Int, chroma: ChromaSampling = .halved) throws(DataError) -> [UInt8] {
    require((1...100).contains(quality), "JPEG quality must be 1...100, not \(quality)")
    return try encoded(release: codec_release_jpeg) { pixels, bytes, count, message in
      codec_encode_jpeg(
        pixels, UInt32(width), UInt32(height), Int32(quality), chroma == .full, bytes, count, message)
    }
  }

  /// Writes the picture as a PNG file, replacing what is there.
  /// - Throws: `DataError` naming the path and the operating system's reason.
  public func writePNG(to path: String) throws(DataError) {
    try writeFile(encodedAsPNG(), to: path)
  }

  private func encoded(
    release: (UnsafeMutablePointer<UInt8>?) -> Void,
    _ encode: (
      UnsafePointer<UInt8>?, UnsafeMutablePointer<UnsafeMutablePointer<UInt8>?>, UnsafeMutablePointer<Int>,
      UnsafeMutablePointer<CChar>?
    ) -> Bool
  ) throws(DataError) -> [UInt8] {
    var bytes: UnsafeMutablePointer<UInt8>?
    var count = 0
    defer { release(bytes) }
    let detail = pixels.withUnsafeBufferPointer { pixels in
      failure { encode(pixels.baseAddress, &bytes, &count, $0) }
    }
    if let detail { throw DataError(path: "\(width)×\(height) picture", reason: .unwritable(detail: detail)) }
    return Array(UnsafeBufferPointer(start: bytes, count: count))
  }
}

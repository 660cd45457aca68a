import CImageCodecs

/// A JPEG or PNG file whose header was read, told apart by content.
///
/// Greyscale, palette, 16-bit and CMYK images become 8-bit RGB. CMYK is taken as inverted where the file carries
/// Adobe's marker. Transparent pixels are laid over white. Metadata (EXIF orientation, colour profiles, gamma) is
/// ignored, as in the usual ImageNet pipelines.
struct EncodedImage {
  /// Size of the picture that decoding yields.
  let width: Int, height: Int
  private let bytes: [UInt8]
  private let name: String
  private let header: codec_header
  private let denominator: Int

  /// Reads the header; nothing is decoded.
  /// - Throws: `DataError` about `name` when the bytes are neither JPEG nor PNG, break off, or claim too large a picture.
  init(_ bytes: [UInt8], name: String, options: DecodingOptions) throws(DataError) {
    let header = try readHeader(bytes, name: name)
    let (pixelCount, overflow) = Int(header.width).multipliedReportingOverflow(by: Int(header.height))
    guard !overflow, pixelCount <= options.pixelLimit else {
      throw DataError(
        path: name,
        reason: .tooLarge(width: Int(header.width), height: Int(header.height), pixelLimit: options.pixelLimit))
    }
    denominator = options.denominator(for: header)
    width = (Int(header.width) + denominator - 1) / denominator
    height = (Int(header.height) + denominator - 1) / denominator
    (self.bytes, self.name, self.header) = (bytes, name, header)
  }

  /// Decodes the whole picture.
  /// - Throws: `DataError` when the bytes are cut off or damaged.
  func decoded() throws(DataError) -> PixelImage {
    let byteCount = width * height * 3
    var detail: String?
    let pixels = [UInt8](unsafeUninitializedCapacity: byteCount) { rgb, count in
      detail =
        header.format == CODEC_FORMAT_JPEG
        ? failureReadingJPEG(PixelWindow(width: width, height: height)) { jpeg, message in
          codec_read_jpeg_rows(jpeg, Int32(height), rgb.baseAddress, message)
        }
        : failure { message in
          withUnsafePointer(to: header) { codec_decode_png(bytes, bytes.count, $0, rgb.baseAddress, message) }
        }
      count = detail == nil ? byteCount : 0
    }
    if let detail { throw DataError(path: name, reason: .undecodable(detail: detail)) }
    return PixelImage(width: width, height: height, pixels: pixels)
  }

  /// Decodes and resamples the picture, strip by strip, so that pixels are used while they are in the caches. Of a JPEG,
  /// what no resampling reads costs less.
  /// - Throws: `DataError` when the bytes are cut off or damaged anywhere: a picture is whole or refused.
  func resampled(_ resamplings: [Resampling]) throws(DataError) -> [PixelImage] {
    guard header.format == CODEC_FORMAT_JPEG else {
      let whole = try decoded()
      return resamplings.map { $0(whole) }
    }
    let window = resamplings.dropFirst().reduce(resamplings[0].inputWindow) { $0.union($1.inputWindow) }
    let passes = resamplings.map(ResampledRows.init)
    let detail = failureReadingJPEG(window) { jpeg, message in
      let rowByteCount = codec_jpeg_row_bytes(jpeg)
      return withUnsafeTemporaryAllocation(of: UInt8.self, capacity: rowByteCount * ResampledRows.stripHeight) {
        strip in
        var top = window.rows.lowerBound
        while top < window.rows.upperBound {
          let rows = top..<min(top + ResampledRows.stripHeight, window.rows.upperBound)
          guard codec_read_jpeg_rows(jpeg, Int32(rows.count), strip.baseAddress, message) else { return false }
          let part = UnsafeBufferPointer(rebasing: UnsafeBufferPointer(strip)[codec_jpeg_first_byte(jpeg)...])
          for pass in passes {
            pass.add(part, rowByteCount: rowByteCount, at: PixelWindow(columns: window.columns, rows: rows))
          }
          top = rows.upperBound
        }
        return true
      }
    }
    if let detail { throw DataError(path: name, reason: .undecodable(detail: detail)) }
    return passes.map { $0.finished() }
  }

  /// Opens a window of the JPEG, lets `read` take its rows, and reads the rest.
  /// - Returns: What went wrong.
  private func failureReadingJPEG(
    _ window: PixelWindow, _ read: (OpaquePointer, UnsafeMutablePointer<CChar>?) -> Bool
  ) -> String? {
    let part = codec_window(
      left: Int32(window.columns.lowerBound), top: Int32(window.rows.lowerBound),
      width: Int32(window.columns.count), height: Int32(window.rows.count))
    return failure { message in
      bytes.withUnsafeBufferPointer { bytes in
        withUnsafePointer(to: header) { header in
          withUnsafePointer(to: part) { part in
            guard
              let jpeg = codec_open_jpeg(bytes.baseAddress, bytes.count, header, Int32(denominator), part, message)
            else { return false }
            defer { codec_close_jpeg(jpeg) }
            return read(jpeg, message) && codec_finish_jpeg(jpeg, message)
          }
        }
      }
    }
  }
}

import CImageCodecs

/// How an encoded image is turned into pixels.
public struct DecodingOptions: Codable, Sendable, Equatable {
  /// An image whose header claims more pixels than this is refused before anything is allocated.
  ///
  /// The default of 67 million pixels (192 MiB decoded) is several times ImageNet's largest image.
  public var pixelLimit: Int
  /// Where the picture will be made smaller anyway, a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, but never
  /// below this many pixels on its shorter side. `nil` decodes at full size. Faster, at a small loss of sharpness.
  public var smallestShorterSide: Int?

  /// Full-size decoding with the default limit, unless told otherwise.
  public init(pixelLimit: Int = 1 << 26, smallestShorterSide: Int? = nil) {
    self.pixelLimit = pixelLimit
    self.smallestShorterSide = smallestShorterSide
  }

  /// By how much each side of a JPEG is divided: the most that leaves the shorter side long enough.
  func denominator(for header: codec_header) -> Int {
    guard header.format == CODEC_FORMAT_JPEG, let smallestShorterSide else { return 1 }
    let shorterSide = Int(min(header.width, header.height))
    return [8, 4, 2].first { shorterSide / $0 >= smallestShorterSide } ?? 1
  }
}

/// What an encoded image says about itself in its first bytes.
public struct EncodedImageHeader: Sendable, Equatable {
  /// The formats that are read.
  public enum Format: String, Sendable, CaseIterable {
    case jpeg = "JPEG"
    case png = "PNG"
  }

  /// Told by content, not by name.
  public let format: Format
  /// Columns of pixels.
  public let width: Int
  /// Rows of pixels.
  public let height: Int

  /// Reads the header; nothing is decoded.
  /// - Throws: `DataError` about `name` when the bytes are neither JPEG nor PNG or break off.
  public init(of bytes: [UInt8], name: String) throws(DataError) {
    let header = try readHeader(bytes, name: name)
    format = header.format == CODEC_FORMAT_PNG ? .png : .jpeg
    (width, height) = (Int(header.width), Int(header.height))
  }
}

extension PixelImage {
  /// Decodes a JPEG or PNG, told apart by content; see `EncodedImage` for what becomes of unusual ones.
  /// - Parameters:
  ///   - bytes: The whole file.
  ///   - name: What to call the image in errors.
  ///   - options: Size limit and scaled decoding.
  /// - Throws: `DataError` when the bytes are none, cut off, damaged or too large: a picture is whole or refused.
  public init(
    decoding bytes: [UInt8], name: String, options: DecodingOptions = DecodingOptions()
  ) throws(DataError) {
    self = try EncodedImage(bytes, name: name, options: options).decoded()
  }
}

func readHeader(_ bytes: [UInt8], name: String) throws(DataError) -> codec_header {
  guard !bytes.isEmpty else { throw DataError(path: name, reason: .emptyFile) }
  var header = codec_header()
  if let detail = failure(of: { codec_read_header(bytes, bytes.count, &header, $0) }) {
    throw DataError(path: name, reason: .undecodable(detail: detail))
  }
  return header
}

/// Runs a codec function.
/// - Parameter body: Gets the buffer for the codec's message; true on success.
/// - Returns: The codec's message if it failed.
func failure(of body: (UnsafeMutablePointer<CChar>?) -> Bool) -> String? {
  withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(CODEC_MESSAGE_SIZE)) { message in
    message.initialize(repeating: 0)
    return body(message.baseAddress) ? nil : message.baseAddress.map { String(cString: $0) }
  }
}

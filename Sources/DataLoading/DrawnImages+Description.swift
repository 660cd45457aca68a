extension DrawnImages {
  /// What descriptions of drawn images begin with.
  public static let scheme = "drawn:"

  /// Whether a data set's place is a description of drawn images and not a path.
  public static func isDescription(_ place: String) -> Bool { place.hasPrefix(scheme) }

  /// Reads a description such as `drawn:6000`, `drawn:6000,resolution=32` or `drawn:500,resolution=32,seed=1`.
  /// - Throws: `DataError` saying which part is wrong.
  public init(description: String) throws(DataError) {
    func refused(_ detail: String) -> DataError {
      DataError(
        path: description,
        reason: .badDescription(detail: detail + "; write for example drawn:6000,resolution=32,seed=1"))
    }
    guard Self.isDescription(description) else { throw refused("it does not begin with '\(Self.scheme)'") }
    let parts = description.dropFirst(Self.scheme.count).split(separator: ",", omittingEmptySubsequences: false)
    guard let count = parts.first.flatMap({ Int($0) }), count > 0 else {
      throw refused("'\(parts.first ?? "")' is not a number of images")
    }
    var resolution = 64
    var seed: UInt64 = 0
    for part in parts.dropFirst() {
      let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      let value = pair.count == 2 ? pair[1] : ""
      switch pair[0] {
      case "resolution":
        guard let number = Int(value), (1...4096).contains(number) else {
          throw refused("resolution '\(value)' is not a number of pixels from 1 to 4096")
        }
        resolution = number
      case "seed":
        guard let number = UInt64(value) else { throw refused("seed '\(value)' is not a whole number from 0 on") }
        seed = number
      default: throw refused("'\(pair[0])' is unknown; there are 'resolution' and 'seed'")
      }
    }
    self.init(count: count, resolution: resolution, seed: seed)
  }
}

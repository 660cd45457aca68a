/// A file inside a tar archive: where its bytes lie in the file that is read.
struct TarMember {
  let name: String
  let offset: Int
  let byteCount: Int
  /// Whether it is a symbolic or hard link, which has no bytes of its own.
  var isLink = false
}

extension ByteSource {
  /// The files and links of the tar archive that lies in `range` of this source, in their order there.
  ///
  /// An archive inside an archive is read in place: pass the range of the member that holds it.
  /// - Parameter limit: Stops after so many members.
  /// - Throws: `DataError` naming the byte at which the archive breaks off or stops being one.
  func tarMembers(
    in range: Range<Int>, name archive: String, limit: Int = .max
  ) throws(DataError) -> [TarMember] {
    var members: [TarMember] = []
    var nextName: String?
    var nextByteCount: Int?
    var at = range.lowerBound
    while at < range.upperBound, members.count < limit {
      let blockStart = at
      let damage = { (detail: String) in
        DataError(path: archive, reason: .brokenArchive(offset: blockStart - range.lowerBound, detail: detail))
      }
      guard at + TarHeader.byteCount <= range.upperBound else { throw damage("it ends inside a header") }
      let block = try read(at: at, count: TarHeader.byteCount, name: archive)
      do {
        guard let header = try TarHeader(block[...]) else { return members }
        let dataStart = at + TarHeader.byteCount
        let available = range.upperBound - dataStart
        switch header.kind {
        case .longName, .properties:
          guard header.dataByteCount <= min(available, longestProperties) else {
            throw TarDamage(detail: "an extended header of \(header.dataByteCount) bytes")
          }
          let data = try read(at: dataStart, count: header.dataByteCount, name: archive)
          if header.kind == .longName {
            nextName = TarHeader.text(data[...])
          } else {
            let properties = try TarProperties(data)
            nextName = properties.path ?? nextName
            nextByteCount = properties.dataByteCount ?? nextByteCount
          }
          at = dataStart + paddedToBlocks(header.dataByteCount)
        case .file, .link, .other:
          let byteCount = nextByteCount ?? header.dataByteCount
          let name = nextName ?? header.name
          guard byteCount <= available else {
            throw TarDamage(detail: "'\(name)' has \(byteCount) bytes, and only \(available) follow")
          }
          if header.kind != .other {
            members.append(
              TarMember(name: name, offset: dataStart, byteCount: byteCount, isLink: header.kind == .link))
          }
          at = dataStart + paddedToBlocks(byteCount)
          nextName = nil
          nextByteCount = nil
        }
      } catch let error as TarDamage {
        throw damage(error.detail)
      } catch let error as DataError {
        throw error
      } catch {
        throw damage("\(error)")
      }
    }
    return members
  }

}

/// No honest name or property list is longer.
private let longestProperties = 1 << 20

private func paddedToBlocks(_ byteCount: Int) -> Int {
  (byteCount + TarHeader.byteCount - 1) / TarHeader.byteCount * TarHeader.byteCount
}

extension CheckpointReader {
  /// What is wrong with one file of a checkpoint, or nil. Reads every byte.
  static func problem(of file: FileEntry, in directory: String) -> CheckpointError? {
    do throws(CheckpointError) {
      try checkLength(of: file, in: directory)
      let region = try ByteRegion(mapping: "\(directory)/\(file.name)")
      let found = sha256(of: region)
      guard found == file.sha256 else {
        throw CheckpointError(path: region.path, .hashMismatch(expected: file.sha256, found: found))
      }
      return nil
    } catch {
      return error
    }
  }

  /// Everything that is wrong with the checkpoint in a directory, and so everything there is to know about one that
  /// cannot even be opened: a bad manifest, or else every file that is missing, of another length, or changed.
  ///
  /// Reads every byte, or every byte of this share's files: see `problems(share:of:)`.
  public static func problems(inDirectory directory: String, share: Int = 0, of shareCount: Int = 1)
    -> [CheckpointError]
  {
    do throws(CheckpointError) {
      return try readManifest(in: directory).files.enumerated().filter { $0.offset % shareCount == share }
        .compactMap { problem(of: $0.element, in: directory) }
    } catch {
      // One share speaks for a trouble that all have.
      return share == 0 ? [error] : []
    }
  }

  /// Files in the directory that are not part of the checkpoint. They do no harm, but nobody wrote them on purpose.
  /// - Throws: `CheckpointError` if the directory cannot be listed.
  public func extraFiles() throws(CheckpointError) -> [CheckpointError] {
    let known = Set(manifest.files.map(\.name) + [CheckpointManifest.fileName, CheckpointManifest.hashFileName])
    return try FileSystem.names(in: directory).filter { !known.contains($0) }
      .map { CheckpointError(path: directory, .extraFile(name: $0)) }
  }
}

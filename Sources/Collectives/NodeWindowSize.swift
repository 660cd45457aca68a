/// How much of every rank's share goes through a node's shared memory at a time (see `NodeWindow` in the room `MPI`).
public enum NodeWindowSize {
  /// How much memory the ranks of a node share, in bytes per communicator, unless told otherwise.
  public static let defaultByteLimit = 16 << 20

  /// The most that one rank's piece may have. Smaller pieces wait for each other more often, larger ones fall out of
  /// the cache between their uses; 100 MB between two ranks took 27, 23, 16, 16 and 17 ms with pieces of 64, 128, 256,
  /// 512 and 1024 KiB (and 61 ms in one call of Open MPI).
  public static let pieceByteLimit = 512 << 10

  /// The byte count of one rank's piece, a multiple of 64: what fits into a window of `byteLimit` bytes that holds, twice
  /// over, a contribution of each of the node's ranks, the node's sums and the results, each with a piece for every rank
  /// of the job.
  public static func pieceByteCount(
    worldSize: Int, ranksOfFullestNode: Int, byteLimit: Int = defaultByteLimit
  ) -> Int {
    max(64, min(pieceByteLimit, byteLimit / (2 * (ranksOfFullestNode + 2) * worldSize)) / 64 * 64)
  }
}

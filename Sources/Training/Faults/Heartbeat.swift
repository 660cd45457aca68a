import Foundation

/// Where a rank is, as it last wrote it down: the content of `RUN/heartbeats/rank-00003.json`.
///
/// Files in the run directory, because they can be read while ranks hang, are stopped, or are gone.
public struct Heartbeat: Codable, Sendable, Equatable {
  /// The rank.
  public var rank: Int
  /// How many ranks its job has.
  public var worldSize: Int
  /// The host it runs on.
  public var host: String
  /// Its process there.
  public var processIdentifier: Int32
  /// How often it has written. Two readings with the same number mean that it has fallen silent; the clocks of two
  /// hosts, or of one host at two times, need not agree for that.
  public var beat = 0
  /// When it wrote, by its own clock, for people to read: ISO 8601.
  public var time = ""
  /// Optimizer steps done.
  public var step = 0
  /// What it does, in words.
  public var activity = "starting"
  /// Collective operations begun.
  public var callCount = 0
  /// The collective operation it waits in, if any.
  public var operation: String?
  /// For how long it has been in that operation, or out of any.
  public var seconds = 0.0
  /// Optimizer steps of the whole run; nil before training begins.
  public var totalSteps: Int?
  /// How fast it computes, as of its last report; nil before the first.
  public var rate: ComputeRate?
  /// What a step takes it, as of its last report; nil before the first.
  public var times: StepTimes?

  /// The first heartbeat of a rank.
  public init(rank: Int, worldSize: Int, host: String, processIdentifier: Int32) {
    self.rank = rank
    self.worldSize = worldSize
    self.host = host
    self.processIdentifier = processIdentifier
  }

  /// What it does, in a phrase without step: `forward and backward`, or `waits 12 s in allReduce of 3 values`.
  public var place: String {
    guard let operation else { return activity }
    return "\(activity), waits \(Int(seconds)) s in \(operation) (call \(callCount))"
  }
}

extension RunDirectory {
  /// The folder of the heartbeats.
  public var heartbeatFolder: String { path + "/heartbeats" }

  /// The file of a rank's heartbeat.
  public func heartbeatPath(rank: Int) -> String {
    let digits = String(rank)
    return heartbeatFolder + "/rank-" + String(repeating: "0", count: max(0, 5 - digits.count)) + digits + ".json"
  }

  /// The last heartbeat of a rank, or nil if it has never written one that can be read.
  public func heartbeat(rank: Int) -> Heartbeat? {
    guard let content = FileManager.default.contents(atPath: heartbeatPath(rank: rank)) else { return nil }
    do {
      return try JSONDecoder().decode(Heartbeat.self, from: content)
    } catch {
      return nil
    }
  }

  /// Removes the heartbeats of earlier jobs, which may have had more ranks. Called by one rank before the others write.
  func clearHeartbeats() throws(RunDirectoryError) {
    guard mkdir(heartbeatFolder, 0o755) == 0 || errno == EEXIST else { throw .system("mkdir", heartbeatFolder) }
    let names: [String]
    do {
      names = try FileManager.default.contentsOfDirectory(atPath: heartbeatFolder)
    } catch {
      throw RunDirectoryError(path: heartbeatFolder, .system(operation: "listing the folder", code: EIO))
    }
    for name in names where name.hasPrefix("rank-") {
      guard unlink("\(heartbeatFolder)/\(name)") == 0 || errno == ENOENT else {
        throw .system("unlink", "\(heartbeatFolder)/\(name)")
      }
    }
  }

  /// Replaces the file of a heartbeat. Not flushed to the disk: it tells about processes, which do not survive a power
  /// failure either.
  func write(_ heartbeat: Heartbeat) throws(RunDirectoryError) {
    let path = heartbeatPath(rank: heartbeat.rank)
    let encoder = JSONEncoder()
    encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
    let text: Data
    do {
      text = try encoder.encode(heartbeat)
    } catch {
      throw RunDirectoryError(path: path, .system(operation: "encoding a heartbeat", code: EINVAL))
    }
    let temporary = path + ".new"
    let file = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard file >= 0 else { throw .system("open", temporary) }
    do throws(RunDirectoryError) {
      try writeFully(file, Array(text)[...], path: temporary)
    } catch {
      close(file)
      throw error
    }
    guard close(file) == 0 else { throw .system("close", temporary) }
    guard rename(temporary, path) == 0 else { throw .system("rename", path) }
  }
}

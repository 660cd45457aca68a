import Foundation

/// Where the threads of a `LoopbackWorld` meet: each leaves a note and waits until all notes are there.
final class LoopbackMeeting: @unchecked Sendable {
  /// What a rank brings to an operation: what it means to do, and the memory the others may touch meanwhile.
  struct Note: @unchecked Sendable {
    /// Operation, element count and whatever else must agree, in words.
    var intent: String
    var memory: UnsafeMutableRawPointer?
    var byteCount: Int
  }

  let worldSize: Int
  private let condition = NSCondition()
  private var notes: [Note?]
  /// The notes of the last meeting, kept from those who are already on their way to the next one.
  private var completeNotes: [Note] = []
  private var departure: String?
  private(set) var firstLeaver: Int?
  private var arrivedCount = 0
  private var generation = 0
  private var duplicates: [LoopbackMeeting] = []

  init(worldSize: Int) {
    self.worldSize = worldSize
    notes = Array(repeating: nil, count: worldSize)
  }

  /// Leaves a note, waits for those of all ranks, and returns them once the intents are found equal.
  func exchange(_ note: Note, operation: String, rank: Int) throws(CommunicationError) -> [Note] {
    let all = try synchronize(operation: operation, rank: rank, leaving: note)
    if let other = all.firstIndex(where: { $0.intent != all[0].intent }) {
      throw CommunicationError(
        operation: operation, rank: rank,
        reason: "rank 0 called \(all[0].intent) where rank \(other) called \(all[other].intent)")
    }
    return all
  }

  /// Waits until every rank has come here.
  func synchronize(operation: String, rank: Int) throws(CommunicationError) {
    _ = try synchronize(operation: operation, rank: rank, leaving: nil)
  }

  /// The meeting place of the `index`-th duplicate communicator, the same for all ranks.
  func duplicate(_ index: Int) -> LoopbackMeeting {
    condition.withLock {
      while duplicates.count <= index { duplicates.append(LoopbackMeeting(worldSize: worldSize)) }
      return duplicates[index]
    }
  }

  /// Says that a rank will come no more, and why; whoever waits for it, or will, throws.
  func leave(rank: Int, reason: String) {
    let all = condition.withLock {
      if firstLeaver == nil { (firstLeaver, departure) = (rank, reason) }
      condition.broadcast()
      return duplicates
    }
    for meeting in all { meeting.leave(rank: rank, reason: reason) }
  }

  private func synchronize(
    operation: String, rank: Int, leaving note: Note?
  ) throws(CommunicationError) -> [Note] {
    condition.lock()
    defer { condition.unlock() }
    if let departure { throw CommunicationError(operation: operation, rank: rank, reason: departure) }
    if let note { notes[rank] = note }
    let entered = generation
    arrivedCount += 1
    if arrivedCount == worldSize {
      arrivedCount = 0
      completeNotes = notes.compactMap { $0 }
      generation += 1
      condition.broadcast()
    }
    while generation == entered {
      if let departure { throw CommunicationError(operation: operation, rank: rank, reason: departure) }
      condition.wait()
    }
    // The next meeting is complete only when this rank has come to it, so these are still the right ones.
    return completeNotes
  }
}

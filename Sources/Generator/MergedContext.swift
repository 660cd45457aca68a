/// The position cache of one image in MergeAR: which tokens are duplicates of earlier ones, and which slot of the
/// key-value cache each visible token has (method section 2.2).
///
/// A duplicate is evicted once it leaves the window. The next token takes its slot, so the slots in use never have a gap
/// when a token attends.
struct MergedContext {
  /// Recent tokens that stay in any case; nil evicts nothing.
  private let window: Int?
  /// The representative of every token so far.
  private(set) var representatives: [Int32] = []
  /// Slots that hold what the next token may see.
  private(set) var heldEntries: Int
  private var firstPositions: [Int64: Int32] = [:]
  private var slots: [Int] = []
  private var slotCount: Int
  private var freeSlot: Int?

  /// A context in which the first `prefix` slots hold the class and the instruction.
  init(prefix: Int, window: Int?) {
    self.window = window
    slotCount = prefix
    heldEntries = prefix
  }

  /// Takes in the next token and returns where it goes and how many entries it sees, itself included.
  ///
  /// A token whose code equals that of an earlier representative is its duplicate.
  /// - Parameter representative: Instead of looking for an equal code.
  mutating func append(pre: Int32, post: Int32, representative given: Int32? = nil) -> (slot: Int, entries: Int) {
    let position = Int32(representatives.count)
    let code = Int64(pre) << 32 | Int64(post)
    let representative = given ?? firstPositions[code] ?? position
    if representative == position { firstPositions[code] = firstPositions[code] ?? position }
    representatives.append(representative)

    let slot = freeSlot ?? slotCount
    if freeSlot == nil { slotCount += 1 }
    freeSlot = nil
    slots.append(slot)
    let entries = slotCount
    heldEntries = slotCount
    // What leaves the window now is not seen by the next token.
    if let window, case let leaving = Int(position) - window, leaving >= 0, representatives[leaving] != leaving {
      freeSlot = slots[leaving]
      heldEntries -= 1
    }
    return (slot, entries)
  }
}

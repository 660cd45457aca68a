/// Reads the part of Python's pickle format that describes tensors and plain data. Nothing is executed: the few names
/// from outside that a pickle may mention have a fixed meaning here, all others are refused.
///
/// Format: https://docs.python.org/3/library/pickletools.html (protocols 2 to 5).
struct PickleMachine {
  var graph = PickleGraph()
  let path: String
  let bytes: UnsafeRawBufferPointer
  private var position: Int
  private var stack: [PickleValue] = []
  /// Heights of the stack at which a group of arguments begins.
  private var marks: [Int] = []
  private var memo: [Int: PickleValue] = [:]
  /// How many dictionary items were copied from lists.
  var copiedPairCount = 0

  /// Larger pickles are refused: a value needs more memory than the byte that describes it. Descriptions of thousands
  /// of tensors take less than a megabyte.
  private static let maximumByteCount = 32 << 20

  /// Reads one pickle that starts at byte `start`.
  /// - Returns: Its value, what the value refers to, and the offset behind it.
  static func read(
    _ bytes: UnsafeRawBufferPointer, from start: Int = 0, path: String
  ) throws(CheckpointError) -> (root: PickleValue, graph: PickleGraph, end: Int) {
    var machine = PickleMachine(bytes: bytes, position: start, path: path)
    while true {
      let code = try machine.natural(1)
      if code == UInt8(ascii: ".") { break }
      guard machine.position - start <= maximumByteCount else {
        throw CheckpointError(path: path, .unsupported(detail: "a pickle of more than \(maximumByteCount) bytes"))
      }
      try machine.execute(UInt8(truncatingIfNeeded: code))
    }
    return (try machine.pop(), machine.graph, machine.position)
  }

  private init(bytes: UnsafeRawBufferPointer, position: Int, path: String) {
    self.bytes = bytes
    self.position = position
    self.path = path
  }

  func malformed(_ detail: String) -> CheckpointError {
    CheckpointError(path: path, .malformed(format: "pickle", detail: "\(detail) (at byte \(position))"))
  }

  private mutating func execute(_ code: UInt8) throws(CheckpointError) {
    switch code {
    case 0x80: try skip(1)  // PROTO
    case 0x95: try skip(8)  // FRAME
    case UInt8(ascii: "("): marks.append(stack.count)
    case UInt8(ascii: "0"): try popValueOrMark()
    case UInt8(ascii: "1"): _ = try popGroup()
    case UInt8(ascii: "2"): try push(top())
    case UInt8(ascii: "q"): memo[try natural(1)] = try top()
    case UInt8(ascii: "r"): memo[try natural(4)] = try top()
    case 0x94: memo[memo.count] = try top()  // MEMOIZE
    case UInt8(ascii: "h"): try recall(natural(1))
    case UInt8(ascii: "j"): try recall(natural(4))
    case UInt8(ascii: "c"): try pushGlobal(module: line(), name: line())
    case 0x93: try pushStackGlobal()
    case UInt8(ascii: "R"), 0x81: try call(argumentCount: 1)  // REDUCE, NEWOBJ
    case 0x92: try call(argumentCount: 2)  // NEWOBJ_EX
    case UInt8(ascii: "b"): _ = try pop()  // BUILD: attributes are of no interest
    case UInt8(ascii: "Q"):  // BINPERSID
      graph.storages.append(try storage(identifiedBy: pop()))
      push(.storage(graph.storages.count - 1))
    default:
      if try executeConstant(code) { return }
      guard try executeContainer(code) else {
        throw malformed("the instruction 0x\(String(code, radix: 16)) is not part of the tensor-building subset")
      }
    }
  }

  /// Instructions that push a constant.
  private mutating func executeConstant(_ code: UInt8) throws(CheckpointError) -> Bool {
    switch code {
    case UInt8(ascii: "N"): push(.none)
    case 0x88: push(.boolean(true))
    case 0x89: push(.boolean(false))
    case UInt8(ascii: "J"): push(.integer(Int(Int32(truncatingIfNeeded: try natural(4)))))
    case UInt8(ascii: "K"): push(.integer(try natural(1)))
    case UInt8(ascii: "M"): push(.integer(try natural(2)))
    case 0x8A: try pushLong(byteCount: natural(1))
    case 0x8B: try pushLong(byteCount: natural(4))
    case UInt8(ascii: "G"):
      let bits = try take(8).loadUnaligned(as: UInt64.self)
      push(.real(Double(bitPattern: UInt64(bigEndian: bits))))
    case 0x8C: try pushText(byteCount: natural(1))
    case UInt8(ascii: "X"): try pushText(byteCount: natural(4))
    case 0x8D: try pushText(byteCount: natural(8))
    case UInt8(ascii: "U"): try pushText(byteCount: natural(1))
    case UInt8(ascii: "T"): try pushText(byteCount: natural(4))
    case UInt8(ascii: "C"): try pushBytes(byteCount: natural(1))
    case UInt8(ascii: "B"): try pushBytes(byteCount: natural(4))
    case 0x8E, 0x96: try pushBytes(byteCount: natural(8))
    default: return false
    }
    return true
  }

  /// Instructions that make and fill tuples, lists, dictionaries and sets.
  private mutating func executeContainer(_ code: UInt8) throws(CheckpointError) -> Bool {
    switch code {
    case UInt8(ascii: ")"): pushTuple([])
    case 0x85...0x87:
      let count = Int(code) - 0x84
      guard stack.count - (marks.last ?? 0) >= count else { throw malformed("the stack is empty") }
      let elements = Array(stack.suffix(count))
      stack.removeLast(count)
      pushTuple(elements)
    case UInt8(ascii: "t"): pushTuple(try popGroup())
    case UInt8(ascii: "]"): pushList([])
    case UInt8(ascii: "l"): pushList(try popGroup())
    case UInt8(ascii: "a"): try append([pop()])
    case UInt8(ascii: "e"): try append(popGroup())
    case UInt8(ascii: "}"): pushDictionary()
    case UInt8(ascii: "d"):
      let group = try popGroup()
      pushDictionary()
      try set(group)
    case UInt8(ascii: "s"):
      let value = try pop()
      try set([pop(), value])
    case UInt8(ascii: "u"): try set(popGroup())
    case 0x8F: push(.inert)  // EMPTY_SET
    case 0x90: _ = try popGroup()  // ADDITEMS
    case 0x91:  // FROZENSET
      _ = try popGroup()
      push(.inert)
    default: return false
    }
    return true
  }

  // MARK: Stack

  mutating func push(_ value: PickleValue) {
    stack.append(value)
  }

  mutating func pop() throws(CheckpointError) -> PickleValue {
    guard stack.count > marks.last ?? 0, let value = stack.popLast() else { throw malformed("the stack is empty") }
    return value
  }

  private func top() throws(CheckpointError) -> PickleValue {
    guard stack.count > marks.last ?? 0, let value = stack.last else { throw malformed("the stack is empty") }
    return value
  }

  private mutating func popGroup() throws(CheckpointError) -> [PickleValue] {
    guard let mark = marks.popLast() else { throw malformed("a group of arguments has no beginning") }
    let group = Array(stack[mark...])
    stack.removeSubrange(mark...)
    return group
  }

  private mutating func popValueOrMark() throws(CheckpointError) {
    if let mark = marks.last, mark == stack.count {
      marks.removeLast()
    } else {
      _ = try pop()
    }
  }

  private mutating func recall(_ index: Int) throws(CheckpointError) {
    guard let value = memo[index] else { throw malformed("the value \(index) was never remembered") }
    push(value)
  }

  // MARK: Containers

  private mutating func pushTuple(_ elements: [PickleValue]) {
    graph.tuples.append(elements)
    push(.tuple(graph.tuples.count - 1))
  }

  private mutating func pushList(_ elements: [PickleValue]) {
    graph.lists.append(elements)
    push(.list(graph.lists.count - 1))
  }

  mutating func pushDictionary() {
    graph.dictionaries.append([])
    push(.dictionary(graph.dictionaries.count - 1))
  }

  private mutating func append(_ elements: [PickleValue]) throws(CheckpointError) {
    switch try top() {
    case .list(let list): graph.lists[list].append(contentsOf: elements)
    case .inert: break
    default: throw malformed("elements are added to something that is not a list")
    }
  }

  mutating func set(_ keysAndValues: [PickleValue]) throws(CheckpointError) {
    guard keysAndValues.count.isMultiple(of: 2) else { throw malformed("a dictionary key has no value") }
    switch try top() {
    case .dictionary(let dictionary):
      for index in stride(from: 0, to: keysAndValues.count, by: 2) {
        graph.dictionaries[dictionary].append((keysAndValues[index], keysAndValues[index + 1]))
      }
    case .inert: break
    default: throw malformed("entries are set in something that is not a dictionary")
    }
  }

  // MARK: Bytes

  private mutating func take(_ count: Int) throws(CheckpointError) -> UnsafeRawBufferPointer {
    guard count <= bytes.count - position else {
      throw malformed("\(count) bytes are wanted, \(bytes.count - position) are left; the file is cut short")
    }
    defer { position += count }
    return bytes.region(position..<position + count)
  }

  private mutating func skip(_ count: Int) throws(CheckpointError) {
    _ = try take(count)
  }

  /// An unsigned little-endian integer of up to eight bytes.
  private mutating func natural(_ byteCount: Int) throws(CheckpointError) -> Int {
    var value: UInt64 = 0
    for byte in try take(byteCount).reversed() { value = value << 8 | UInt64(byte) }
    guard let natural = Int(exactly: value) else { throw malformed("a length of \(value)") }
    return natural
  }

  /// Bytes up to a line feed, as text.
  private mutating func line() throws(CheckpointError) -> String {
    guard let end = bytes[position...].firstIndex(of: UInt8(ascii: "\n")) else {
      throw malformed("a line has no end; the file is cut short")
    }
    let text = try text(take(end - position))
    position += 1
    return text
  }

  private func text(_ content: UnsafeRawBufferPointer) throws(CheckpointError) -> String {
    guard let text = String(validating: content, as: UTF8.self) else { throw malformed("text that is not UTF-8") }
    return text
  }

  private mutating func pushText(byteCount: Int) throws(CheckpointError) {
    push(.text(try text(take(byteCount))))
  }

  private mutating func pushBytes(byteCount: Int) throws(CheckpointError) {
    try skip(byteCount)
    push(.inert)
  }

  /// A two's complement integer; what does not fit into 64 bits is of no interest.
  private mutating func pushLong(byteCount: Int) throws(CheckpointError) {
    let content = try take(byteCount)
    guard byteCount <= 8 else { return push(.inert) }
    var value: Int = content.last.map { $0 >= 0x80 ? -1 : 0 } ?? 0
    for byte in content.reversed() { value = value << 8 | Int(byte) }
    push(.integer(value))
  }
}

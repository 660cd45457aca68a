import Testing

@testable import Kernels

struct PagedStorageTests {
  /// 9.5 MiB: three pieces.
  private let count = 19 << 17

  @Test func providedFloatsKeepTheirValues() {
    for movesPages in [true, false] {
      let paged = PagedStorage(count: count, pool: StoragePool(), movesPages: movesPages)
      let values = UnsafeMutableBufferPointer(start: paged.pointer, count: count)
      let ranges = [count - 5..<count, 0..<10, (1 << 20) - 3..<(1 << 20) + 3]
      for (number, range) in ranges.enumerated() {
        paged.provide(range)
        for index in range { values[index] = Float(number + 1) }
      }
      paged.provide(0..<count)
      for (number, range) in ranges.enumerated() {
        #expect(values[range].allSatisfy { $0 == Float(number + 1) }, "\(range), \(movesPages)")
      }
    }
  }

  @Test func memoryIsThePoolsAndGoesBack() {
    let pool = StoragePool()
    func expectPieces(_ megabytes: Int, sourceLocation: SourceLocation = #_sourceLocation) {
      #expect(pool.statistics.liveBytes == megabytes << 20, sourceLocation: sourceLocation)
    }
    var paged: PagedStorage? = PagedStorage(count: count, pool: pool, movesPages: true)
    expectPieces(0)
    paged?.provide(0..<1)
    expectPieces(4)
    paged?.provide(0..<1 << 20)
    expectPieces(4)
    paged?.provide(count - 1..<count)
    expectPieces(6)
    paged?.release()
    expectPieces(0)
    paged?.provide(0..<count)
    expectPieces(10)
    paged = nil
    expectPieces(0)
  }

  @Test func activationsAndGradientsTakeTurnsInTheSameMemory() {
    let pool = StoragePool()
    let paged = PagedStorage(count: count, pool: pool, movesPages: true)
    func step() {
      let activations = pool.take(byteCount: 10 << 20)
      activations.initializeMemory(as: UInt8.self, repeating: 1)
      pool.give(activations)
      paged.provide(0..<count)
      // The pages came with what they held.
      #expect(paged.pointer[count - 1].bitPattern == 0x0101_0101)
      paged.pointer.update(repeating: 1, count: count)
      paged.release()
    }
    step()
    let reserved = pool.statistics
    for _ in 0..<3 { step() }
    #expect(pool.statistics == reserved)
    // Pages that come back are where they were, with what they held.
    let activations = pool.take(byteCount: 10 << 20)
    #expect(activations.load(as: Float.self) == 1)
    pool.give(activations)
  }

  @Test func storageKeepsTheMemoryAlive() {
    var paged: PagedStorage? = PagedStorage(count: count)
    paged?.provide(0..<count)
    let storage = paged?.storage
    paged = nil
    storage?.pointer[count - 1] = 3
    #expect(storage?.pointer[count - 1] == 3 && storage?.count == count)
  }
}

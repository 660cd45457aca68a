/// Which keys each query may attend to.
public enum AttentionMask: Sendable {
  /// All of them.
  case none
  /// Query `i` of `Lq` sees the keys up to its own position, counted from the end: `j ≤ i + Lk − Lq`.
  case causal
  /// Every query of sample `b` sees the first `counts[b]` keys: a cache that is not full.
  case prefix([Int])
  /// What the table says.
  case table(KeyVisibility)
}

/// A table of visible keys per query, shared by all samples or one per sample. A query may see no key: its result is 0.
public struct KeyVisibility: Sendable {
  /// Tables: 1 where all samples share one.
  public let samples: Int
  /// Rows and columns of a table.
  public let queries: Int, keys: Int
  /// 1 where the query sees the key, `[samples, queries, keys]`.
  let visible: [UInt8]
  /// One past the last visible key, `[samples, queries]`.
  let ends: [Int32]

  /// Asks `isVisible` for every (sample, query, key).
  public init(
    samples: Int = 1, queries: Int, keys: Int, isVisible: (_ sample: Int, _ query: Int, _ key: Int) -> Bool
  ) {
    self.samples = samples
    self.queries = queries
    self.keys = keys
    var visible = [UInt8](repeating: 0, count: samples * queries * keys)
    var ends = [Int32](repeating: 0, count: samples * queries)
    for sample in 0..<samples {
      for query in 0..<queries {
        let row = sample * queries + query
        for key in 0..<keys where isVisible(sample, query, key) {
          visible[row * keys + key] = 1
          ends[row] = Int32(key + 1)
        }
      }
    }
    self.visible = visible
    self.ends = ends
  }

  /// Whether `query` of `sample` sees `key`.
  public func isVisible(sample: Int, query: Int, key: Int) -> Bool {
    visible[((samples == 1 ? 0 : sample) * queries + query) * keys + key] != 0
  }
}

/// A mask laid out for the row loops.
struct LaidOutMask {
  /// One past the last key a query may see, `[samples or 1, queries]`.
  let ends: [Int32]
  let endsSampleStride: Int
  /// The table, where there is one.
  let visible: [UInt8]?
  let visibleSampleStride: Int

  init(_ mask: AttentionMask, samples: Int, queries: Int, keys: Int) {
    switch mask {
    case .none:
      ends = [Int32](repeating: Int32(keys), count: queries)
      (endsSampleStride, visible, visibleSampleStride) = (0, nil, 0)
    case .causal:
      ends = (0..<queries).map { Int32(max(0, min(keys, $0 + 1 + keys - queries))) }
      (endsSampleStride, visible, visibleSampleStride) = (0, nil, 0)
    case .prefix(let counts):
      ends = counts.flatMap { [Int32](repeating: Int32(max(0, min(keys, $0))), count: queries) }
      (endsSampleStride, visible, visibleSampleStride) = (queries, nil, 0)
    case .table(let table):
      ends = table.ends
      visible = table.visible
      endsSampleStride = table.samples == 1 ? 0 : queries
      visibleSampleStride = table.samples == 1 ? 0 : queries * keys
    }
  }
}

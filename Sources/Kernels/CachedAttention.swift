import CKernels

/// One query of a decoding step: which stream's cache it reads, and what it sees there.
public struct CacheQuery: Sendable {
  /// Whose cache.
  public var stream: Int
  /// It sees slots `0..<prefix`,
  public var prefix: Int
  /// and its own slot.
  public var own: Int

  /// A query against a stream's cache.
  public init(stream: Int, prefix: Int, own: Int) {
    self.stream = stream
    self.prefix = prefix
    self.own = own
  }
}

/// Where a head's keys and values lie in a cache made of pages: keys `[pageLength][headSize]` at an offset that is the
/// same in all pages, values after them.
public struct CachePages {
  /// Pages of all streams, `pagesPerStream` each, unused ones nil.
  public let pages: [UnsafePointer<Float>?]
  /// The stride of `pages`.
  public let pagesPerStream: Int
  /// Slots per page, floats per slot and head.
  public let pageLength: Int, headSize: Int

  /// Describes a cache.
  public init(pages: [UnsafePointer<Float>?], pagesPerStream: Int, pageLength: Int, headSize: Int) {
    self.pages = pages
    self.pagesPerStream = pagesPerStream
    self.pageLength = pageLength
    self.headSize = headSize
  }
}

/// `y[r] = softmax(q[r]·kᵀ/√size)·v` for every query and head. Each query is computed by itself, so its result has the
/// same bits whatever other queries there are.
/// - Parameters:
///   - query: Rows `queryStride` floats apart, heads side by side.
///   - queryStride: Floats from one query to the next, at least `heads·headSize`.
///   - queries: For each row of `query`, whose cache it reads and what it sees there.
///   - cache: Pages of keys and values.
///   - heads: Heads of a query.
///   - offset: The first head's place in every page; heads follow each other.
///   - y: `queries.count × heads·headSize`.
public func cachedAttention(
  _ query: UnsafePointer<Float>, queryStride: Int, queries: [CacheQuery], cache: CachePages, heads: Int, offset: Int,
  into y: UnsafeMutablePointer<Float>
) {
  let size = cache.headSize
  let longest = queries.reduce(0) { max($0, $1.prefix) } + 1
  let scale = 1 / Float(size).squareRoot()
  cache.pages.withUnsafeBufferPointer { pages in
    guard let pages = pages.baseAddress else { return }
    parallelChunks(queries.count * heads, of: max(1, (1 << 14) / (longest * size))) { range in
      withScratch(longest) { scratch in
        for task in range {
          let (row, head) = (task / heads, task % heads)
          let view = kernels_cache_view(
            pages: pages + queries[row].stream * cache.pagesPerStream,
            offset: offset + head * 2 * cache.pageLength * size, page_length: cache.pageLength, size: size)
          kernels_cached_attention(
            view, queries[row].prefix, queries[row].own, scale, query + row * queryStride + head * size,
            y + (row * heads + head) * size, scratch)
        }
      }
    }
  }
}

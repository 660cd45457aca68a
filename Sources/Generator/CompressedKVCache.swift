import Kernels
import Tensors

/// The keys and values that decoding attends to, in slots that are used again.
///
/// A stream (an image, or its unconditional twin) owns pages of a few slots each and takes another page only when all its
/// slots are in use. So memory, and the time to read it, follow the tokens that are in fact kept: with merged tokens about
/// K/L of a full cache.
public final class CompressedKVCache {
  /// Independent sequences.
  public let streamCount: Int
  private let layerCount: Int
  private let heads: Int
  private let headSize: Int
  private let pageLength: Int
  private var pages: [[Storage]]
  private var view: CachePages

  /// An empty cache.
  /// - Parameter pageLength: Slots that a stream takes at a time.
  init(streamCount: Int, layerCount: Int, config: GeneratorConfig, pageLength: Int = 16) {
    self.streamCount = streamCount
    self.layerCount = layerCount
    heads = config.heads
    headSize = config.headSize
    self.pageLength = pageLength
    pages = Array(repeating: [], count: streamCount)
    view = CachePages(pages: [], pagesPerStream: 0, pageLength: pageLength, headSize: headSize)
  }

  /// Bytes of all pages.
  public var byteCount: Int { pages.reduce(0) { $0 + $1.count } * floatsPerPage * MemoryLayout<Float>.stride }

  private var floatsPerPage: Int { layerCount * floatsPerLayer }
  /// Per head: the keys of a page's slots, then their values.
  private var floatsPerLayer: Int { heads * 2 * pageLength * headSize }

  /// Makes sure that every query's own slot and all it sees exist.
  func reserve(for queries: [CacheQuery]) {
    var changed = false
    for query in queries {
      let needed = (max(query.prefix, query.own + 1) + pageLength - 1) / pageLength
      while pages[query.stream].count < needed {
        pages[query.stream].append(Storage(count: floatsPerPage))
        changed = true
      }
    }
    guard changed else { return }
    let most = pages.reduce(0) { max($0, $1.count) }
    view = CachePages(
      pages: pages.flatMap { pages in (0..<most).map { $0 < pages.count ? UnsafePointer(pages[$0].pointer) : nil } },
      pagesPerStream: most, pageLength: pageLength, headSize: headSize)
  }

  /// Puts the keys and values of every row into its slot and attends from its query.
  /// - Parameters:
  ///   - qkv: Shape `[R, 3·D]`, already turned by the rotary angles.
  ///   - queries: One per row; rows of a stream see each other's slots where their prefixes reach.
  /// - Returns: Shape `[R, D]`.
  func attended(_ qkv: Tensor, layer: Int, queries: [CacheQuery]) -> Tensor {
    let width = heads * headSize
    require(qkv.shape == [queries.count, 3 * width], "attended: \(qkv.shape) for \(queries.count) queries")
    for (row, query) in queries.enumerated() {
      let page = pages[query.stream][query.own / pageLength]
      let slot = page.pointer + layer * floatsPerLayer + query.own % pageLength * headSize
      let source = qkv.pointer + row * 3 * width + width
      for head in 0..<heads {
        let place = slot + head * 2 * pageLength * headSize
        place.update(from: source + head * headSize, count: headSize)
        (place + pageLength * headSize).update(from: source + width + head * headSize, count: headSize)
      }
    }
    let y = Tensor(uninitialized: [queries.count, width])
    cachedAttention(
      qkv.pointer, queryStride: 3 * width, queries: queries, cache: view, heads: heads,
      offset: layer * floatsPerLayer, into: y.pointer)
    return y
  }
}

import CKernels

// Look-up-free quantization. Bit j of a token's code is the sign of channel j; at temperature τ its probability of
// being set is σ(slope·z) with slope = 4/τ, independently of the other bits.

/// `q = sign z` with sign(0) = −1, and each row's code `Σ_j 2^j·[z_j > 0]`.
public func signCodes(
  _ z: UnsafePointer<Float>, rows: Int, bits: Int, into q: UnsafeMutablePointer<Float>,
  indices: UnsafeMutablePointer<Int32>
) {
  parallelChunks(rows, of: 4096) { range in
    let start = range.lowerBound * bits
    kernels_sign_codes(range.count, bits, z + start, q + start, indices + range.lowerBound)
  }
}

/// `Σ (z − sign z)²` in float64.
public func commitment(_ z: UnsafePointer<Float>, count: Int) -> Double {
  parallelSum(count) { kernels_commitment($0.count, z + $0.lowerBound) }
}

/// `dZ (+)= factor·(z − sign z)`.
public func commitmentGradient(
  _ z: UnsafePointer<Float>, factor: Float, into dZ: UnsafeMutablePointer<Float>, count: Int, accumulating: Bool
) {
  parallelChunks(count, of: 1 << 15) {
    kernels_commitment_gradient($0.count, factor, z + $0.lowerBound, dZ + $0.lowerBound, accumulating ? 1 : 0)
  }
}

/// The entropies of the code distribution `p(c|z) = Π_j σ(slope·z_j·c_j)` over all 2^bits codes, without ever forming
/// rows × codes values: the distribution factorises over the bits.
///
/// The codes' mean probability is one matrix product per block of rows: with A the products over the lower half of the
/// bits and B those over the upper half, `p̄[upper, lower] = Bᵀ·A / rows`.
public struct CodeDistribution {
  private let z: UnsafePointer<Float>
  private let rows: Int, bits: Int
  private let slope: Float
  private var lowerBits: Int { bits / 2 }
  private var upperBits: Int { bits - bits / 2 }
  private let rowsPerBlock = 1024

  /// The number of codes, 2^bits.
  public var codeCount: Int { 1 << bits }

  /// The distribution of the codes of `rows` tokens of `bits` channels.
  public init(_ z: UnsafePointer<Float>, rows: Int, bits: Int, temperature: Float) {
    self.z = z
    self.rows = rows
    self.bits = bits
    slope = 4 / temperature
  }

  /// The sum over rows of the entropy of `p(·|z)`, in nats: a sum of binary entropies.
  public func entropySum() -> Double {
    parallelSum(rows * bits, of: 1 << 14) { kernels_bit_entropy($0.count, slope, z + $0.lowerBound) }
  }

  /// `dZ (+)= factor·∂(entropySum)/∂z`.
  public func entropyGradient(factor: Float, into dZ: UnsafeMutablePointer<Float>, accumulating: Bool) {
    parallelChunks(rows * bits, of: 1 << 14) {
      kernels_bit_entropy_gradient(
        $0.count, slope, factor, z + $0.lowerBound, dZ + $0.lowerBound, accumulating ? 1 : 0)
    }
  }

  /// Writes the mean over rows of `p(c|z)` for every code c.
  public func average(into codeAverage: UnsafeMutablePointer<Float>) {
    let average = MatrixView(codeAverage, rows: 1 << upperBits, columns: 1 << lowerBits)
    forEachBlock { block in
      gemm(
        block.upper.transposed, block.lower, into: average, scale: 1 / Float(rows),
        accumulating: block.rows.lowerBound > 0)
    }
  }

  /// `dZ (+)= Σ_c dAverage[c]·∂(average[c])/∂z`.
  public func averageGradient(
    _ dAverage: UnsafeMutablePointer<Float>, into dZ: UnsafeMutablePointer<Float>, accumulating: Bool
  ) {
    let dAverage = MatrixView(dAverage, rows: 1 << upperBits, columns: 1 << lowerBits)
    forEachBlock { block in
      withScratch(block.rows.count << max(lowerBits, upperBits)) { scratch in
        // dA = B·G / rows, then the same for B.
        let dLower = MatrixView(scratch, rows: block.rows.count, columns: 1 << lowerBits)
        gemm(block.upper, dAverage, into: dLower, scale: 1 / Float(rows))
        block.productsGradient(of: 0..<lowerBits, block.lower, dLower, into: dZ, accumulating: accumulating)
        let dUpper = MatrixView(scratch, rows: block.rows.count, columns: 1 << upperBits)
        gemm(block.lower, dAverage.transposed, into: dUpper, scale: 1 / Float(rows))
        block.productsGradient(of: lowerBits..<bits, block.upper, dUpper, into: dZ, accumulating: accumulating)
      }
    }
  }

  /// A few rows with their bits' probabilities and the products over each half of the bits.
  private struct Block {
    let rows: Range<Int>
    let bits: Int
    let slope: Float
    let ones: UnsafeMutablePointer<Float>, zeros: UnsafeMutablePointer<Float>
    let lower: MatrixView, upper: MatrixView

    func fillProducts(of range: Range<Int>, into products: MatrixView) {
      parallelChunks(rows.count, of: 64) { part in
        let start = part.lowerBound * bits + range.lowerBound
        kernels_bit_products(
          part.count, range.count, bits, ones + start, zeros + start,
          products.pointer + part.lowerBound * products.rowStride)
      }
    }

    func productsGradient(
      of range: Range<Int>, _ products: MatrixView, _ dProducts: MatrixView, into dZ: UnsafeMutablePointer<Float>,
      accumulating: Bool
    ) {
      parallelChunks(rows.count, of: 64) { part in
        let start = part.lowerBound * bits + range.lowerBound
        let row = part.lowerBound * products.rowStride
        kernels_bit_products_gradient(
          part.count, range.count, bits, slope, ones + start, zeros + start, products.pointer + row,
          dProducts.pointer + row, dZ + rows.lowerBound * bits + start, accumulating ? 1 : 0)
      }
    }
  }

  private func forEachBlock(_ body: (Block) -> Void) {
    for start in stride(from: 0, to: rows, by: rowsPerBlock) {
      let range = start..<min(rows, start + rowsPerBlock)
      withScratch(range.count * (2 * bits + (1 << lowerBits) + (1 << upperBits))) { scratch in
        let zeros = scratch + range.count * bits
        let lower = zeros + range.count * bits
        let upper = lower + (range.count << lowerBits)
        let block = Block(
          rows: range, bits: bits, slope: slope, ones: scratch, zeros: zeros,
          lower: MatrixView(lower, rows: range.count, columns: 1 << lowerBits),
          upper: MatrixView(upper, rows: range.count, columns: 1 << upperBits))
        kernels_bit_probabilities(range.count * bits, slope, z + start * bits, scratch, zeros)
        block.fillProducts(of: 0..<lowerBits, into: block.lower)
        block.fillProducts(of: lowerBits..<bits, into: block.upper)
        body(block)
      }
    }
  }
}

/// `−Σ p·log(p + epsilon)` in float64.
public func codeEntropy(_ p: UnsafePointer<Float>, count: Int, epsilon: Float) -> Double {
  parallelSum(count, of: 1 << 15) { kernels_code_entropy($0.count, epsilon, p + $0.lowerBound) }
}

/// `dP = −factor·(log(p + epsilon) + p/(p + epsilon))`.
public func codeEntropyGradient(
  _ p: UnsafePointer<Float>, factor: Float, epsilon: Float, into dP: UnsafeMutablePointer<Float>, count: Int
) {
  parallelChunks(count, of: 1 << 15) {
    kernels_code_entropy_gradient($0.count, epsilon, factor, p + $0.lowerBound, dP + $0.lowerBound)
  }
}

#pragma once
#include <stddef.h>
#include <stdint.h>

// Look-up-free quantization: one bit per channel, bit 0 = channel 0. A "slope" is 4/temperature: the probability of
// bit j being set is σ(slope·z_j).

/// q = z > 0 ? 1 : −1 and indices[r] = Σ_j 2^j·[z[r, j] > 0], for bits ≤ 31.
void kernels_sign_codes(ptrdiff_t rows, ptrdiff_t bits, const float *z, float *q, int32_t *indices);

/// Σ (z − sign z)², and its gradient dz (+)= scale·(z − sign z).
double kernels_commitment(ptrdiff_t n, const float *z);
void kernels_commitment_gradient(ptrdiff_t n, float scale, const float *z, float *dz, int accumulate);

/// ones = σ(slope·z), zeros = σ(−slope·z): each exact where the other rounds to 1.
void kernels_bit_probabilities(ptrdiff_t n, float slope, const float *z, float *ones, float *zeros);

/// Σ of the binary entropies, in nats, and its gradient dz (+)= scale·∂/∂z.
double kernels_bit_entropy(ptrdiff_t n, float slope, const float *z);
void kernels_bit_entropy_gradient(
  ptrdiff_t n, float slope, float scale, const float *z, float *dz, int accumulate);

/// products[r, code] = Π_j (bit j of code set ? ones[r, j] : zeros[r, j]) over `bits` bits; rows of `ones` and
/// `zeros` are `stride` floats apart. bits = 0 gives the empty product, 1.
void kernels_bit_products(
  ptrdiff_t rows, ptrdiff_t bits, ptrdiff_t stride, const float *ones, const float *zeros, float *products);

/// dz[r, j] (+)= slope·Σ_code (dproducts·products)·([bit j set] − ones[r, j]). Overwrites dproducts.
void kernels_bit_products_gradient(
  ptrdiff_t rows, ptrdiff_t bits, ptrdiff_t stride, float slope, const float *ones, const float *zeros,
  const float *products, float *dproducts, float *dz, int accumulate);

/// −Σ p·log(p + epsilon), and its gradient: dp = −scale·(log(p + epsilon) + p/(p + epsilon)).
double kernels_code_entropy(ptrdiff_t n, float epsilon, const float *p);
void kernels_code_entropy_gradient(ptrdiff_t n, float epsilon, float scale, const float *p, float *dp);

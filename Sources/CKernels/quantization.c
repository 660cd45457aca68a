#include "quantization.h"

#include "row_reductions.h"

VECTOR_CLONES void kernels_sign_codes(
  ptrdiff_t rows, ptrdiff_t bits, const float *restrict z, float *restrict q, int32_t *restrict indices) {
  for (ptrdiff_t i = 0; i < rows * bits; i++) q[i] = z[i] > 0 ? 1.0f : -1.0f;
  for (ptrdiff_t r = 0; r < rows; r++) {
    uint32_t code = 0;
    for (ptrdiff_t j = 0; j < bits; j++) code |= (uint32_t)(z[r * bits + j] > 0) << j;
    indices[r] = (int32_t)code;
  }
}

VECTOR_CLONES double kernels_commitment(ptrdiff_t n, const float *z) {
#pragma clang fp reassociate(on)
  double total = 0;
  for (ptrdiff_t start = 0; start < n; start += 1024) {
    ptrdiff_t end = start + 1024 < n ? start + 1024 : n;
    float block = 0;
    for (ptrdiff_t i = start; i < end; i++) block += (fabsf(z[i]) - 1) * (fabsf(z[i]) - 1);
    total += block;
  }
  return total;
}

VECTOR_CLONES void kernels_commitment_gradient(
  ptrdiff_t n, float scale, const float *restrict z, float *restrict dz, int accumulate) {
  for (ptrdiff_t i = 0; i < n; i++) {
    float value = scale * (z[i] - (z[i] > 0 ? 1.0f : -1.0f));
    dz[i] = accumulate ? dz[i] + value : value;
  }
}

VECTOR_CLONES void kernels_bit_probabilities(
  ptrdiff_t n, float slope, const float *restrict z, float *restrict ones, float *restrict zeros) {
  for (ptrdiff_t i = 0; i < n; i++) {
    float e = vector_exp(-fabsf(slope * z[i]));
    float likely = 1.0f / (1.0f + e), unlikely = e * likely;
    ones[i] = z[i] > 0 ? likely : unlikely;
    zeros[i] = z[i] > 0 ? unlikely : likely;
  }
}

// With a = |u| and e = exp(−a): H = log(1 + e) + a·e/(1 + e), which keeps its digits when a bit is nearly certain.
VECTOR_CLONES double kernels_bit_entropy(ptrdiff_t n, float slope, const float *z) {
#pragma clang fp reassociate(on)
  double total = 0;
  for (ptrdiff_t start = 0; start < n; start += 1024) {
    ptrdiff_t end = start + 1024 < n ? start + 1024 : n;
    float block = 0;
    for (ptrdiff_t i = start; i < end; i++) {
      float a = fabsf(slope * z[i]), e = vector_exp(-a);
      block += vector_log1p(e) + a * e / (1.0f + e);
    }
    total += block;
  }
  return total;
}

VECTOR_CLONES void kernels_bit_entropy_gradient(
  ptrdiff_t n, float slope, float scale, const float *restrict z, float *restrict dz, int accumulate) {
  for (ptrdiff_t i = 0; i < n; i++) {
    float u = slope * z[i], e = vector_exp(-fabsf(u)), w = 1.0f + e;
    float value = -scale * slope * u * e / (w * w);
    dz[i] = accumulate ? dz[i] + value : value;
  }
}

VECTOR_CLONES void kernels_bit_products(
  ptrdiff_t rows, ptrdiff_t bits, ptrdiff_t stride, const float *restrict ones, const float *restrict zeros,
  float *restrict products) {
  for (ptrdiff_t r = 0; r < rows; r++) {
    float *lower = products + (r << bits);
    lower[0] = 1;
    for (ptrdiff_t j = 0; j < bits; j++) {
      float one = ones[r * stride + j], zero = zeros[r * stride + j];
      ptrdiff_t half = (ptrdiff_t)1 << j;
      float *restrict upper = lower + half;
      for (ptrdiff_t i = 0; i < half; i++) {
        upper[i] = lower[i] * one;
        lower[i] *= zero;
      }
    }
  }
}

// Each bit halves the row: the sums over codes with the bit set and clear, then the halves are added.
VECTOR_CLONES void kernels_bit_products_gradient(
  ptrdiff_t rows, ptrdiff_t bits, ptrdiff_t stride, float slope, const float *restrict ones,
  const float *restrict zeros, const float *restrict products, float *restrict dproducts, float *restrict dz,
  int accumulate) {
#pragma clang fp reassociate(on)
  ptrdiff_t codes = (ptrdiff_t)1 << bits;
  for (ptrdiff_t r = 0; r < rows; r++) {
    float *lower = dproducts + r * codes;
    for (ptrdiff_t i = 0; i < codes; i++) lower[i] *= products[r * codes + i];
    for (ptrdiff_t j = bits - 1; j >= 0; j--) {
      ptrdiff_t half = (ptrdiff_t)1 << j;
      const float *restrict upper = lower + half;
      float set = 0, clear = 0;
      for (ptrdiff_t i = 0; i < half; i++) {
        set += upper[i];
        clear += lower[i];
        lower[i] += upper[i];
      }
      float value = slope * (zeros[r * stride + j] * set - ones[r * stride + j] * clear);
      dz[r * stride + j] = accumulate ? dz[r * stride + j] + value : value;
    }
  }
}

VECTOR_CLONES double kernels_code_entropy(ptrdiff_t n, float epsilon, const float *p) {
#pragma clang fp reassociate(on)
  double total = 0;
  for (ptrdiff_t start = 0; start < n; start += 1024) {
    ptrdiff_t end = start + 1024 < n ? start + 1024 : n;
    float block = 0;
    for (ptrdiff_t i = start; i < end; i++) block -= p[i] * vector_log(p[i] + epsilon);
    total += block;
  }
  return total;
}

VECTOR_CLONES void kernels_code_entropy_gradient(
  ptrdiff_t n, float epsilon, float scale, const float *restrict p, float *restrict dp) {
  for (ptrdiff_t i = 0; i < n; i++)
    dp[i] = -scale * (vector_log(p[i] + epsilon) + p[i] / (p[i] + epsilon));
}

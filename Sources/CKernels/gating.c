#include "gating.h"

#include "vectorize.h"

VECTOR_CLONES void kernels_swiglu(
  ptrdiff_t n, const float *restrict gate, const float *restrict up, float *restrict y) {
  for (ptrdiff_t i = 0; i < n; i++) y[i] = gate[i] * vector_sigmoid(gate[i]) * up[i];
}

VECTOR_CLONES void kernels_swiglu_gradient(
  ptrdiff_t n, const float *restrict gate, const float *restrict up, const float *restrict dy, float *restrict dgate,
  float *restrict dup) {
  for (ptrdiff_t i = 0; i < n; i++) {
    float s = vector_sigmoid(gate[i]);
    dgate[i] = dy[i] * up[i] * s * (1.0f + gate[i] * (1.0f - s));
    dup[i] = dy[i] * gate[i] * s;
  }
}

/// 24 bits per index: two rounds of a 32-bit finaliser with one half of the key in each.
ALWAYS_INLINE int32_t counter_bits(uint64_t key, uint32_t index) {
  uint32_t h = index * 0x9e3779b1u + (uint32_t)key;
  h ^= h >> 16;
  h *= 0x85ebca6bu;
  h ^= h >> 13;
  h += (uint32_t)(key >> 32);
  h *= 0xc2b2ae35u;
  h ^= h >> 16;
  h *= 0x7feb352du;
  h ^= h >> 15;
  return (int32_t)(h >> 8);
}

VECTOR_CLONES void kernels_dropout(
  ptrdiff_t n, struct kernels_dropout_mask mask, uint32_t first, const float *restrict x, float *restrict y,
  int accumulate) {
  for (ptrdiff_t i = 0; i < n; i++) {
    float kept = counter_bits(mask.key, first + (uint32_t)i) >= mask.threshold ? mask.scale * x[i] : 0.0f;
    y[i] = (accumulate ? y[i] : 0.0f) + kept;
  }
}

VECTOR_CLONES void kernels_dropout_residual(
  ptrdiff_t n, struct kernels_dropout_mask mask, uint32_t first, const float *restrict x, const float *restrict f,
  float *restrict y) {
  for (ptrdiff_t i = 0; i < n; i++)
    y[i] = x[i] + (counter_bits(mask.key, first + (uint32_t)i) >= mask.threshold ? mask.scale * f[i] : 0.0f);
}

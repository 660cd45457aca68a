#include "decoding.h"

#include "row_reductions.h"

ALWAYS_INLINE float query_dot(ptrdiff_t n, const float *restrict a, const float *restrict b) {
#pragma clang fp reassociate(on)
  float sum = 0;
  for (ptrdiff_t i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

ALWAYS_INLINE void add_value(ptrdiff_t n, float weight, const float *restrict v, float *restrict y) {
  for (ptrdiff_t i = 0; i < n; i++) y[i] += weight * v[i];
}

VECTOR_CLONES void kernels_cached_attention(
  struct kernels_cache_view cache, ptrdiff_t prefix, ptrdiff_t own, float scale, const float *restrict q,
  float *restrict y, float *restrict scratch) {
#pragma clang fp reassociate(on)
  ptrdiff_t length = cache.page_length, size = cache.size, n = prefix;
  for (ptrdiff_t start = 0; start < prefix; start += length) {
    const float *keys = cache.pages[start / length] + cache.offset;
    ptrdiff_t end = prefix - start < length ? prefix - start : length;
    for (ptrdiff_t j = 0; j < end; j++) scratch[start + j] = scale * query_dot(size, q, keys + j * size);
  }
  if (own >= prefix)
    scratch[n++] = scale * query_dot(size, q, cache.pages[own / length] + cache.offset + own % length * size);
  float largest = row_maximum(n, scratch), sum = 0;
  for (ptrdiff_t j = 0; j < n; j++) {
    scratch[j] = vector_exp(scratch[j] - largest);
    sum += scratch[j];
  }
  float inverse = 1.0f / sum;
  for (ptrdiff_t c = 0; c < size; c++) y[c] = 0;
  for (ptrdiff_t start = 0; start < prefix; start += length) {
    const float *values = cache.pages[start / length] + cache.offset + length * size;
    ptrdiff_t end = prefix - start < length ? prefix - start : length;
    for (ptrdiff_t j = 0; j < end; j++) add_value(size, scratch[start + j] * inverse, values + j * size, y);
  }
  if (own >= prefix)
    add_value(
      size, scratch[prefix] * inverse, cache.pages[own / length] + cache.offset + (length + own % length) * size, y);
}

#include "decoding.h"

#include "lanes.h"
#include "row_reductions.h"

/// The usual size of a head, and what of a value stays in registers while the slots pass.
enum { usual_size = 64, most_lanes = usual_size / lane_count };

ALWAYS_INLINE float query_dot(ptrdiff_t n, const float *restrict a, const float *restrict b) {
#pragma clang fp reassociate(on)
  float sum = 0;
  for (ptrdiff_t i = 0; i < n; i++) sum += a[i] * b[i];
  return sum;
}

/// y[0..<16·count] += scale·Σ weights[j]·values[j], rows of values `size` floats apart; `count` is a constant.
ALWAYS_INLINE void add_columns(
  const int count, ptrdiff_t rows, const float *weights, float scale, const float *values, ptrdiff_t size, float *y) {
  lanes sums[most_lanes];
  UNROLL for (int s = 0; s < count; s++) load_lanes(y + s * lane_count, &sums[s]);
  for (ptrdiff_t j = 0; j < rows; j++) {
    const float weight = weights[j] * scale;
    UNROLL for (int s = 0; s < count; s++) {
      lanes value;
      load_lanes(values + j * size + s * lane_count, &value);
      sums[s] += value * weight;
    }
  }
  UNROLL for (int s = 0; s < count; s++) store_lanes(y + s * lane_count, &sums[s]);
}

ALWAYS_INLINE void add_values(
  ptrdiff_t rows, const float *weights, float scale, const float *values, ptrdiff_t size, float *y) {
  ptrdiff_t c = 0;
  for (; c + usual_size <= size; c += usual_size)
    add_columns(most_lanes, rows, weights, scale, values + c, size, y + c);
  for (; c + lane_count <= size; c += lane_count) add_columns(1, rows, weights, scale, values + c, size, y + c);
  for (; c < size; c++)
    for (ptrdiff_t j = 0; j < rows; j++) y[c] += weights[j] * scale * values[j * size + c];
}

/// `size` is that of the cache, as a constant where it is the usual one.
ALWAYS_INLINE void attention(
  struct kernels_cache_view cache, ptrdiff_t size, ptrdiff_t prefix, ptrdiff_t own, float scale,
  const float *restrict q, float *restrict y, float *restrict scratch) {
#pragma clang fp reassociate(on)
  ptrdiff_t length = cache.page_length, n = prefix;
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
    add_values(end, scratch + start, inverse, values, size, y);
  }
  if (own >= prefix) {
    const float *values = cache.pages[own / length] + cache.offset + (length + own % length) * size;
    add_values(1, scratch + prefix, inverse, values, size, y);
  }
}

VECTOR_CLONES void kernels_cached_attention(
  struct kernels_cache_view cache, ptrdiff_t prefix, ptrdiff_t own, float scale, const float *restrict q,
  float *restrict y, float *restrict scratch) {
  if (cache.size == usual_size)
    attention(cache, usual_size, prefix, own, scale, q, y, scratch);
  else
    attention(cache, cache.size, prefix, own, scale, q, y, scratch);
}

#include "decoding.h"

#include "row_reductions.h"

// Unaligned, because panels of odd depth start anywhere.
typedef float lanes __attribute__((vector_size(64), aligned(4)));
enum { lane_count = 16, panel_lanes = kernels_panel_width / lane_count, largest_block = 8 };

/// `rows` is a constant at every call, so the sums live in registers.
ALWAYS_INLINE void panel_block(
  const int rows, ptrdiff_t depth, ptrdiff_t columns, const float *restrict x, const float *restrict panel,
  float *restrict y, ptrdiff_t y_stride) {
  lanes sums[largest_block][panel_lanes];
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++)
    for (int l = 0; l < panel_lanes; l++) sums[r][l] = (lanes){0};
  for (ptrdiff_t i = 0; i < depth; i++) {
    const lanes *w = (const lanes *)(panel + i * kernels_panel_width);
#pragma clang loop unroll(full)
    for (int r = 0; r < rows; r++)
      for (int l = 0; l < panel_lanes; l++) sums[r][l] += w[l] * x[r * depth + i];
  }
#pragma clang loop unroll(full)
  for (int r = 0; r < rows; r++) {
    float *out = y + r * y_stride;
    if (columns == kernels_panel_width)
      for (int l = 0; l < panel_lanes; l++) *(lanes *)(out + l * lane_count) = sums[r][l];
    else
      for (ptrdiff_t c = 0; c < columns; c++) out[c] = sums[r][c / lane_count][c % lane_count];
  }
}

VECTOR_CLONES void kernels_panel_product(
  ptrdiff_t rows, ptrdiff_t depth, ptrdiff_t columns, const float *restrict x, const float *restrict panel,
  float *restrict y, ptrdiff_t y_stride) {
  ptrdiff_t r = 0;
  for (; r + 8 <= rows; r += 8) panel_block(8, depth, columns, x + r * depth, panel, y + r * y_stride, y_stride);
  if (r + 4 <= rows) {
    panel_block(4, depth, columns, x + r * depth, panel, y + r * y_stride, y_stride);
    r += 4;
  }
  if (r + 2 <= rows) {
    panel_block(2, depth, columns, x + r * depth, panel, y + r * y_stride, y_stride);
    r += 2;
  }
  if (r < rows) panel_block(1, depth, columns, x + r * depth, panel, y + r * y_stride, y_stride);
}

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

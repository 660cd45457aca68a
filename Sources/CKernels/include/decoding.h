#pragma once
#include <stddef.h>

/// Rows of a cache that lie in pages. The keys of a head are [page_length][size] at `offset` in every page, the
/// values follow them.
struct kernels_cache_view {
  const float *const *pages;
  ptrdiff_t offset, page_length, size;
};

/// One query against slots 0..<prefix and, if it lies beyond them, slot `own`: y = softmax(scale·q·kᵀ)·v.
/// `scratch` holds prefix + 1 floats.
void kernels_cached_attention(
  struct kernels_cache_view cache, ptrdiff_t prefix, ptrdiff_t own, float scale, const float *q, float *y,
  float *scratch);

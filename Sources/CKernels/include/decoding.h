#pragma once
#include <stddef.h>

/// Output columns per panel of a packed matrix.
enum { kernels_panel_width = 32 };

/// One panel of y = x·Wᵀ: `panel` holds W's next 32 rows as [depth][32]; `columns` of them are written. Every value is
/// summed in the same order whatever `rows` is, so a row's result does not depend on the rows beside it.
void kernels_panel_product(
  ptrdiff_t rows, ptrdiff_t depth, ptrdiff_t columns, const float *x, const float *panel, float *y,
  ptrdiff_t y_stride);

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

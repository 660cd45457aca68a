#pragma once
#include "im2col.h"

/// Output pixels first..<first+count, numbered over batch, rows and columns, of the maximum over each window's pixels
/// inside the image. Every window must hold one.
void kernels_max_pool(const kernels_window *window, ptrdiff_t first, ptrdiff_t count, const float *x, float *y);

/// Adds the gradient of one image's channels first..<first+count to dx: each window's goes to its first maximum.
void kernels_max_pool_gradient(
  const kernels_window *window, ptrdiff_t first, ptrdiff_t count, const float *x, const float *y, const float *dy,
  float *dx);

/// Like `kernels_max_pool`, the mean. With `counts_padding` ≠ 0 the divisor is the window's size, otherwise the number of
/// its pixels inside the image.
void kernels_average_pool(
  const kernels_window *window, int counts_padding, ptrdiff_t first, ptrdiff_t count, const float *x, float *y);

/// Adds the gradient of one image's channels first..<first+count to dx.
void kernels_average_pool_gradient(
  const kernels_window *window, int counts_padding, ptrdiff_t first, ptrdiff_t count, const float *dy, float *dx);

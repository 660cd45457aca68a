#pragma once
#include <stddef.h>

/// How a convolution's windows lie over images `[batch, height, width, channels]`. Output pixel (i, j) sees the rows
/// i·stride − top + 0..<kernel_height and the columns j·stride − left + 0..<kernel_width; zeros outside the image.
typedef struct {
  ptrdiff_t height, width, channels;
  ptrdiff_t output_height, output_width;
  ptrdiff_t kernel_height, kernel_width, stride, top, left;
} kernels_window;

/// Copies the windows of output pixels first..<first+count, numbered over batch, rows and columns, into the rows of
/// `columns` [count, kernel_height·kernel_width·channels].
void kernels_im2col(const kernels_window *window, ptrdiff_t first, ptrdiff_t count, const float *x, float *columns);

/// Adds run after run to a row of `width` floats: y[first + j·step + i] += runs[j·stride + i] for j < count, i < length,
/// what lies outside the row left out. One kernel row of the inverse of `kernels_im2col`.
void kernels_add_runs(
  ptrdiff_t count, ptrdiff_t length, const float *runs, ptrdiff_t stride, ptrdiff_t first, ptrdiff_t step,
  ptrdiff_t width, float *y);

/// y[c, r] = x[r, c], x with `x_stride` floats from row to row and y with `y_stride`.
void kernels_transpose(
  ptrdiff_t rows, ptrdiff_t columns, const float *x, ptrdiff_t x_stride, float *y, ptrdiff_t y_stride);

/// y[y·2 + by, x·2 + bx, c] (+)= x[y, x, (by·2 + bx)·channels + c] for one image of height × width × 4·channels.
void kernels_depth_to_space(
  ptrdiff_t height, ptrdiff_t width, ptrdiff_t channels, const float *x, float *y);
/// The inverse, optionally adding.
void kernels_space_to_depth(
  ptrdiff_t height, ptrdiff_t width, ptrdiff_t channels, const float *y, float *x, int accumulate);

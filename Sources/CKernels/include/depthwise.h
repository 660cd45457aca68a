#pragma once
#include <stddef.h>

// Depthwise 3×3 convolution, stride 1, padding 1, of one image [height, width, channels] by weights [3, 3, channels].

/// Output row `row`: y[j, c] (+)= bias[c] + Σ_taps w[t, c]·x[row + t/3 − 1, j + t%3 − 1, c]. `bias` may be NULL.
/// With `flipped` ≠ 0 the taps are taken in reverse, which gives the gradient with respect to the input from the
/// gradient with respect to the output.
void kernels_depthwise_row(
  ptrdiff_t height, ptrdiff_t width, ptrdiff_t channels, ptrdiff_t row, const float *x, const float *weight,
  const float *bias, float *y, int flipped, int accumulate);

/// dw[t, c] += Σ_pixels dy[i, j, c]·x[i + t/3 − 1, j + t%3 − 1, c] for the channels first..<first+count.
void kernels_depthwise_weight_gradient(
  ptrdiff_t height, ptrdiff_t width, ptrdiff_t channels, ptrdiff_t first, ptrdiff_t count, const float *x,
  const float *dy, float *dw);

#include "depthwise.h"

#include "vectorize.h"

VECTOR_CLONES void kernels_depthwise_row(
  ptrdiff_t height, ptrdiff_t width, ptrdiff_t channels, ptrdiff_t row, const float *restrict x,
  const float *restrict weight, const float *restrict bias, float *restrict y, int flipped, int accumulate) {
  y += row * width * channels;
  for (ptrdiff_t j = 0; j < width; j++, y += channels) {
    if (!accumulate) {
      if (bias)
        memcpy(y, bias, (size_t)channels * sizeof(float));
      else
        memset(y, 0, (size_t)channels * sizeof(float));
    } else if (bias) {
      for (ptrdiff_t c = 0; c < channels; c++) y[c] += bias[c];
    }
    for (ptrdiff_t ky = 0; ky < 3; ky++) {
      const ptrdiff_t i = row + ky - 1;
      if (i < 0 || i >= height) continue;
      const float *source = x + (i * width + j) * channels;
      const float *w = weight + (flipped ? 2 - ky : ky) * 3 * channels;
      const float *w0 = flipped ? w + 2 * channels : w, *w1 = w + channels, *w2 = flipped ? w : w + 2 * channels;
      // A whole kernel row at a time: a third of the traffic on y.
      if (j > 0 && j < width - 1) {
        const float *left = source - channels, *right = source + channels;
        for (ptrdiff_t c = 0; c < channels; c++) y[c] += w0[c] * left[c] + w1[c] * source[c] + w2[c] * right[c];
        continue;
      }
      for (ptrdiff_t c = 0; c < channels; c++) y[c] += w1[c] * source[c];
      if (j > 0)
        for (ptrdiff_t c = 0; c < channels; c++) y[c] += w0[c] * source[c - channels];
      if (j < width - 1)
        for (ptrdiff_t c = 0; c < channels; c++) y[c] += w2[c] * source[c + channels];
    }
  }
}

VECTOR_CLONES void kernels_depthwise_weight_gradient(
  ptrdiff_t height, ptrdiff_t width, ptrdiff_t channels, ptrdiff_t first, ptrdiff_t count, const float *restrict x,
  const float *restrict dy, float *restrict dw) {
  enum { lanes = 32 };
  for (ptrdiff_t start = first; start < first + count; start += lanes) {
    const ptrdiff_t n = first + count - start < lanes ? first + count - start : lanes;
    for (ptrdiff_t t = 0; t < 9; t++) {
      const ptrdiff_t ky = t / 3 - 1, kx = t % 3 - 1;
      float total[lanes] = {0};
      for (ptrdiff_t i = ky < 0 ? 1 : 0; i < (ky > 0 ? height - 1 : height); i++) {
        // Rows are summed from zero and then added, which keeps the error of long sums small.
        float sums[lanes] = {0};
        for (ptrdiff_t j = kx < 0 ? 1 : 0; j < (kx > 0 ? width - 1 : width); j++) {
          const float *g = dy + (i * width + j) * channels + start;
          const float *source = x + ((i + ky) * width + j + kx) * channels + start;
          if (n == lanes)
            for (ptrdiff_t c = 0; c < lanes; c++) sums[c] += g[c] * source[c];
          else
            for (ptrdiff_t c = 0; c < n; c++) sums[c] += g[c] * source[c];
        }
        for (ptrdiff_t c = 0; c < lanes; c++) total[c] += sums[c];
      }
      for (ptrdiff_t c = 0; c < n; c++) dw[t * channels + start + c] += total[c];
    }
  }
}

#include "pooling.h"

#include "vectorize.h"

/// The part of a window that lies inside the image.
struct reach {
  ptrdiff_t top, bottom, left, right;
};

ALWAYS_INLINE struct reach reach_of(const kernels_window *w, ptrdiff_t i, ptrdiff_t j) {
  struct reach r = {i * w->stride - w->top, 0, j * w->stride - w->left, 0};
  r.bottom = r.top + w->kernel_height < w->height ? r.top + w->kernel_height : w->height;
  r.right = r.left + w->kernel_width < w->width ? r.left + w->kernel_width : w->width;
  if (r.top < 0) r.top = 0;
  if (r.left < 0) r.left = 0;
  return r;
}

ALWAYS_INLINE float average_factor(const kernels_window *w, int counts_padding, struct reach r) {
  return 1.0f / (float)(counts_padding ? w->kernel_height * w->kernel_width : (r.bottom - r.top) * (r.right - r.left));
}

VECTOR_CLONES void kernels_max_pool(
  const kernels_window *window, ptrdiff_t first, ptrdiff_t count, const float *restrict x, float *restrict y) {
  const kernels_window w = *window;
  const ptrdiff_t pixels = w.output_height * w.output_width;
  for (ptrdiff_t p = first; p < first + count; p++) {
    const struct reach r = reach_of(&w, p % pixels / w.output_width, p % w.output_width);
    const float *image = x + p / pixels * w.height * w.width * w.channels;
    float *out = y + p * w.channels;
    memcpy(out, image + (r.top * w.width + r.left) * w.channels, (size_t)w.channels * sizeof(float));
    for (ptrdiff_t row = r.top; row < r.bottom; row++)
      for (ptrdiff_t column = r.left; column < r.right; column++) {
        const float *source = image + (row * w.width + column) * w.channels;
        // A NaN stays: it compares greater than nothing, so the comparison is the other way round.
        for (ptrdiff_t c = 0; c < w.channels; c++) out[c] = source[c] <= out[c] ? out[c] : source[c];
      }
  }
}

VECTOR_CLONES void kernels_max_pool_gradient(
  const kernels_window *window, ptrdiff_t first, ptrdiff_t count, const float *restrict x, const float *restrict y,
  const float *restrict dy, float *restrict dx) {
  enum { block = 64 };
  const kernels_window w = *window;
  float left_over[block];
  for (ptrdiff_t start = first; start < first + count; start += block) {
    const ptrdiff_t n = first + count - start < block ? first + count - start : block;
    for (ptrdiff_t i = 0; i < w.output_height; i++)
      for (ptrdiff_t j = 0; j < w.output_width; j++) {
        const struct reach r = reach_of(&w, i, j);
        const ptrdiff_t pixel = (i * w.output_width + j) * w.channels + start;
        for (ptrdiff_t c = 0; c < n; c++) left_over[c] = dy[pixel + c];
        for (ptrdiff_t row = r.top; row < r.bottom; row++)
          for (ptrdiff_t column = r.left; column < r.right; column++) {
            const ptrdiff_t source = (row * w.width + column) * w.channels + start;
            for (ptrdiff_t c = 0; c < n; c++) {
              const float share = x[source + c] == y[pixel + c] ? left_over[c] : 0.0f;
              dx[source + c] += share;
              left_over[c] -= share;  // to exactly zero, so that equal values later in the window get nothing
            }
          }
      }
  }
}

VECTOR_CLONES void kernels_average_pool(
  const kernels_window *window, int counts_padding, ptrdiff_t first, ptrdiff_t count, const float *restrict x,
  float *restrict y) {
  const kernels_window w = *window;
  const ptrdiff_t pixels = w.output_height * w.output_width;
  for (ptrdiff_t p = first; p < first + count; p++) {
    const struct reach r = reach_of(&w, p % pixels / w.output_width, p % w.output_width);
    const float *image = x + p / pixels * w.height * w.width * w.channels;
    const float factor = average_factor(&w, counts_padding, r);
    float *out = y + p * w.channels;
    memset(out, 0, (size_t)w.channels * sizeof(float));
    for (ptrdiff_t row = r.top; row < r.bottom; row++)
      for (ptrdiff_t column = r.left; column < r.right; column++) {
        const float *source = image + (row * w.width + column) * w.channels;
        for (ptrdiff_t c = 0; c < w.channels; c++) out[c] += source[c];
      }
    for (ptrdiff_t c = 0; c < w.channels; c++) out[c] *= factor;
  }
}

VECTOR_CLONES void kernels_average_pool_gradient(
  const kernels_window *window, int counts_padding, ptrdiff_t first, ptrdiff_t count, const float *restrict dy,
  float *restrict dx) {
  const kernels_window w = *window;
  for (ptrdiff_t i = 0; i < w.output_height; i++)
    for (ptrdiff_t j = 0; j < w.output_width; j++) {
      const struct reach r = reach_of(&w, i, j);
      const float factor = average_factor(&w, counts_padding, r);
      const float *gradient = dy + (i * w.output_width + j) * w.channels + first;
      for (ptrdiff_t row = r.top; row < r.bottom; row++)
        for (ptrdiff_t column = r.left; column < r.right; column++) {
          float *target = dx + (row * w.width + column) * w.channels + first;
          for (ptrdiff_t c = 0; c < count; c++) target[c] += factor * gradient[c];
        }
    }
}

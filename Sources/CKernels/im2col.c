#include "im2col.h"

#include "vectorize.h"

/// Copies a run of floats; runs of a few floats (three-channel images) are not worth a call.
ALWAYS_INLINE void copy_run(ptrdiff_t count, const float *restrict x, float *restrict y) {
  if (count >= 64) {
    memcpy(y, x, (size_t)count * sizeof(float));
    return;
  }
  for (ptrdiff_t i = 0; i < count; i++) y[i] = x[i];
}

VECTOR_CLONES void kernels_im2col(
  const kernels_window *window, ptrdiff_t first, ptrdiff_t count, const float *restrict x, float *restrict columns) {
  const kernels_window w = *window;
  const ptrdiff_t pixels = w.output_height * w.output_width, run = w.kernel_width * w.channels;
  ptrdiff_t image = first / pixels, i = first % pixels / w.output_width, j = first % w.output_width;
  for (ptrdiff_t r = 0; r < count; r++) {
    const ptrdiff_t top = i * w.stride - w.top, left = j * w.stride - w.left;
    // Channels last: what one kernel row sees is one run of floats, of which padding cuts off an end or both.
    ptrdiff_t cut_left = left < 0 ? -left : 0, cut_right = left + w.kernel_width - w.width;
    if (cut_left > w.kernel_width) cut_left = w.kernel_width;
    if (cut_right < 0) cut_right = 0;
    if (cut_right > w.kernel_width - cut_left) cut_right = w.kernel_width - cut_left;
    const ptrdiff_t before = cut_left * w.channels, after = cut_right * w.channels;
    for (ptrdiff_t ky = 0; ky < w.kernel_height; ky++, columns += run) {
      const ptrdiff_t row = top + ky;
      if (row < 0 || row >= w.height || before + after == run) {
        memset(columns, 0, (size_t)run * sizeof(float));
        continue;
      }
      const float *source = x + ((image * w.height + row) * w.width + left + cut_left) * w.channels;
      for (ptrdiff_t c = 0; c < before; c++) columns[c] = 0;
      copy_run(run - before - after, source, columns + before);
      for (ptrdiff_t c = run - after; c < run; c++) columns[c] = 0;
    }
    if (++j == w.output_width) {
      j = 0;
      if (++i == w.output_height) i = 0, image++;
    }
  }
}

/// `length` is a constant where it is a usual one.
ALWAYS_INLINE void add_runs(
  ptrdiff_t count, const ptrdiff_t length, const float *restrict runs, ptrdiff_t stride, ptrdiff_t first,
  ptrdiff_t step, ptrdiff_t width, float *restrict y) {
  for (ptrdiff_t j = 0; j < count; j++, runs += stride, first += step) {
    if (first >= 0 && first + length <= width) {
      for (ptrdiff_t i = 0; i < length; i++) y[first + i] += runs[i];
    } else {
      for (ptrdiff_t i = first < 0 ? -first : 0; i < length && first + i < width; i++) y[first + i] += runs[i];
    }
  }
}

VECTOR_CLONES void kernels_add_runs(
  ptrdiff_t count, ptrdiff_t length, const float *restrict runs, ptrdiff_t stride, ptrdiff_t first, ptrdiff_t step,
  ptrdiff_t width, float *restrict y) {
  switch (length) {
    case 9: return add_runs(count, 9, runs, stride, first, step, width, y);
    case 12: return add_runs(count, 12, runs, stride, first, step, width, y);
    default: return add_runs(count, length, runs, stride, first, step, width, y);
  }
}

VECTOR_CLONES void kernels_transpose(
  ptrdiff_t rows, ptrdiff_t columns, const float *restrict x, ptrdiff_t x_stride, float *restrict y,
  ptrdiff_t y_stride) {
  // Through a 16 × 16 block that stays in L1, so that both sides are read and written by whole cache lines.
  float block[16][16];
  for (ptrdiff_t r = 0; r < rows; r += 16) {
    const ptrdiff_t height = rows - r < 16 ? rows - r : 16;
    for (ptrdiff_t c = 0; c < columns; c += 16) {
      const ptrdiff_t width = columns - c < 16 ? columns - c : 16;
      for (ptrdiff_t i = 0; i < height; i++)
        for (ptrdiff_t j = 0; j < width; j++) block[j][i] = x[(r + i) * x_stride + c + j];
      for (ptrdiff_t j = 0; j < width; j++)
        for (ptrdiff_t i = 0; i < height; i++) y[(c + j) * y_stride + r + i] = block[j][i];
    }
  }
}

VECTOR_CLONES void kernels_depth_to_space(
  ptrdiff_t height, ptrdiff_t width, ptrdiff_t channels, const float *restrict x, float *restrict y) {
  for (ptrdiff_t i = 0; i < 2 * height; i++)
    for (ptrdiff_t j = 0; j < 2 * width; j++, y += channels) {
      const float *source = x + ((i / 2 * width + j / 2) * 4 + i % 2 * 2 + j % 2) * channels;
      for (ptrdiff_t c = 0; c < channels; c++) y[c] = source[c];
    }
}

VECTOR_CLONES void kernels_space_to_depth(
  ptrdiff_t height, ptrdiff_t width, ptrdiff_t channels, const float *restrict y, float *restrict x, int accumulate) {
  for (ptrdiff_t i = 0; i < 2 * height; i++)
    for (ptrdiff_t j = 0; j < 2 * width; j++, y += channels) {
      float *target = x + ((i / 2 * width + j / 2) * 4 + i % 2 * 2 + j % 2) * channels;
      if (accumulate)
        for (ptrdiff_t c = 0; c < channels; c++) target[c] += y[c];
      else
        for (ptrdiff_t c = 0; c < channels; c++) target[c] = y[c];
    }
}

#include "softmax.h"

#include "row_reductions.h"

ALWAYS_INLINE float log_sum_exp(ptrdiff_t n, float sharpness, const float *x) {
#pragma clang fp reassociate(on)
  float largest = row_maximum(n, x) * sharpness, sum = 0;
  for (ptrdiff_t i = 0; i < n; i++) sum += vector_exp(x[i] * sharpness - largest);
  return largest + logf(sum);
}

VECTOR_CLONES void kernels_cross_entropy(
  ptrdiff_t rows, ptrdiff_t classes, const float *restrict logits, const int32_t *restrict targets, float smoothing,
  float *restrict lse, float *restrict losses) {
#pragma clang fp reassociate(on)
  for (ptrdiff_t r = 0; r < rows; r++) {
    const float *x = logits + r * classes;
    lse[r] = log_sum_exp(classes, 1, x);
    float loss = (1 - smoothing) * (lse[r] - x[targets[r]]);
    if (smoothing > 0) {
      float sum = 0;
      for (ptrdiff_t c = 0; c < classes; c++) sum += lse[r] - x[c];
      loss += smoothing * sum / (float)classes;
    }
    losses[r] = loss;
  }
}

VECTOR_CLONES void kernels_cross_entropy_gradient(
  ptrdiff_t rows, ptrdiff_t classes, const float *restrict logits, const int32_t *restrict targets, float smoothing,
  const float *restrict lse, float scale, float *restrict dx, int accumulate) {
  float share = smoothing / (float)classes;
  for (ptrdiff_t r = 0; r < rows; r++) {
    const float *x = logits + r * classes;
    float *out = dx + r * classes;
    if (accumulate)
      for (ptrdiff_t c = 0; c < classes; c++) out[c] += scale * (vector_exp(x[c] - lse[r]) - share);
    else
      for (ptrdiff_t c = 0; c < classes; c++) out[c] = scale * (vector_exp(x[c] - lse[r]) - share);
    out[targets[r]] -= scale * (1 - smoothing);
  }
}

VECTOR_CLONES void kernels_softmax_divergence(
  ptrdiff_t rows, ptrdiff_t classes, float sharpness, const float *restrict student, const float *restrict teacher,
  float *restrict student_lse, float *restrict teacher_lse, float *restrict losses) {
#pragma clang fp reassociate(on)
  for (ptrdiff_t r = 0; r < rows; r++) {
    const float *s = student + r * classes, *t = teacher + r * classes;
    float ls = log_sum_exp(classes, sharpness, s), lt = log_sum_exp(classes, sharpness, t), loss = 0;
    for (ptrdiff_t c = 0; c < classes; c++) {
      float a = t[c] * sharpness - lt, b = s[c] * sharpness - ls;
      loss += vector_exp(a) * (a - b);
    }
    student_lse[r] = ls;
    teacher_lse[r] = lt;
    losses[r] = loss;
  }
}

VECTOR_CLONES void kernels_softmax_divergence_gradient(
  ptrdiff_t rows, ptrdiff_t classes, float sharpness, const float *restrict student, const float *restrict teacher,
  const float *restrict student_lse, const float *restrict teacher_lse, float scale, float *restrict ds,
  int accumulate) {
  for (ptrdiff_t r = 0; r < rows; r++) {
    const float *s = student + r * classes, *t = teacher + r * classes;
    float *out = ds + r * classes;
    for (ptrdiff_t c = 0; c < classes; c++) {
      float p = vector_exp(s[c] * sharpness - student_lse[r]), q = vector_exp(t[c] * sharpness - teacher_lse[r]);
      float value = scale * (p - q);
      out[c] = accumulate ? out[c] + value : value;
    }
  }
}

VECTOR_CLONES void kernels_row_maxima(
  ptrdiff_t rows, ptrdiff_t columns, const float *restrict x, float *restrict maxima, int32_t *restrict positions) {
  for (ptrdiff_t r = 0; r < rows; r++, x += columns) {
    float largest = row_maximum(columns, x);
    ptrdiff_t c = 0;
    while (c + 1 < columns && x[c] != largest) c++;
    maxima[r] = largest;
    positions[r] = (int32_t)c;
  }
}

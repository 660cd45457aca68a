#pragma once
#include <stddef.h>
#include <stdint.h>

/// losses[r] = cross-entropy of row r against the one-hot target mixed with the uniform distribution:
/// (1 − smoothing)·(lse − x[target]) + smoothing·(lse − mean x). Stores lse = log Σ exp x per row.
void kernels_cross_entropy(
  ptrdiff_t rows, ptrdiff_t classes, const float *logits, const int32_t *targets, float smoothing, float *lse,
  float *losses);
/// dx (+)= scale·(softmax(x) − (1 − smoothing)·onehot − smoothing/classes)
void kernels_cross_entropy_gradient(
  ptrdiff_t rows, ptrdiff_t classes, const float *logits, const int32_t *targets, float smoothing, const float *lse,
  float scale, float *dx, int accumulate);

/// losses[r] = KL(softmax(t/T) ‖ softmax(s/T)) with sharpness 1/T. Stores both rows' log-sum-exp.
void kernels_softmax_divergence(
  ptrdiff_t rows, ptrdiff_t classes, float sharpness, const float *student, const float *teacher, float *student_lse,
  float *teacher_lse, float *losses);
/// ds (+)= scale·(softmax(s/T) − softmax(t/T))
void kernels_softmax_divergence_gradient(
  ptrdiff_t rows, ptrdiff_t classes, float sharpness, const float *student, const float *teacher,
  const float *student_lse, const float *teacher_lse, float scale, float *ds, int accumulate);

/// The first position of each row's maximum, and the maximum.
void kernels_row_maxima(ptrdiff_t rows, ptrdiff_t columns, const float *x, float *maxima, int32_t *positions);

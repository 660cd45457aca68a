#pragma once
#include <stddef.h>

/// What one Adam update needs besides the arrays; the bias corrections are already folded in.
typedef struct {
  float gradient_scale;    // multiplies every gradient first: clipping, accumulation
  float beta1, beta2;      // decay of the first and second moments
  float epsilon;           // added to the root, outside it
  float retained_share;    // 1 - learning rate * decoupled weight decay
  float coupled_decay;     // weight decay that is added to the gradient
  float step_size;         // learning rate / (1 - beta1^t)
  float root_scale;        // 1 / sqrt(1 - beta2^t)
  float averaging_rate;    // 1 - decay of the moving average of the weights
} kernels_adam;

/// One Adam update of `count` floats in a single pass. `average` may be NULL; otherwise it moves towards the new
/// values. No two arrays may overlap.
void kernels_adam_update(const kernels_adam *update, ptrdiff_t count, const float *gradients, float *values,
                         float *first_moments, float *second_moments, float *average);

/// Sum of squares in double precision. Products of floats are exact in double and the lanes are fixed, so the
/// result has the same bits on every CPU.
double kernels_sum_of_squares(ptrdiff_t count, const float *values);

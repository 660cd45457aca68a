#include "optimizer.h"

#include "vectorize.h"

VECTOR_CLONES
void kernels_adam_update(const kernels_adam *update, ptrdiff_t count, const float *restrict gradients,
                         float *restrict values, float *restrict first_moments, float *restrict second_moments,
                         float *restrict average) {
  const kernels_adam u = *update;  // a copy, so that the loop need not reload it after every store
  const float rate1 = 1.0f - u.beta1, rate2 = 1.0f - u.beta2;
#define UPDATE_ONE                                                                              \
  const float gradient = u.gradient_scale * gradients[i] + u.coupled_decay * values[i];         \
  const float first = first_moments[i] + rate1 * (gradient - first_moments[i]);                 \
  const float second = u.beta2 * second_moments[i] + rate2 * gradient * gradient;               \
  const float root = __builtin_elementwise_sqrt(second) * u.root_scale + u.epsilon;             \
  const float value = u.retained_share * values[i] - u.step_size * first / root;                \
  first_moments[i] = first;                                                                     \
  second_moments[i] = second;                                                                   \
  values[i] = value
  if (average == NULL) {
    for (ptrdiff_t i = 0; i < count; i++) {
      UPDATE_ONE;
    }
  } else {
    for (ptrdiff_t i = 0; i < count; i++) {
      UPDATE_ONE;
      average[i] += u.averaging_rate * (value - average[i]);
    }
  }
#undef UPDATE_ONE
}

VECTOR_CLONES
double kernels_sum_of_squares(ptrdiff_t count, const float *restrict values) {
  enum { lanes = 32 };
  double sums[lanes] = {0};
  ptrdiff_t i = 0;
  for (; i + lanes <= count; i += lanes) {
    for (int lane = 0; lane < lanes; lane++) {
      const double value = values[i + lane];
      sums[lane] += value * value;
    }
  }
  for (int lane = 0; i < count; i++, lane++) {
    const double value = values[i];
    sums[lane] += value * value;
  }
  for (int width = lanes / 2; width > 0; width /= 2) {
    for (int lane = 0; lane < width; lane++) sums[lane] += sums[lane + width];
  }
  return sums[0];
}

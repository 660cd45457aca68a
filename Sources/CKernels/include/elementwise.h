#pragma once
#include <stddef.h>

// Flat loops. n counts floats; pointers may be unaligned; outputs may alias inputs of the same index only where
// said. `accumulate` ≠ 0 adds to the output instead of replacing it.

void kernels_fill(ptrdiff_t n, float value, float *y);
/// y += x
void kernels_add(ptrdiff_t n, const float *x, float *y);
/// y = a + b
void kernels_sum(ptrdiff_t n, const float *a, const float *b, float *y);
/// y = scale·x (or +=)
void kernels_scale(ptrdiff_t n, float scale, const float *x, float *y, int accumulate);
/// y = a·b (or +=)
void kernels_multiply(ptrdiff_t n, const float *a, const float *b, float *y, int accumulate);

/// GELU with the exact erf: y = x·Φ(x).
void kernels_gelu(ptrdiff_t n, const float *x, float *y);
/// dx (+)= dy·(Φ(x) + x·φ(x))
void kernels_gelu_gradient(ptrdiff_t n, const float *x, const float *dy, float *dx, int accumulate);
/// y = x·σ(x)
void kernels_silu(ptrdiff_t n, const float *x, float *y);
void kernels_silu_gradient(ptrdiff_t n, const float *x, const float *dy, float *dx, int accumulate);
/// y = x > 0 ? x : slope·x
void kernels_leaky_relu(ptrdiff_t n, float slope, const float *x, float *y);
void kernels_leaky_relu_gradient(ptrdiff_t n, float slope, const float *x, const float *dy, float *dx, int accumulate);

/// y[r, c] += bias[c]
void kernels_add_rows(ptrdiff_t rows, ptrdiff_t columns, const float *bias, float *y);
/// sums[c] += Σ_r x[r, c]
void kernels_column_sums(ptrdiff_t rows, ptrdiff_t columns, const float *x, float *sums);
/// sums[c] += Σ_r a[r, c]·b[r, c]
void kernels_column_dots(ptrdiff_t rows, ptrdiff_t columns, const float *a, const float *b, float *sums);
/// y[r, c] = x[r, c] + scale·gamma[c]·f[r, c]
void kernels_scaled_residual(
  ptrdiff_t rows, ptrdiff_t columns, float scale, const float *gamma, const float *x, const float *f, float *y);
/// y[r, c] (+)= scale·gamma[c]·x[r, c]
void kernels_scale_columns(
  ptrdiff_t rows, ptrdiff_t columns, float scale, const float *gamma, const float *x, float *y, int accumulate);

/// Σ x, Σ |a − b|, Σ a·b, in float64.
double kernels_total(ptrdiff_t n, const float *x);
double kernels_absolute_difference(ptrdiff_t n, const float *a, const float *b);
double kernels_dot(ptrdiff_t n, const float *a, const float *b);
/// dx (+)= scale·sign(a − b)
void kernels_absolute_difference_gradient(
  ptrdiff_t n, float scale, const float *a, const float *b, float *dx, int accumulate);

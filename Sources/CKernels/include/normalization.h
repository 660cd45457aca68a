#pragma once
#include <stddef.h>

// Group normalisation works on channels-last rows: per-channel vectors (mean, gain, …) are the group's values
// repeated for its channels, so that every loop runs over channels whatever the group's width.

/// sums[c] = Σ_r (x[r, c] − pivot[c]);  squares[c] = Σ_r (x[r, c] − pivot[c])². Sums of a few rows in float32, beyond
/// that in float64; `scratch` holds 2·columns floats.
void kernels_shifted_moments(
  ptrdiff_t rows, ptrdiff_t columns, const float *x, const float *pivot, float *scratch, double *sums,
  double *squares);

/// From the shifted moments of `rows` rows: each group's mean and summed squared deviation, in float64.
void kernels_group_moments(
  ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t groups, const float *pivot, const double *sums, const double *squares,
  double *means, double *deviations);

/// y = f((x − mean[c])·gain[c] + bias[c]), f the identity or SiLU.
void kernels_normalize(
  ptrdiff_t rows, ptrdiff_t columns, const float *x, const float *mean, const float *gain, const float *bias, int silu,
  float *y);

/// With h the argument of f above and dh = dy·f′(h): sums[c] = Σ_r dh;  dots[c] = Σ_r dh·(x − mean[c]), summed like the
/// moments above.
void kernels_normalize_gradient_sums(
  ptrdiff_t rows, ptrdiff_t columns, const float *x, const float *dy, const float *mean, const float *gain,
  const float *bias, int silu, float *scratch, double *sums, double *dots);

/// dx (+)= gain[c]·dh − offset[c] − (x − mean[c])·slope[c]
void kernels_normalize_gradient(
  ptrdiff_t rows, ptrdiff_t columns, const float *x, const float *dy, const float *mean, const float *gain,
  const float *bias, const float *offset, const float *slope, int silu, float *dx, int accumulate);

/// Normalises every row over its columns: x̂ = (x − mean)·rstd, y = x̂·weight + bias. Stores mean and rstd per row.
void kernels_layer_norm(
  ptrdiff_t rows, ptrdiff_t columns, float epsilon, const float *x, const float *weight, const float *bias, float *y,
  float *means, float *rstds);
/// dx (+)= …;  dweight[c] += Σ_r dy·x̂;  dbias[c] += Σ_r dy. `dx` may be NULL.
void kernels_layer_norm_gradient(
  ptrdiff_t rows, ptrdiff_t columns, const float *x, const float *dy, const float *weight, const float *means,
  const float *rstds, float *dx, int accumulate, float *dweight, float *dbias);

/// y = x·rstd·weight with rstd = 1/√(mean(x²) + epsilon) of the row.
void kernels_rms_norm(
  ptrdiff_t rows, ptrdiff_t columns, float epsilon, const float *x, const float *weight, float *y, float *rstds);
void kernels_rms_norm_gradient(
  ptrdiff_t rows, ptrdiff_t columns, const float *x, const float *dy, const float *weight, const float *rstds,
  float *dx, int accumulate, float *dweight);

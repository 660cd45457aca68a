#include "elementwise.h"

#include "vectorize.h"

#define ACCUMULATING(expression)                                              \
  if (accumulate)                                                             \
    for (ptrdiff_t i = 0; i < n; i++) OUTPUT[i] += (expression);              \
  else                                                                        \
    for (ptrdiff_t i = 0; i < n; i++) OUTPUT[i] = (expression);

VECTOR_CLONES void kernels_fill(ptrdiff_t n, float value, float *y) {
  for (ptrdiff_t i = 0; i < n; i++) y[i] = value;
}

VECTOR_CLONES void kernels_add(ptrdiff_t n, const float *restrict x, float *restrict y) {
  for (ptrdiff_t i = 0; i < n; i++) y[i] += x[i];
}

VECTOR_CLONES void kernels_sum(ptrdiff_t n, const float *a, const float *b, float *restrict y) {
  for (ptrdiff_t i = 0; i < n; i++) y[i] = a[i] + b[i];
}

VECTOR_CLONES void kernels_scale(ptrdiff_t n, float scale, const float *restrict x, float *restrict y, int accumulate) {
#define OUTPUT y
  ACCUMULATING(scale * x[i])
}

VECTOR_CLONES void kernels_multiply(
  ptrdiff_t n, const float *restrict a, const float *restrict b, float *restrict y, int accumulate) {
  ACCUMULATING(a[i] * b[i])
#undef OUTPUT
}

#define INVERSE_SQRT_2 0.70710678118654752f
#define INVERSE_SQRT_2PI 0.39894228040143267f

VECTOR_CLONES void kernels_gelu(ptrdiff_t n, const float *restrict x, float *restrict y) {
  for (ptrdiff_t i = 0; i < n; i++) y[i] = 0.5f * x[i] * (1.0f + vector_erf(x[i] * INVERSE_SQRT_2));
}

ALWAYS_INLINE float gelu_slope(float x) {
  float density = INVERSE_SQRT_2PI * vector_exp(-0.5f * x * x);
  return 0.5f * (1.0f + vector_erf(x * INVERSE_SQRT_2)) + x * density;
}

VECTOR_CLONES void kernels_gelu_gradient(
  ptrdiff_t n, const float *restrict x, const float *restrict dy, float *restrict dx, int accumulate) {
#define OUTPUT dx
  ACCUMULATING(dy[i] * gelu_slope(x[i]))
}

VECTOR_CLONES void kernels_silu(ptrdiff_t n, const float *restrict x, float *restrict y) {
  for (ptrdiff_t i = 0; i < n; i++) y[i] = x[i] * vector_sigmoid(x[i]);
}

ALWAYS_INLINE float silu_slope(float x) {
  float s = vector_sigmoid(x);
  return s * (1.0f + x * (1.0f - s));
}

VECTOR_CLONES void kernels_silu_gradient(
  ptrdiff_t n, const float *restrict x, const float *restrict dy, float *restrict dx, int accumulate) {
  ACCUMULATING(dy[i] * silu_slope(x[i]))
}

VECTOR_CLONES void kernels_leaky_relu(ptrdiff_t n, float slope, const float *restrict x, float *restrict y) {
  for (ptrdiff_t i = 0; i < n; i++) y[i] = x[i] > 0 ? x[i] : slope * x[i];
}

VECTOR_CLONES void kernels_leaky_relu_gradient(
  ptrdiff_t n, float slope, const float *restrict x, const float *restrict dy, float *restrict dx, int accumulate) {
  ACCUMULATING(x[i] > 0 ? dy[i] : slope * dy[i])
}

VECTOR_CLONES void kernels_add_rows(
  ptrdiff_t rows, ptrdiff_t columns, const float *restrict bias, float *restrict y) {
  for (ptrdiff_t r = 0; r < rows; r++)
    for (ptrdiff_t c = 0; c < columns; c++) y[r * columns + c] += bias[c];
}

// Four rows at a time: a quarter of the traffic on the sums.
VECTOR_CLONES void kernels_column_sums(
  ptrdiff_t rows, ptrdiff_t columns, const float *restrict x, float *restrict sums) {
  ptrdiff_t r = 0;
  for (; r + 4 <= rows; r += 4) {
    const float *a = x + r * columns, *b = a + columns, *d = b + columns, *e = d + columns;
    for (ptrdiff_t c = 0; c < columns; c++) sums[c] += (a[c] + b[c]) + (d[c] + e[c]);
  }
  for (; r < rows; r++)
    for (ptrdiff_t c = 0; c < columns; c++) sums[c] += x[r * columns + c];
}

VECTOR_CLONES void kernels_column_dots(
  ptrdiff_t rows, ptrdiff_t columns, const float *restrict a, const float *restrict b, float *restrict sums) {
  for (ptrdiff_t r = 0; r < rows; r++)
    for (ptrdiff_t c = 0; c < columns; c++) sums[c] += a[r * columns + c] * b[r * columns + c];
}

VECTOR_CLONES void kernels_scaled_residual(
  ptrdiff_t rows, ptrdiff_t columns, float scale, const float *restrict gamma, const float *restrict x,
  const float *restrict f, float *restrict y) {
  for (ptrdiff_t r = 0; r < rows; r++) {
    ptrdiff_t row = r * columns;
    for (ptrdiff_t c = 0; c < columns; c++) y[row + c] = x[row + c] + scale * gamma[c] * f[row + c];
  }
}

VECTOR_CLONES void kernels_scale_columns(
  ptrdiff_t rows, ptrdiff_t columns, float scale, const float *restrict gamma, const float *restrict x,
  float *restrict y, int accumulate) {
  for (ptrdiff_t r = 0; r < rows; r++) {
    const float *xr = x + r * columns;
    float *yr = y + r * columns;
    if (accumulate)
      for (ptrdiff_t c = 0; c < columns; c++) yr[c] += scale * gamma[c] * xr[c];
    else
      for (ptrdiff_t c = 0; c < columns; c++) yr[c] = scale * gamma[c] * xr[c];
  }
}

// Blocks are summed in float32 lanes, blocks in float64: exact enough for means over 10^8 values and fast.
#define BLOCKED_SUM(expression)                                               \
  double total = 0;                                                           \
  for (ptrdiff_t start = 0; start < n; start += 1024) {                       \
    ptrdiff_t end = start + 1024 < n ? start + 1024 : n;                      \
    float block = 0;                                                          \
    for (ptrdiff_t i = start; i < end; i++) block += (expression);            \
    total += block;                                                           \
  }                                                                           \
  return total;

VECTOR_CLONES double kernels_total(ptrdiff_t n, const float *x) {
#pragma clang fp reassociate(on)
  BLOCKED_SUM(x[i])
}

VECTOR_CLONES double kernels_absolute_difference(ptrdiff_t n, const float *a, const float *b) {
#pragma clang fp reassociate(on)
  BLOCKED_SUM(fabsf(a[i] - b[i]))
}

VECTOR_CLONES double kernels_dot(ptrdiff_t n, const float *a, const float *b) {
#pragma clang fp reassociate(on)
  BLOCKED_SUM(a[i] * b[i])
}

ALWAYS_INLINE float sign_of(float x) { return x > 0 ? 1.0f : x < 0 ? -1.0f : 0.0f; }

VECTOR_CLONES void kernels_absolute_difference_gradient(
  ptrdiff_t n, float scale, const float *restrict a, const float *restrict b, float *restrict dx, int accumulate) {
  ACCUMULATING(scale * sign_of(a[i] - b[i]))
}
#undef OUTPUT

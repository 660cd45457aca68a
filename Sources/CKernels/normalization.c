#include "normalization.h"

#include "vectorize.h"

/// Rows whose float32 sums are added up before they are carried into float64: short enough to keep every digit,
/// long enough for the carrying to cost nothing.
enum { rows_per_carry = 32 };

ALWAYS_INLINE void carry(ptrdiff_t columns, float *restrict scratch, double *restrict a, double *restrict b) {
  for (ptrdiff_t c = 0; c < columns; c++) a[c] += (double)scratch[c];
  for (ptrdiff_t c = 0; c < columns; c++) b[c] += (double)scratch[columns + c];
  for (ptrdiff_t c = 0; c < 2 * columns; c++) scratch[c] = 0;
}

ALWAYS_INLINE void start_sums(ptrdiff_t columns, float *restrict scratch, double *restrict a, double *restrict b) {
  for (ptrdiff_t c = 0; c < columns; c++) a[c] = b[c] = 0;
  for (ptrdiff_t c = 0; c < 2 * columns; c++) scratch[c] = 0;
}

// Four rows at a time: a quarter of the traffic on the sums.
VECTOR_CLONES void kernels_shifted_moments(
  ptrdiff_t rows, ptrdiff_t columns, const float *restrict x, const float *restrict pivot, float *restrict scratch,
  double *restrict sums, double *restrict squares) {
  float *restrict sum = scratch, *restrict square = scratch + columns;
  start_sums(columns, scratch, sums, squares);
  for (ptrdiff_t start = 0; start < rows; start += rows_per_carry) {
    ptrdiff_t end = start + rows_per_carry < rows ? start + rows_per_carry : rows, r = start;
    for (; r + 4 <= end; r += 4) {
      const float *x0 = x + r * columns, *x1 = x0 + columns, *x2 = x1 + columns, *x3 = x2 + columns;
      for (ptrdiff_t c = 0; c < columns; c++) {
        float a = x0[c] - pivot[c], b = x1[c] - pivot[c], d = x2[c] - pivot[c], e = x3[c] - pivot[c];
        sum[c] += (a + b) + (d + e);
        square[c] += (a * a + b * b) + (d * d + e * e);
      }
    }
    for (; r < end; r++)
      for (ptrdiff_t c = 0; c < columns; c++) {
        float a = x[r * columns + c] - pivot[c];
        sum[c] += a;
        square[c] += a * a;
      }
    carry(columns, scratch, sums, squares);
  }
}

void kernels_group_moments(
  ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t groups, const float *pivot, const double *sums, const double *squares,
  double *means, double *deviations) {
  ptrdiff_t width = columns / groups;
  double inverse_rows = 1.0 / (double)rows, inverse_width = 1.0 / (double)width;
  for (ptrdiff_t g = 0; g < groups; g++) {
    // Moments about the group's first pivot, then moved to the mean: the pivots of a group lie close together.
    double origin = pivot[g * width], total = 0, within = 0, between = 0;
    for (ptrdiff_t c = g * width; c < (g + 1) * width; c++) {
      double shift = sums[c] * inverse_rows;
      double mean = (double)pivot[c] - origin + shift;
      total += mean;
      between += mean * mean;
      within += squares[c] - sums[c] * shift;
    }
    double mean = total * inverse_width;
    means[g] = origin + mean;
    double spread = within + (double)rows * (between - total * mean);
    deviations[g] = spread > 0 ? spread : 0;
  }
}

ALWAYS_INLINE float silu_of(float h) { return h * vector_sigmoid(h); }

ALWAYS_INLINE float silu_slope(float h) {
  float s = vector_sigmoid(h);
  return s * (1.0f + h * (1.0f - s));
}

VECTOR_CLONES void kernels_normalize(
  ptrdiff_t rows, ptrdiff_t columns, const float *restrict x, const float *restrict mean, const float *restrict gain,
  const float *restrict bias, int silu, float *restrict y) {
  for (ptrdiff_t r = 0; r < rows; r++, x += columns, y += columns) {
    if (silu)
      for (ptrdiff_t c = 0; c < columns; c++) y[c] = silu_of((x[c] - mean[c]) * gain[c] + bias[c]);
    else
      for (ptrdiff_t c = 0; c < columns; c++) y[c] = (x[c] - mean[c]) * gain[c] + bias[c];
  }
}

ALWAYS_INLINE void gradient_sums(
  ptrdiff_t rows, ptrdiff_t columns, const float *restrict x, const float *restrict dy, const float *restrict mean,
  const float *restrict gain, const float *restrict bias, int silu, float *restrict sum, float *restrict dot) {
  ptrdiff_t r = 0;
  for (; r + 2 <= rows; r += 2) {
    const float *x0 = x + r * columns, *x1 = x0 + columns, *dy0 = dy + r * columns, *dy1 = dy0 + columns;
    for (ptrdiff_t c = 0; c < columns; c++) {
      float a = x0[c] - mean[c], b = x1[c] - mean[c], da = dy0[c], db = dy1[c];
      if (silu) {
        da *= silu_slope(a * gain[c] + bias[c]);
        db *= silu_slope(b * gain[c] + bias[c]);
      }
      sum[c] += da + db;
      dot[c] += da * a + db * b;
    }
  }
  for (; r < rows; r++)
    for (ptrdiff_t c = 0; c < columns; c++) {
      float a = x[r * columns + c] - mean[c], da = dy[r * columns + c];
      if (silu) da *= silu_slope(a * gain[c] + bias[c]);
      sum[c] += da;
      dot[c] += da * a;
    }
}

VECTOR_CLONES void kernels_normalize_gradient_sums(
  ptrdiff_t rows, ptrdiff_t columns, const float *restrict x, const float *restrict dy, const float *restrict mean,
  const float *restrict gain, const float *restrict bias, int silu, float *restrict scratch, double *restrict sums,
  double *restrict dots) {
  start_sums(columns, scratch, sums, dots);
  for (ptrdiff_t start = 0; start < rows; start += rows_per_carry) {
    ptrdiff_t count = rows - start < rows_per_carry ? rows - start : rows_per_carry, at = start * columns;
    // A constant flag gives each loop a branch-free body.
    if (silu)
      gradient_sums(count, columns, x + at, dy + at, mean, gain, bias, 1, scratch, scratch + columns);
    else
      gradient_sums(count, columns, x + at, dy + at, mean, gain, bias, 0, scratch, scratch + columns);
    carry(columns, scratch, sums, dots);
  }
}

ALWAYS_INLINE void normalize_gradient_rows(
  ptrdiff_t rows, ptrdiff_t columns, const float *restrict x, const float *restrict dy, const float *restrict mean,
  const float *restrict gain, const float *restrict bias, const float *restrict offset, const float *restrict slope,
  int silu, float *restrict dx, int accumulate) {
  for (ptrdiff_t r = 0; r < rows; r++, x += columns, dy += columns, dx += columns)
    for (ptrdiff_t c = 0; c < columns; c++) {
      float a = x[c] - mean[c], dh = dy[c];
      if (silu) dh *= silu_slope(a * gain[c] + bias[c]);
      float value = gain[c] * dh - offset[c] - a * slope[c];
      dx[c] = accumulate ? dx[c] + value : value;
    }
}

VECTOR_CLONES void kernels_normalize_gradient(
  ptrdiff_t rows, ptrdiff_t columns, const float *restrict x, const float *restrict dy, const float *restrict mean,
  const float *restrict gain, const float *restrict bias, const float *restrict offset, const float *restrict slope,
  int silu, float *restrict dx, int accumulate) {
  if (silu && accumulate)
    normalize_gradient_rows(rows, columns, x, dy, mean, gain, bias, offset, slope, 1, dx, 1);
  else if (silu)
    normalize_gradient_rows(rows, columns, x, dy, mean, gain, bias, offset, slope, 1, dx, 0);
  else if (accumulate)
    normalize_gradient_rows(rows, columns, x, dy, mean, gain, bias, offset, slope, 0, dx, 1);
  else
    normalize_gradient_rows(rows, columns, x, dy, mean, gain, bias, offset, slope, 0, dx, 0);
}

VECTOR_CLONES void kernels_layer_norm(
  ptrdiff_t rows, ptrdiff_t columns, float epsilon, const float *restrict x, const float *restrict weight,
  const float *restrict bias, float *restrict y, float *restrict means, float *restrict rstds) {
#pragma clang fp reassociate(on)
  for (ptrdiff_t r = 0; r < rows; r++, x += columns, y += columns) {
    double sum = 0, squares = 0;
    for (ptrdiff_t c = 0; c < columns; c++) sum += (double)x[c];
    float mean = (float)(sum / (double)columns);
    for (ptrdiff_t c = 0; c < columns; c++) squares += (double)((x[c] - mean) * (x[c] - mean));
    float rstd = (float)(1.0 / sqrt(squares / (double)columns + (double)epsilon));
    for (ptrdiff_t c = 0; c < columns; c++) y[c] = ((x[c] - mean) * rstd) * weight[c] + bias[c];
    means[r] = mean;
    rstds[r] = rstd;
  }
}

VECTOR_CLONES void kernels_layer_norm_gradient(
  ptrdiff_t rows, ptrdiff_t columns, const float *restrict x, const float *restrict dy, const float *restrict weight,
  const float *restrict means, const float *restrict rstds, float *restrict dx, int accumulate,
  float *restrict dweight, float *restrict dbias) {
#pragma clang fp reassociate(on)
  for (ptrdiff_t r = 0; r < rows; r++, x += columns, dy += columns) {
    float mean = means[r], rstd = rstds[r];
    double sum = 0, dot = 0;
    for (ptrdiff_t c = 0; c < columns; c++) {
      float normal = (x[c] - mean) * rstd, g = dy[c] * weight[c];
      sum += (double)g;
      dot += (double)(g * normal);
      dweight[c] += dy[c] * normal;
      dbias[c] += dy[c];
    }
    if (!dx) continue;
    float offset = (float)(sum / (double)columns), slope = (float)(dot / (double)columns);
    float *restrict out = dx + r * columns;
    if (accumulate)
      for (ptrdiff_t c = 0; c < columns; c++)
        out[c] += rstd * (dy[c] * weight[c] - offset - (x[c] - mean) * rstd * slope);
    else
      for (ptrdiff_t c = 0; c < columns; c++)
        out[c] = rstd * (dy[c] * weight[c] - offset - (x[c] - mean) * rstd * slope);
  }
}

VECTOR_CLONES void kernels_rms_norm(
  ptrdiff_t rows, ptrdiff_t columns, float epsilon, const float *restrict x, const float *restrict weight,
  float *restrict y, float *restrict rstds) {
#pragma clang fp reassociate(on)
  for (ptrdiff_t r = 0; r < rows; r++, x += columns, y += columns) {
    double squares = 0;
    for (ptrdiff_t c = 0; c < columns; c++) squares += (double)(x[c] * x[c]);
    float rstd = (float)(1.0 / sqrt(squares / (double)columns + (double)epsilon));
    for (ptrdiff_t c = 0; c < columns; c++) y[c] = (x[c] * rstd) * weight[c];
    rstds[r] = rstd;
  }
}

VECTOR_CLONES void kernels_rms_norm_gradient(
  ptrdiff_t rows, ptrdiff_t columns, const float *restrict x, const float *restrict dy, const float *restrict weight,
  const float *restrict rstds, float *restrict dx, int accumulate, float *restrict dweight) {
#pragma clang fp reassociate(on)
  for (ptrdiff_t r = 0; r < rows; r++, x += columns, dy += columns) {
    float rstd = rstds[r];
    double dot = 0;
    for (ptrdiff_t c = 0; c < columns; c++) {
      float normal = x[c] * rstd;
      dot += (double)(dy[c] * weight[c] * normal);
      dweight[c] += dy[c] * normal;
    }
    if (!dx) continue;
    float slope = (float)(dot / (double)columns);
    float *restrict out = dx + r * columns;
    if (accumulate)
      for (ptrdiff_t c = 0; c < columns; c++) out[c] += rstd * (dy[c] * weight[c] - x[c] * rstd * slope);
    else
      for (ptrdiff_t c = 0; c < columns; c++) out[c] = rstd * (dy[c] * weight[c] - x[c] * rstd * slope);
  }
}

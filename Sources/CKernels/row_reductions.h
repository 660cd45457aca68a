/// Private to CKernels: pieces that loops over rows of logits share.
#pragma once
#include <float.h>

#include "vectorize.h"

/// The largest of x[0..<n], −FLT_MAX for n = 0. Lanes side by side, because compilers do not reorder a float maximum.
ALWAYS_INLINE float row_maximum(ptrdiff_t n, const float *x) {
  enum { lanes = 32 };
  if (n < lanes) {
    float largest = -FLT_MAX;
    for (ptrdiff_t i = 0; i < n; i++) largest = x[i] > largest ? x[i] : largest;
    return largest;
  }
  float best[lanes];
  for (int k = 0; k < lanes; k++) best[k] = -FLT_MAX;
  ptrdiff_t i = 0;
  for (; i + lanes <= n; i += lanes)
    for (int k = 0; k < lanes; k++) best[k] = x[i + k] > best[k] ? x[i + k] : best[k];
  for (; i < n; i++) best[i % lanes] = x[i] > best[i % lanes] ? x[i] : best[i % lanes];
  for (int width = lanes / 2; width > 0; width /= 2)
    for (int k = 0; k < width; k++) best[k] = best[k + width] > best[k] ? best[k + width] : best[k];
  return best[0];
}

/// log(x) to about 1 ulp for positive normal x: mantissa in [√½, √2), degree-8 polynomial.
ALWAYS_INLINE float vector_log(float x) {
  int32_t bits;
  memcpy(&bits, &x, 4);
  int32_t exponent = (bits - 0x3f3504f3) >> 23;
  bits -= (int32_t)((uint32_t)exponent << 23);
  float mantissa;
  memcpy(&mantissa, &bits, 4);
  float f = mantissa - 1.0f, e = (float)exponent;
  float p = 7.0376836292e-2f;
  p = p * f - 1.1514610310e-1f;
  p = p * f + 1.1676998740e-1f;
  p = p * f - 1.2420140846e-1f;
  p = p * f + 1.4249322787e-1f;
  p = p * f - 1.6668057665e-1f;
  p = p * f + 2.0000714765e-1f;
  p = p * f - 2.4999993993e-1f;
  p = p * f + 3.3333331174e-1f;
  float z = f * f;
  float y = p * f * z + e * -2.12194440e-4f - 0.5f * z;
  return f + y + e * 0.693359375f;
}

/// log(1 + e) for e ≥ 0, also where 1 + e rounds to 1.
ALWAYS_INLINE float vector_log1p(float e) {
  float w = 1.0f + e;
  float lost = e - (w - 1.0f);
  return vector_log(w) + lost / w;
}

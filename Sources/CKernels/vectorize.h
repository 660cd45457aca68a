/// Private to CKernels: one portable binary whose vector loops are compiled for several CPU levels.
#pragma once
#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__)
#define VECTOR_CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define VECTOR_CLONES
#endif
#define ALWAYS_INLINE static inline __attribute__((always_inline))

#pragma clang fp contract(fast)

/// exp(x) to about 1 ulp over [-87.3, 88]; clamped outside. Branch-free, so loops over it vectorise.
/// Cody–Waite reduction to r in [-ln2/2, ln2/2], then a degree-6 polynomial.
ALWAYS_INLINE float vector_exp(float x) {
  x = x < -87.33654f ? -87.33654f : x;
  x = x > 88.0f ? 88.0f : x;
  float shifted = x * 1.44269504f + 12582912.0f;  // 1.5·2^23: the integer part lands in the low mantissa bits
  float n = shifted - 12582912.0f;
  float r = x - n * 0.693145752f;
  r -= n * 1.42860677e-6f;
  float p = 0.00138890f;
  p = p * r + 0.00833333f;
  p = p * r + 0.0416666f;
  p = p * r + 0.16666667f;
  p = p * r + 0.5f;
  p = p * r + 1.0f;
  p = p * r + 1.0f;
  int32_t bits;
  memcpy(&bits, &shifted, 4);
  bits = (int32_t)(((uint32_t)bits + 127u) << 23);
  float scale;
  memcpy(&scale, &bits, 4);
  return p * scale;
}

/// erf(x), absolute error below 2e-7: x·P(x²) on |x| < 1 and 1 − exp(−Q(|x|)) beyond, both least-squares
/// fits on Chebyshev nodes. Both sides are computed and selected, so loops over it vectorise.
ALWAYS_INLINE float vector_erf(float x) {
  float a = x < 0 ? -x : x;
  float z = a * a;
  float small = -9.673590284364764e-06f;
  small = small * z + 0.00011268253729213029f;
  small = small * z - 0.0008484396385028958f;
  small = small * z + 0.005221053492277861f;
  small = small * z - 0.026865437626838684f;
  small = small * z + 0.11283782869577408f;
  small = small * z - 0.37612637877464294f;
  small = small * z + 1.128379225730896f;
  small = small * a;
  float b = a > 4.0f ? 4.0f : a;
  float q = 6.582860834214443e-08f;
  q = q * b - 3.0952053293731296e-06f;
  q = q * b + 6.0068803577451035e-05f;
  q = q * b - 0.0006733376067131758f;
  q = q * b + 0.005021044984459877f;
  q = q * b - 0.026999497786164284f;
  q = q * b + 0.1109074205160141f;
  q = q * b + 0.6310888528823853f;
  q = q * b + 1.1306045055389404f;
  q = q * b - 0.0004005005757790059f;
  float large = 1.0f - vector_exp(-q);
  float e = a < 1.0f ? small : large;
  return x < 0 ? -e : e;
}

/// 1 / (1 + exp(−x)).
ALWAYS_INLINE float vector_sigmoid(float x) { return 1.0f / (1.0f + vector_exp(-x)); }

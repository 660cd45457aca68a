/// Private to CKernels: sixteen floats as one value, whatever the vector registers of the CPU level are.
#pragma once
#include "vectorize.h"

typedef float lanes __attribute__((vector_size(64)));
typedef float unaligned_lanes __attribute__((vector_size(64), aligned(4), may_alias));
enum { lane_count = 16 };

#define UNROLL _Pragma("clang loop unroll(full)")

ALWAYS_INLINE void load_lanes(const float *p, lanes *value) { *value = *(const unaligned_lanes *)p; }
ALWAYS_INLINE void store_lanes(float *p, const lanes *value) { *(unaligned_lanes *)p = *value; }

/// The first `count` floats at p, then zeros.
ALWAYS_INLINE void load_some_lanes(const float *p, ptrdiff_t count, lanes *value) {
  float some[lane_count] = {0};
  for (ptrdiff_t i = 0; i < count; i++) some[i] = p[i];
  load_lanes(some, value);
}

/// Transposes a 16 × 16 block in four rounds of interleaving row i with row i + 8.
ALWAYS_INLINE void transpose_lanes(lanes rows[lane_count]) {
  UNROLL for (int round = 0; round < 4; round++) {
    lanes mixed[lane_count];
    UNROLL for (int i = 0; i < 8; i++) {
      mixed[2 * i] = __builtin_shufflevector(
        rows[i], rows[i + 8], 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
      mixed[2 * i + 1] = __builtin_shufflevector(
        rows[i], rows[i + 8], 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    }
    UNROLL for (int i = 0; i < lane_count; i++) rows[i] = mixed[i];
  }
}

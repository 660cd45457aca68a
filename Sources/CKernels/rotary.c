#include "rotary.h"

#include "vectorize.h"

VECTOR_CLONES void kernels_rotate_pairs(
  ptrdiff_t heads, ptrdiff_t size, const float *restrict row, int transposed, const float *x, float *y) {
  float sign = transposed ? -1.0f : 1.0f;
  for (ptrdiff_t h = 0; h < heads; h++) {
    const float *in = x + h * size;
    float *out = y + h * size;
    for (ptrdiff_t i = 0; i + 1 < size; i += 2) {
      float c = row[i], s = sign * row[i + 1], even = in[i], odd = in[i + 1];
      out[i] = even * c - odd * s;
      out[i + 1] = odd * c + even * s;
    }
  }
}

#include "plane_product.h"

#include "lanes.h"

// A block of C stays in registers while a part of the depth is summed: six rows of one vector pair (AVX2: 12 of 16
// registers) or of four vectors (AVX-512: 24 of 32). BLAS would pack both operands first, which at these sizes costs as
// much as a quarter of the product, and clear C before adding to it.
//
// Where B streams from L3, its lines come one vector wide and a row apart, which processors do not foresee: the first
// rows of a strip ask for the next strip's lines (AVX2: 1.1 to 1.3 times the speed from L3, the same from L2).
enum { rows_per_block = 6, most_strips = 4 };

/// `rows` and `strips` are constants at every call, so the sums live in registers. `next`: rows of B that are needed
/// soon, or NULL.
ALWAYS_INLINE void block(
  const int rows, const int strips, const float *next, ptrdiff_t depth, const float *a, ptrdiff_t a_row,
  ptrdiff_t a_step, const float *b, ptrdiff_t b_row, float *c, ptrdiff_t c_row, int accumulate) {
  lanes sums[rows_per_block][most_strips];
  UNROLL for (int r = 0; r < rows; r++)
    UNROLL for (int s = 0; s < strips; s++) sums[r][s] = (lanes){0};
  for (ptrdiff_t k = 0; k < depth; k++) {
    lanes values[most_strips];
    UNROLL for (int s = 0; s < strips; s++) load_lanes(b + k * b_row + s * lane_count, &values[s]);
    if (next) {
      UNROLL for (int s = 0; s < strips; s++) __builtin_prefetch(next + k * b_row + s * lane_count, 0, 2);
    }
    UNROLL for (int r = 0; r < rows; r++) {
      const float factor = a[r * a_row + k * a_step];
      UNROLL for (int s = 0; s < strips; s++) sums[r][s] += values[s] * factor;
    }
  }
  UNROLL for (int r = 0; r < rows; r++)
    UNROLL for (int s = 0; s < strips; s++) {
      float *target = c + r * c_row + s * lane_count;
      if (accumulate) {
        lanes before;
        load_lanes(target, &before);
        sums[r][s] += before;
      }
      store_lanes(target, &sums[r][s]);
    }
}

ALWAYS_INLINE void column_strips(
  const int strips, const float *next, ptrdiff_t rows, ptrdiff_t depth, const float *a, ptrdiff_t a_row,
  ptrdiff_t a_step, const float *b, ptrdiff_t b_row, float *c, ptrdiff_t c_row, int accumulate) {
  ptrdiff_t r = 0;
  if (rows > rows_per_block) {
    block(rows_per_block, strips, next, depth, a, a_row, a_step, b, b_row, c, c_row, accumulate);
    r = rows_per_block;
  }
  for (; r + rows_per_block <= rows; r += rows_per_block)
    block(
      rows_per_block, strips, NULL, depth, a + r * a_row, a_row, a_step, b, b_row, c + r * c_row, c_row, accumulate);
  a += r * a_row;
  c += r * c_row;
  switch (rows - r) {
    case 5: block(5, strips, NULL, depth, a, a_row, a_step, b, b_row, c, c_row, accumulate); break;
    case 4: block(4, strips, NULL, depth, a, a_row, a_step, b, b_row, c, c_row, accumulate); break;
    case 3: block(3, strips, NULL, depth, a, a_row, a_step, b, b_row, c, c_row, accumulate); break;
    case 2: block(2, strips, NULL, depth, a, a_row, a_step, b, b_row, c, c_row, accumulate); break;
    case 1: block(1, strips, NULL, depth, a, a_row, a_step, b, b_row, c, c_row, accumulate); break;
    default: break;
  }
}

/// Goes over the depth in parts: a part of B stays in L1, and partial sums that start from zero lose less to rounding
/// than one long sum.
ALWAYS_INLINE void product(
  const int strips, ptrdiff_t rows, ptrdiff_t depth, ptrdiff_t columns, const float *a, ptrdiff_t a_row,
  ptrdiff_t a_step, const float *b, ptrdiff_t b_row, float *c, ptrdiff_t c_row, int accumulate) {
  enum { part = 128 };
  const ptrdiff_t width = strips * lane_count;
  for (ptrdiff_t k = 0; k < depth; k += part) {
    const ptrdiff_t count = depth - k < part ? depth - k : part;
    const float *a_part = a + k * a_step, *b_part = b + k * b_row;
    const int adds = accumulate || k > 0;
    ptrdiff_t column = 0;
    for (; column + width <= columns; column += width) {
      // After the last strip comes the next part of the depth, and after the last part, as a rule, the next panel.
      const float *next = column + 2 * width <= columns ? b_part + column + width : b_part + count * b_row;
      column_strips(strips, next, rows, count, a_part, a_row, a_step, b_part + column, b_row, c + column, c_row, adds);
    }
    for (; column < columns; column += lane_count)
      column_strips(1, NULL, rows, count, a_part, a_row, a_step, b_part + column, b_row, c + column, c_row, adds);
  }
}

#if defined(__x86_64__)
#define ON_LEVEL(name) __attribute__((target("arch=" name)))
#else
#define ON_LEVEL(name)
#endif

ON_LEVEL("x86-64-v4") static void product_v4(
  ptrdiff_t rows, ptrdiff_t depth, ptrdiff_t columns, const float *a, ptrdiff_t a_row, ptrdiff_t a_step,
  const float *b, ptrdiff_t b_row, float *c, ptrdiff_t c_row, int accumulate) {
  product(most_strips, rows, depth, columns, a, a_row, a_step, b, b_row, c, c_row, accumulate);
}

ON_LEVEL("x86-64-v3") static void product_v3(
  ptrdiff_t rows, ptrdiff_t depth, ptrdiff_t columns, const float *a, ptrdiff_t a_row, ptrdiff_t a_step,
  const float *b, ptrdiff_t b_row, float *c, ptrdiff_t c_row, int accumulate) {
  product(1, rows, depth, columns, a, a_row, a_step, b, b_row, c, c_row, accumulate);
}

void kernels_plane_product(
  ptrdiff_t rows, ptrdiff_t depth, ptrdiff_t columns, const float *a, ptrdiff_t a_row, ptrdiff_t a_step,
  const float *b, ptrdiff_t b_row, float *c, ptrdiff_t c_row, int accumulate) {
  // Not target_clones: the levels differ in how many registers there are to block for.
#if defined(__x86_64__)
  if (__builtin_cpu_supports("x86-64-v4"))
    return product_v4(rows, depth, columns, a, a_row, a_step, b, b_row, c, c_row, accumulate);
  if (__builtin_cpu_supports("x86-64-v3"))
    return product_v3(rows, depth, columns, a, a_row, a_step, b, b_row, c, c_row, accumulate);
#endif
  product(1, rows, depth, columns, a, a_row, a_step, b, b_row, c, c_row, accumulate);
}

ptrdiff_t kernels_plane_product_strip(void) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("x86-64-v4")) return most_strips * lane_count;
#endif
  return lane_count;
}

#include "plane_product.h"

#include "lanes.h"

// A block of C stays in registers while a part of the depth is summed: six rows of one vector pair (AVX2: 12 of 16
// registers) or of four vectors (AVX-512: 24 of 32). BLAS would pack both operands first, which at these sizes costs as
// much as a quarter of the product, and clear C before adding to it.
//
// The steps through the depth are unrolled: where another hardware thread shares the core, instructions are what is
// scarce, and 16 rows by a matrix of 400 MB run at 1.16 times the speed of a loop with one step. Where B streams from
// memory, all blocks of rows ask for a little of what comes next: 1.1 to 1.2 times the speed that they have if the
// first asks for all.
enum { rows_per_block = 6, most_strips = 4 };

/// Where A is turned, eight are a sixth slower than four.
ALWAYS_INLINE int steps_per_group(const int is_turned) { return is_turned ? 4 : 8; }

/// What a block asks the memory for while it computes: at every group of steps `lines` cache lines, which are none,
/// half as many as the group reads of B, or all of them.
struct ahead {
  const char *start;
  ptrdiff_t line, group;  // bytes from one line, and from one group's first line, to the next
  int lines;
};

ALWAYS_INLINE void ask(const int count, const char *start, ptrdiff_t line) {
  UNROLL for (int i = 0; i < count; i++) __builtin_prefetch(start + i * line, 0, 2);
}

/// `rows`, `strips` and `is_turned` are constants at every call, so the sums live in registers. If `is_turned`, a_row
/// is 1, else a_step is.
ALWAYS_INLINE void block(
  const int rows, const int strips, const int is_turned, struct ahead ahead, ptrdiff_t depth, const float *a,
  ptrdiff_t a_row, ptrdiff_t a_step, const float *b, ptrdiff_t b_row, float *c, ptrdiff_t c_row, int accumulate) {
  const float *row[rows_per_block];
  UNROLL for (int r = 0; r < rows; r++) {
    row[r] = a + r * a_row;
    // Hides how the rows' addresses depend on each other, or they are added up one after the other at every step.
    if (!is_turned) __asm__("" : "+r"(row[r]));
  }
  lanes sums[rows_per_block][most_strips];
  UNROLL for (int r = 0; r < rows; r++)
    UNROLL for (int s = 0; s < strips; s++) sums[r][s] = (lanes){0};
#define STEP(k)                                                                                       \
  do {                                                                                                \
    lanes values[most_strips];                                                                        \
    UNROLL for (int s = 0; s < strips; s++) load_lanes(b + (k) * b_row + s * lane_count, &values[s]); \
    UNROLL for (int r = 0; r < rows; r++) {                                                           \
      const float factor = is_turned ? a[(k) * a_step + r] : row[r][k];                               \
      UNROLL for (int s = 0; s < strips; s++) sums[r][s] += values[s] * factor;                       \
    }                                                                                                 \
  } while (0)
  const int steps = steps_per_group(is_turned), half = steps * strips / 2;
  ptrdiff_t k = 0;
  for (; k + steps <= depth; k += steps) {
    if (ahead.lines > 0) ask(half, ahead.start, ahead.line);
    if (ahead.lines > half) ask(half, ahead.start + half * ahead.line, ahead.line);
    ahead.start += ahead.group;
    UNROLL for (int i = 0; i < steps; i++) STEP(k + i);
  }
  for (; k < depth; k++) STEP(k);
#undef STEP
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

/// `next`: rows of B that are needed after these, or NULL.
ALWAYS_INLINE void column_strips(
  const int strips, const int is_turned, const float *next, ptrdiff_t rows, ptrdiff_t depth, const float *a,
  ptrdiff_t a_row, ptrdiff_t a_step, const float *b, ptrdiff_t b_row, float *c, ptrdiff_t c_row, int accumulate) {
  const int line_bytes = lane_count * sizeof *b, steps = steps_per_group(is_turned), all_lines = steps * strips;
  const int is_dense = b_row == strips * lane_count;
  ptrdiff_t blocks = (rows + rows_per_block - 1) / rows_per_block;
  struct ahead ahead = {.start = (const char *)next};
  if (next && is_dense && blocks > 0) {
    // Rows of B that lie one behind the other are one piece of memory, of which each block asks for its share.
    ahead.line = line_bytes;
    ahead.group = all_lines * line_bytes / blocks;
    ahead.lines = blocks == 1 ? all_lines : all_lines / 2;
  } else if (next && strips == 1) {
    // Of others, the first block asks for all.
    ahead.line = b_row * (ptrdiff_t)sizeof *b;
    ahead.group = all_lines * ahead.line;
    ahead.lines = all_lines;
  }
  while (blocks > 0) {
    // Of nearly equal heights: one low block would have too few sums to keep the processor busy.
    const ptrdiff_t count = (rows + blocks - 1) / blocks;
    switch (count) {
      case 1: block(1, strips, is_turned, ahead, depth, a, a_row, a_step, b, b_row, c, c_row, accumulate); break;
      case 2: block(2, strips, is_turned, ahead, depth, a, a_row, a_step, b, b_row, c, c_row, accumulate); break;
      case 3: block(3, strips, is_turned, ahead, depth, a, a_row, a_step, b, b_row, c, c_row, accumulate); break;
      case 4: block(4, strips, is_turned, ahead, depth, a, a_row, a_step, b, b_row, c, c_row, accumulate); break;
      case 5: block(5, strips, is_turned, ahead, depth, a, a_row, a_step, b, b_row, c, c_row, accumulate); break;
      default: block(6, strips, is_turned, ahead, depth, a, a_row, a_step, b, b_row, c, c_row, accumulate); break;
    }
    ahead.start += depth / steps * ahead.group;
    if (!is_dense) ahead.lines = 0;
    a += count * a_row;
    c += count * c_row;
    rows -= count;
    blocks--;
  }
}

/// Goes over the depth in parts: a part of B stays in L1, and partial sums that start from zero lose less to rounding
/// than one long sum.
ALWAYS_INLINE void product(
  const int strips, const int is_turned, ptrdiff_t rows, ptrdiff_t depth, ptrdiff_t columns, const float *a,
  ptrdiff_t a_row, ptrdiff_t a_step, const float *b, ptrdiff_t b_row, float *c, ptrdiff_t c_row, int accumulate) {
  const ptrdiff_t width = strips * lane_count;
  // Rows of 64 bytes that lie apart share a few sets of L1.
  const ptrdiff_t part = strips == 1 && b_row == width ? 384 : 128;
  for (ptrdiff_t k = 0; k < depth; k += part) {
    const ptrdiff_t count = depth - k < part ? depth - k : part;
    const float *a_part = a + k * a_step, *b_part = b + k * b_row;
    const int adds = accumulate || k > 0;
    ptrdiff_t column = 0;
    for (; column + width <= columns; column += width) {
      // After the last strip comes the next part of the depth, and after the last part, as a rule, the next panel.
      const float *next = column + 2 * width <= columns ? b_part + column + width : b_part + count * b_row;
      column_strips(
        strips, is_turned, next, rows, count, a_part, a_row, a_step, b_part + column, b_row, c + column, c_row, adds);
    }
    if (strips == 1) continue;
    for (; column < columns; column += lane_count)
      column_strips(
        1, is_turned, NULL, rows, count, a_part, a_row, a_step, b_part + column, b_row, c + column, c_row, adds);
  }
}

ALWAYS_INLINE void either_product(
  const int strips, ptrdiff_t rows, ptrdiff_t depth, ptrdiff_t columns, const float *a, ptrdiff_t a_row,
  ptrdiff_t a_step, const float *b, ptrdiff_t b_row, float *c, ptrdiff_t c_row, int accumulate) {
  if (a_step == 1)
    product(strips, 0, rows, depth, columns, a, a_row, 1, b, b_row, c, c_row, accumulate);
  else
    product(strips, 1, rows, depth, columns, a, 1, a_step, b, b_row, c, c_row, accumulate);
}

#if defined(__x86_64__)
#define ON_LEVEL(name) __attribute__((target("arch=" name)))
#else
#define ON_LEVEL(name)
#endif

ON_LEVEL("x86-64-v4") static void product_v4(
  ptrdiff_t rows, ptrdiff_t depth, ptrdiff_t columns, const float *a, ptrdiff_t a_row, ptrdiff_t a_step,
  const float *b, ptrdiff_t b_row, float *c, ptrdiff_t c_row, int accumulate) {
  either_product(most_strips, rows, depth, columns, a, a_row, a_step, b, b_row, c, c_row, accumulate);
}

ON_LEVEL("x86-64-v3") static void product_v3(
  ptrdiff_t rows, ptrdiff_t depth, ptrdiff_t columns, const float *a, ptrdiff_t a_row, ptrdiff_t a_step,
  const float *b, ptrdiff_t b_row, float *c, ptrdiff_t c_row, int accumulate) {
  either_product(1, rows, depth, columns, a, a_row, a_step, b, b_row, c, c_row, accumulate);
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
  either_product(1, rows, depth, columns, a, a_row, a_step, b, b_row, c, c_row, accumulate);
}

ptrdiff_t kernels_plane_product_strip(void) {
#if defined(__x86_64__)
  if (__builtin_cpu_supports("x86-64-v4")) return most_strips * lane_count;
#endif
  return lane_count;
}

#pragma once
#include <stddef.h>

/// C (+)= A·B on the calling thread: `rows` rows of A, `depth` summed values, `columns` columns of B and C, a multiple of
/// 16. For the many small products of Winograd's planes, and for strips of larger ones.
///
/// Every value is summed in an order that depends on `depth` and `b_row` alone, so a row's result has the same bits
/// whatever other rows there are.
///
/// A's value (r, k) lies at a[r·a_row + k·a_step]; one of the two is 1, so A may be the transpose of what is stored. Rows
/// of B and C lie b_row and c_row floats apart. Nothing is packed or copied: B is expected in a cache, its columns side by
/// side. C is replaced unless `accumulate` ≠ 0.
void kernels_plane_product(
  ptrdiff_t rows, ptrdiff_t depth, ptrdiff_t columns, const float *a, ptrdiff_t a_row, ptrdiff_t a_step,
  const float *b, ptrdiff_t b_row, float *c, ptrdiff_t c_row, int accumulate);

/// The columns of a strip that this CPU multiplies fastest when a strip's rows lie one behind the other: 16 or 64.
ptrdiff_t kernels_plane_product_strip(void);

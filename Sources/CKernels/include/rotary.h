#pragma once
#include <stddef.h>

/// Turns the adjacent pairs of `heads` heads of `size` floats: (e, o) -> (e·c − o·s, o·c + e·s), the same angles for
/// every head. `row` holds size/2 pairs (c, s). `transposed` ≠ 0 turns the other way: the gradient. x may be y.
void kernels_rotate_pairs(
  ptrdiff_t heads, ptrdiff_t size, const float *row, int transposed, const float *x, float *y);

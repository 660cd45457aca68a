#pragma once
#include <stddef.h>

// Winograd's minimal filtering F(tile×tile, 3×3), tile = 4 or 2, for 3×3 convolutions with stride 1 and padding 1
// (Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016). An output tile Y of tile × tile pixels
// comes from the (tile + 2)² input pixels d around it and the filter g, channel by channel, as
//   Y = Aᵀ·[(G·g·Gᵀ) ⊙ (Bᵀ·d·B)]·A,
// so that the sum over input channels becomes (tile + 2)² matrix products, one per transformed pixel. Values of one
// transformed pixel form a *plane*; planes lie `plane` floats apart.
//
// Tiles are numbered over batch, rows of tiles and columns of tiles. Inside planes channels stand in groups of 64:
// channel c of row r lies at (c / 64)·group + r·row + c % 64. The channels of a plane are filled up to a multiple of 16
// with zeros.

enum { kernels_winograd_group = 64, kernels_winograd_lanes = 16 };

/// Extents of images [batch, height, width, channels].
typedef struct {
  ptrdiff_t height, width, channels;
} kernels_image;

/// Where planes lie in memory.
typedef struct {
  ptrdiff_t plane, group, row;
} kernels_planes;

/// Planes of Bᵀ·d·B for the tiles first..<first+count. `zeros`: at least `channels` zeros, read outside the image.
void kernels_winograd_input(
  int tile, kernels_image image, ptrdiff_t first, ptrdiff_t count, const float *x, const float *zeros, float *v,
  kernels_planes planes);

/// Planes of A·dY·Aᵀ, the adjoint of the output's transform, for the tiles first..<first+count.
void kernels_winograd_output_gradient(
  int tile, kernels_image image, ptrdiff_t first, ptrdiff_t count, const float *dy, const float *zeros, float *v,
  kernels_planes planes);

/// The pixels Aᵀ·M·A + bias of the tiles first..<first+count, for `columns` ≤ 64 channels from `channel` on. Planes
/// have one row per tile and one group. `bias` may be NULL. `mode`: 0 replaces, 1 adds to the output, 2 replaces past
/// the caches, for outputs larger than those.
void kernels_winograd_output(
  int tile, kernels_image image, ptrdiff_t first, ptrdiff_t count, ptrdiff_t channel, ptrdiff_t columns,
  const float *m, kernels_planes planes, const float *bias, float *y, int mode);

/// Planes of G·g·Gᵀ for weights [3, 3, inputs, outputs]: rows are the inputs rows..<rows+row_count, columns the outputs
/// channel..<channel+columns (≤ 64), each row `planes.row` floats. With `transposed` ≠ 0, of the mirrored filters with
/// inputs and outputs exchanged, as the gradient with respect to the input wants them: rows are outputs, columns
/// inputs. Rows and columns beyond the weights are zero.
void kernels_winograd_weights(
  int tile, ptrdiff_t inputs, ptrdiff_t outputs, ptrdiff_t rows, ptrdiff_t row_count, ptrdiff_t channel,
  ptrdiff_t columns, const float *weight, int transposed, float *u, kernels_planes planes);

/// dW[a, b, i, o] (+)= Gᵀ·dU·G for the inputs rows..<rows+row_count and outputs channel..<channel+columns (≤ 64).
void kernels_winograd_weight_gradient(
  int tile, ptrdiff_t inputs, ptrdiff_t outputs, ptrdiff_t rows, ptrdiff_t row_count, ptrdiff_t channel,
  ptrdiff_t columns, const float *du, kernels_planes planes, float *dw, int accumulate);

#include "winograd.h"

#include "lanes.h"

// One-dimensional maps. Each two-dimensional transform applies one to the columns and then to the rows.
enum map { input_map, output_map, output_adjoint, weight_map, weight_adjoint };

/// o = L·x for the map L of F(4, 3).
ALWAYS_INLINE void apply_4(const enum map map, const lanes *x, lanes *o) {
  if (map == input_map) {  // Bᵀ: 6 → 6
    const lanes a = x[4] - 4.0f * x[2], b = x[3] - 4.0f * x[1], c = x[4] - x[2], d = 2.0f * (x[3] - x[1]);
    o[0] = 4.0f * x[0] + (x[4] - 5.0f * x[2]);
    o[1] = a + b;
    o[2] = a - b;
    o[3] = c + d;
    o[4] = c - d;
    o[5] = 4.0f * x[1] + (x[5] - 5.0f * x[3]);
  } else if (map == output_map) {  // Aᵀ: 6 → 4
    const lanes s = x[1] + x[2], d = x[1] - x[2], s2 = x[3] + x[4], d2 = x[3] - x[4];
    o[0] = x[0] + s + s2;
    o[1] = d + 2.0f * d2;
    o[2] = s + 4.0f * s2;
    o[3] = d + 8.0f * d2 + x[5];
  } else if (map == output_adjoint) {  // A: 4 → 6
    const lanes e = x[0] + x[2], f = x[1] + x[3], g = x[0] + 4.0f * x[2], h = 2.0f * (x[1] + 4.0f * x[3]);
    o[0] = x[0];
    o[1] = e + f;
    o[2] = e - f;
    o[3] = g + h;
    o[4] = g - h;
    o[5] = x[3];
  } else if (map == weight_map) {  // G: 3 → 6
    const lanes a = (x[0] + x[2]) * (-1.0f / 6), b = x[1] * (1.0f / 6);
    const lanes c = x[0] * (1.0f / 24) + x[2] * (1.0f / 6), d = x[1] * (1.0f / 12);
    o[0] = 0.25f * x[0];
    o[1] = a - b;
    o[2] = a + b;
    o[3] = c + d;
    o[4] = c - d;
    o[5] = x[2];
  } else {  // Gᵀ: 6 → 3
    const lanes s = x[1] + x[2], d = x[2] - x[1], s2 = x[3] + x[4], d2 = x[3] - x[4];
    o[0] = 0.25f * x[0] - s * (1.0f / 6) + s2 * (1.0f / 24);
    o[1] = d * (1.0f / 6) + d2 * (1.0f / 12);
    o[2] = (s2 - s) * (1.0f / 6) + x[5];
  }
}

/// o = L·x for the map L of F(2, 3).
ALWAYS_INLINE void apply_2(const enum map map, const lanes *x, lanes *o) {
  if (map == input_map) {  // 4 → 4
    o[0] = x[0] - x[2];
    o[1] = x[1] + x[2];
    o[2] = x[2] - x[1];
    o[3] = x[1] - x[3];
  } else if (map == output_map) {  // 4 → 2
    o[0] = x[0] + x[1] + x[2];
    o[1] = x[1] - x[2] - x[3];
  } else if (map == output_adjoint) {  // 2 → 4
    o[0] = x[0];
    o[1] = x[0] + x[1];
    o[2] = x[0] - x[1];
    o[3] = -x[1];
  } else if (map == weight_map) {  // 3 → 4
    const lanes s = 0.5f * (x[0] + x[2]), h = 0.5f * x[1];
    o[0] = x[0];
    o[1] = s + h;
    o[2] = s - h;
    o[3] = x[2];
  } else {  // 4 → 3
    const lanes s = 0.5f * (x[1] + x[2]);
    o[0] = x[0] + s;
    o[1] = 0.5f * (x[1] - x[2]);
    o[2] = s + x[3];
  }
}

ALWAYS_INLINE int map_inputs(const int tile, const enum map map) {
  return map == weight_map ? 3 : map == output_adjoint ? tile : tile + 2;
}
ALWAYS_INLINE int map_outputs(const int tile, const enum map map) {
  return map == weight_adjoint ? 3 : map == output_map ? tile : tile + 2;
}

enum write { replace, add, bypass };

/// The places that a two-dimensional transform reads and writes: a square of each, row by row.
struct places {
  const float *source[36];
  float *target[36];
  int rows, columns;  // of the targets that exist, where an output tile reaches over the image's edge
};

ALWAYS_INLINE void apply(const int tile, const enum map map, const lanes *x, lanes *o) {
  if (tile == 4)
    apply_4(map, x, o);
  else
    apply_2(map, x, o);
}

/// target[to + 0..<16] = L·source[from + 0..<16]·Lᵀ (+ bias). At the last channels `whole` is 0: then images and weights
/// hold only `count` channels there, planes always sixteen.
ALWAYS_INLINE void transform(
  const int tile, const enum map map, const enum write write, const int whole, const struct places *places,
  ptrdiff_t from, ptrdiff_t to, ptrdiff_t count, const float *bias) {
  const int inputs = map_inputs(tile, map), outputs = map_outputs(tile, map);
  const int reads_planes = map == output_map || map == weight_adjoint;
  lanes half[6][6];
  UNROLL for (int j = 0; j < inputs; j++) {
    lanes column[6], mapped[6];
    UNROLL for (int i = 0; i < inputs; i++) {
      const float *source = places->source[i * inputs + j] + from;
      if (whole || reads_planes)
        load_lanes(source, &column[i]);
      else
        load_some_lanes(source, count, &column[i]);
    }
    apply(tile, map, column, mapped);
    UNROLL for (int i = 0; i < outputs; i++) half[i][j] = mapped[i];
  }
  lanes shift = {0};
  if (bias && whole) load_lanes(bias, &shift);
  if (bias && !whole) load_some_lanes(bias, count, &shift);
  UNROLL for (int i = 0; i < outputs; i++) {
    lanes mapped[6];
    apply(tile, map, half[i], mapped);
    UNROLL for (int j = 0; j < outputs; j++) {
      if (map == output_map && (i >= places->rows || j >= places->columns)) continue;
      float *target = places->target[i * outputs + j] + to;
      const lanes value = map == output_map ? mapped[j] + shift : mapped[j];
      if (!whole && reads_planes) {
        for (ptrdiff_t c = 0; c < count; c++) target[c] = write == add ? target[c] + value[c] : value[c];
      } else if (write == bypass) {
        __builtin_nontemporal_store(value, (lanes *)target);
      } else if (write == add) {
        lanes sum;
        load_lanes(target, &sum);
        sum += value;
        store_lanes(target, &sum);
      } else {
        store_lanes(target, &value);
      }
    }
  }
}

/// The tile's number of image, and its first pixel.
struct origin {
  ptrdiff_t image, row, column;
};

ALWAYS_INLINE struct origin origin_of(const int tile, kernels_image image, ptrdiff_t index) {
  const ptrdiff_t across = (image.width + tile - 1) / tile, per_image = across * ((image.height + tile - 1) / tile);
  const ptrdiff_t within = index % per_image;
  return (struct origin){index / per_image, within / across * tile, within % across * tile};
}

ALWAYS_INLINE void fill_planes(float *base, ptrdiff_t plane, int count, float **places) {
  for (int p = 0; p < count; p++) places[p] = base + p * plane;
}

// Image to planes.

ALWAYS_INLINE void image_to_planes(
  const int tile, const enum map map, kernels_image image, ptrdiff_t first, ptrdiff_t count, const float *x,
  const float *zeros, float *v, kernels_planes planes) {
  const int side = map_inputs(tile, map), border = map == input_map ? 1 : 0;
  struct places places;
  for (ptrdiff_t t = 0; t < count; t++) {
    const struct origin origin = origin_of(tile, image, first + t);
    for (int i = 0; i < side; i++)
      for (int j = 0; j < side; j++) {
        const ptrdiff_t row = origin.row + i - border, column = origin.column + j - border;
        const int inside = row >= 0 && row < image.height && column >= 0 && column < image.width;
        places.source[i * side + j] =
          inside ? x + ((origin.image * image.height + row) * image.width + column) * image.channels : zeros;
      }
    fill_planes(v + t * planes.row, planes.plane, (tile + 2) * (tile + 2), places.target);
    ptrdiff_t c = 0;
    for (; c + lane_count <= image.channels; c += lane_count)
      transform(
        tile, map, replace, 1, &places, c, c / kernels_winograd_group * planes.group + c % kernels_winograd_group,
        lane_count, NULL);
    if (c < image.channels)
      transform(
        tile, map, replace, 0, &places, c, c / kernels_winograd_group * planes.group + c % kernels_winograd_group,
        image.channels - c, NULL);
  }
}

VECTOR_CLONES void kernels_winograd_input(
  int tile, kernels_image image, ptrdiff_t first, ptrdiff_t count, const float *x, const float *zeros, float *v,
  kernels_planes planes) {
  if (tile == 4)
    image_to_planes(4, input_map, image, first, count, x, zeros, v, planes);
  else
    image_to_planes(2, input_map, image, first, count, x, zeros, v, planes);
}

VECTOR_CLONES void kernels_winograd_output_gradient(
  int tile, kernels_image image, ptrdiff_t first, ptrdiff_t count, const float *dy, const float *zeros, float *v,
  kernels_planes planes) {
  if (tile == 4)
    image_to_planes(4, output_adjoint, image, first, count, dy, zeros, v, planes);
  else
    image_to_planes(2, output_adjoint, image, first, count, dy, zeros, v, planes);
}

// Planes to image.

ALWAYS_INLINE void planes_to_image(
  const int tile, const enum write write, kernels_image image, ptrdiff_t first, ptrdiff_t count, ptrdiff_t channel,
  ptrdiff_t columns, const float *m, kernels_planes planes, const float *bias, float *y) {
  struct places places;
  for (ptrdiff_t t = 0; t < count; t++) {
    const struct origin origin = origin_of(tile, image, first + t);
    places.rows = image.height - origin.row < tile ? (int)(image.height - origin.row) : tile;
    places.columns = image.width - origin.column < tile ? (int)(image.width - origin.column) : tile;
    fill_planes((float *)m + t * planes.row, planes.plane, (tile + 2) * (tile + 2), (float **)places.source);
    float *corner =
      y + ((origin.image * image.height + origin.row) * image.width + origin.column) * image.channels + channel;
    for (int i = 0; i < tile; i++)
      for (int j = 0; j < tile; j++) places.target[i * tile + j] = corner + (i * image.width + j) * image.channels;
    ptrdiff_t c = 0;
    for (; c + lane_count <= columns; c += lane_count)
      transform(tile, output_map, write, 1, &places, c, c, lane_count, bias ? bias + channel + c : NULL);
    if (c < columns)
      transform(tile, output_map, write, 0, &places, c, c, columns - c, bias ? bias + channel + c : NULL);
  }
}

VECTOR_CLONES void kernels_winograd_output(
  int tile, kernels_image image, ptrdiff_t first, ptrdiff_t count, ptrdiff_t channel, ptrdiff_t columns,
  const float *m, kernels_planes planes, const float *bias, float *y, int mode) {
  // Stores past the caches must be aligned: to sixteen floats at every pixel.
  if (mode == 2 && ((uintptr_t)y % sizeof(lanes) != 0 || image.channels % lane_count != 0)) mode = 0;
  if (tile == 4 && mode == 0)
    planes_to_image(4, replace, image, first, count, channel, columns, m, planes, bias, y);
  else if (tile == 4 && mode == 1)
    planes_to_image(4, add, image, first, count, channel, columns, m, planes, bias, y);
  else if (tile == 4)
    planes_to_image(4, bypass, image, first, count, channel, columns, m, planes, bias, y);
  else if (mode == 0)
    planes_to_image(2, replace, image, first, count, channel, columns, m, planes, bias, y);
  else if (mode == 1)
    planes_to_image(2, add, image, first, count, channel, columns, m, planes, bias, y);
  else
    planes_to_image(2, bypass, image, first, count, channel, columns, m, planes, bias, y);
}

// Weights.

/// Sixteen channels of one row of U from nine taps.
ALWAYS_INLINE void weights_to_planes(
  const int tile, ptrdiff_t inputs, ptrdiff_t outputs, ptrdiff_t rows, ptrdiff_t row_count, ptrdiff_t channel,
  ptrdiff_t columns, const float *weight, float *u, kernels_planes planes) {
  struct places places;
  for (ptrdiff_t r = 0; r < row_count; r++) {
    fill_planes(u + r * planes.row, planes.plane, (tile + 2) * (tile + 2), places.target);
    for (int tap = 0; tap < 9; tap++)
      places.source[tap] = weight + (tap * inputs + rows + r) * outputs + channel;
    for (ptrdiff_t c = 0; c < columns; c += lane_count) {
      const ptrdiff_t left = rows + r < inputs ? outputs - channel - c : 0;
      if (left >= lane_count)
        transform(tile, weight_map, replace, 1, &places, c, c, lane_count, NULL);
      else
        transform(tile, weight_map, replace, 0, &places, c, c, left > 0 ? left : 0, NULL);
    }
  }
}

/// The same for mirrored filters with inputs and outputs exchanged, 16 × 16 weights of each tap at a time.
ALWAYS_INLINE void transposed_weights_to_planes(
  const int tile, ptrdiff_t inputs, ptrdiff_t outputs, ptrdiff_t rows, ptrdiff_t row_count, ptrdiff_t channel,
  ptrdiff_t columns, const float *weight, float *u, kernels_planes planes) {
  struct places places;
  lanes taps[9][lane_count];
  for (ptrdiff_t c = 0; c < columns; c += lane_count)
    for (ptrdiff_t r = 0; r < row_count; r += lane_count) {
      const ptrdiff_t here = outputs - rows - r, height = row_count - r < lane_count ? row_count - r : lane_count;
      for (int tap = 0; tap < 9; tap++) {
        lanes block[lane_count];
        for (int i = 0; i < lane_count; i++) {
          const ptrdiff_t input = channel + c + i;
          const float *source = weight + ((8 - tap) * inputs + input) * outputs + rows + r;
          if (input < inputs && here >= lane_count)
            load_lanes(source, &block[i]);
          else
            load_some_lanes(source, input < inputs && here > 0 ? here : 0, &block[i]);
        }
        transpose_lanes(block);
        for (int i = 0; i < lane_count; i++) taps[tap][i] = block[i];
      }
      for (ptrdiff_t i = 0; i < height; i++) {
        for (int tap = 0; tap < 9; tap++) places.source[tap] = (const float *)&taps[tap][i];
        fill_planes(u + (r + i) * planes.row, planes.plane, (tile + 2) * (tile + 2), places.target);
        transform(tile, weight_map, replace, 1, &places, 0, c, lane_count, NULL);
      }
    }
}

VECTOR_CLONES void kernels_winograd_weights(
  int tile, ptrdiff_t inputs, ptrdiff_t outputs, ptrdiff_t rows, ptrdiff_t row_count, ptrdiff_t channel,
  ptrdiff_t columns, const float *weight, int transposed, float *u, kernels_planes planes) {
  if (tile == 4 && !transposed)
    weights_to_planes(4, inputs, outputs, rows, row_count, channel, columns, weight, u, planes);
  else if (tile == 4)
    transposed_weights_to_planes(4, inputs, outputs, rows, row_count, channel, columns, weight, u, planes);
  else if (!transposed)
    weights_to_planes(2, inputs, outputs, rows, row_count, channel, columns, weight, u, planes);
  else
    transposed_weights_to_planes(2, inputs, outputs, rows, row_count, channel, columns, weight, u, planes);
}

ALWAYS_INLINE void planes_to_weights(
  const int tile, const enum write write, ptrdiff_t inputs, ptrdiff_t outputs, ptrdiff_t rows, ptrdiff_t row_count,
  ptrdiff_t channel, ptrdiff_t columns, const float *du, kernels_planes planes, float *dw) {
  struct places places;
  for (ptrdiff_t r = 0; r < row_count; r++) {
    fill_planes((float *)du + r * planes.row, planes.plane, (tile + 2) * (tile + 2), (float **)places.source);
    for (int tap = 0; tap < 9; tap++)
      places.target[tap] = dw + (tap * inputs + rows + r) * outputs + channel;
    ptrdiff_t c = 0;
    for (; c + lane_count <= columns; c += lane_count)
      transform(tile, weight_adjoint, write, 1, &places, c, c, lane_count, NULL);
    if (c < columns) transform(tile, weight_adjoint, write, 0, &places, c, c, columns - c, NULL);
  }
}

VECTOR_CLONES void kernels_winograd_weight_gradient(
  int tile, ptrdiff_t inputs, ptrdiff_t outputs, ptrdiff_t rows, ptrdiff_t row_count, ptrdiff_t channel,
  ptrdiff_t columns, const float *du, kernels_planes planes, float *dw, int accumulate) {
  if (tile == 4 && !accumulate)
    planes_to_weights(4, replace, inputs, outputs, rows, row_count, channel, columns, du, planes, dw);
  else if (tile == 4)
    planes_to_weights(4, add, inputs, outputs, rows, row_count, channel, columns, du, planes, dw);
  else if (!accumulate)
    planes_to_weights(2, replace, inputs, outputs, rows, row_count, channel, columns, du, planes, dw);
  else
    planes_to_weights(2, add, inputs, outputs, rows, row_count, channel, columns, du, planes, dw);
}

// Separable resampling of 8-bit RGB in fixed-point arithmetic: exact, so every CPU gives the same pixels.
//
// Along y, a row of output is a weighted sum of rows, so the vectors run along the row. Along x, sixteen rows are
// transposed into columns of sixteen bytes; then a column of output is a weighted sum of columns, and the vectors run
// down the rows.

#include "CImageCodecs.h"

#include <string.h>

#define VECTORIZED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))

enum { LANES = 16 };

typedef uint8_t bytes16 __attribute__((vector_size(16)));
typedef int32_t ints16 __attribute__((vector_size(64)));

// Macros rather than functions: wide vectors are not passed between functions built for different CPUs.
#define LOAD16(address) (*(const bytes16_unaligned *)(address))
#define STORE16(address, value) (*(bytes16_unaligned *)(address) = (value))
#define WIDENED(bytes) __builtin_convertvector(bytes, ints16)
#define ROUNDED_TO_BYTES(sum) \
  __builtin_convertvector( \
      __builtin_elementwise_min(__builtin_elementwise_max((sum) >> CODEC_FRACTION_BITS, (ints16){0}), all_255), \
      bytes16)
typedef uint8_t bytes16_unaligned __attribute__((vector_size(16), aligned(1)));

static inline int32_t rounded_to_byte(int32_t sum) {
  int32_t value = sum >> CODEC_FRACTION_BITS;
  return value < 0 ? 0 : value > 255 ? 255 : value;
}

// Four rounds of interleaving the first half with the second transpose sixteen rows of sixteen bytes.
#define INTERLEAVE_LOW(a, b) \
  __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define INTERLEAVE_HIGH(a, b) \
  __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
#define INTERLEAVE_HALVES(from, to) \
  for (int i = 0; i < 8; i++) { \
    to[2 * i] = INTERLEAVE_LOW(from[i], from[i + 8]); \
    to[2 * i + 1] = INTERLEAVE_HIGH(from[i], from[i + 8]); \
  }

static inline __attribute__((always_inline)) void transpose16(bytes16 tile[LANES]) {
  bytes16 other[LANES];
  INTERLEAVE_HALVES(tile, other)
  INTERLEAVE_HALVES(other, tile)
  INTERLEAVE_HALVES(tile, other)
  INTERLEAVE_HALVES(other, tile)
}

static size_t columns_in_whole_tiles(int width) { return ((size_t)width * 3 + LANES - 1) / LANES * LANES; }

size_t codec_horizontal_scratch_size(int input_width, int output_width) {
  return (columns_in_whole_tiles(input_width) + columns_in_whole_tiles(output_width)) * LANES;
}

// Sixteen rows at `input` become columns[byte][row]; rows past `row_count` repeat the last one. The last tile overlaps
// the one before it, so that no byte behind a row is read; rows shorter than a tile are copied first.
VECTORIZED static void rows_to_columns(
    const uint8_t *input, size_t pitch, int row_count, size_t row_bytes, uint8_t *columns) {
  uint8_t narrow[LANES * LANES];
  const uint8_t *rows[LANES];
  for (int row = 0; row < LANES; row++) {
    rows[row] = input + (size_t)(row < row_count ? row : row_count - 1) * pitch;
    if (row_bytes < LANES) rows[row] = memcpy(narrow + row * LANES, rows[row], row_bytes);
  }
  size_t last = row_bytes < LANES ? 0 : row_bytes - LANES;
  for (size_t next = 0; next < row_bytes; next += LANES) {
    size_t at = next < last ? next : last;
    bytes16 tile[LANES];
    for (int row = 0; row < LANES; row++) {
      tile[row] = LOAD16(rows[row] + at);
      // The sixteen rows after these: so many streams at once are beyond what processors foresee.
      __builtin_prefetch(rows[row] + LANES * pitch + at);
    }
    transpose16(tile);
    for (int column = 0; column < LANES; column++) STORE16(columns + (at + (size_t)column) * LANES, tile[column]);
  }
}

VECTORIZED static void columns_to_rows(
    const uint8_t *columns, size_t row_bytes, int row_count, uint8_t *output) {
  for (size_t at = 0; at < row_bytes; at += LANES) {
    size_t available = row_bytes - at < LANES ? row_bytes - at : LANES;
    bytes16 tile[LANES];
    for (int column = 0; column < LANES; column++) tile[column] = LOAD16(columns + (at + (size_t)column) * LANES);
    transpose16(tile);
    if (available == LANES && row_count == LANES) {
      for (int row = 0; row < LANES; row++) STORE16(output + (size_t)row * row_bytes + at, tile[row]);
    } else {
      uint8_t padded[LANES * LANES];
      memcpy(padded, tile, sizeof padded);
      for (int row = 0; row < row_count; row++) {
        memcpy(output + (size_t)row * row_bytes + at, padded + row * LANES, available);
      }
    }
  }
}

VECTORIZED static void resample_columns_of_16(
    const uint8_t *columns, const codec_taps *taps, uint8_t *output, int output_width) {
  const ints16 all_255 = (ints16){0} + 255;
  const ints16 half = (ints16){0} + (1 << (CODEC_FRACTION_BITS - 1));
  for (int x = 0; x < output_width; x++) {
    const int32_t *weights = taps->weights + (size_t)x * (size_t)taps->stride;
    const uint8_t *source = columns + (size_t)taps->starts[x] * 3 * LANES;
    ints16 red = half, green = half, blue = half;
    for (int tap = 0; tap < taps->counts[x]; tap++) {
      int32_t weight = weights[tap];
      red += weight * WIDENED(LOAD16(source));
      green += weight * WIDENED(LOAD16(source + LANES));
      blue += weight * WIDENED(LOAD16(source + 2 * LANES));
      source += 3 * LANES;
    }
    STORE16(output, ROUNDED_TO_BYTES(red));
    STORE16(output + LANES, ROUNDED_TO_BYTES(green));
    STORE16(output + 2 * LANES, ROUNDED_TO_BYTES(blue));
    output += 3 * LANES;
  }
}

void codec_resample_rows(
    const uint8_t *input, size_t input_pitch, int input_width, int row_count, const codec_taps *taps,
    uint8_t *output, int output_width, uint8_t *scratch) {
  uint8_t *input_columns = scratch;
  uint8_t *output_columns = scratch + columns_in_whole_tiles(input_width) * LANES;
  size_t output_pitch = (size_t)output_width * 3;
  for (int row = 0; row < row_count; row += LANES) {
    int rows = row_count - row < LANES ? row_count - row : LANES;
    rows_to_columns(input + (size_t)row * input_pitch, input_pitch, rows, (size_t)input_width * 3, input_columns);
    resample_columns_of_16(input_columns, taps, output_columns, output_width);
    columns_to_rows(output_columns, output_pitch, rows, output + (size_t)row * output_pitch);
  }
}

VECTORIZED void codec_resample_columns(
    const uint8_t *input, size_t row_bytes, const codec_taps *taps, uint8_t *output, int output_height) {
  const ints16 all_255 = (ints16){0} + 255;
  const ints16 half = (ints16){0} + (1 << (CODEC_FRACTION_BITS - 1));
  for (int y = 0; y < output_height; y++) {
    const int32_t *weights = taps->weights + (size_t)y * (size_t)taps->stride;
    const uint8_t *source = input + (size_t)taps->starts[y] * row_bytes;
    uint8_t *destination = output + (size_t)y * row_bytes;
    int count = taps->counts[y];
    size_t at = 0;
    for (; at + 2 * LANES <= row_bytes; at += 2 * LANES) {
      ints16 low = half, high = half;
      for (int tap = 0; tap < count; tap++) {
        const uint8_t *row = source + (size_t)tap * row_bytes + at;
        low += weights[tap] * WIDENED(LOAD16(row));
        high += weights[tap] * WIDENED(LOAD16(row + LANES));
      }
      STORE16(destination + at, ROUNDED_TO_BYTES(low));
      STORE16(destination + at + LANES, ROUNDED_TO_BYTES(high));
    }
    for (; at < row_bytes; at++) {
      int32_t sum = 1 << (CODEC_FRACTION_BITS - 1);
      for (int tap = 0; tap < count; tap++) sum += weights[tap] * source[(size_t)tap * row_bytes + at];
      destination[at] = (uint8_t)rounded_to_byte(sum);
    }
  }
}

VECTORIZED void codec_normalize(
    const uint8_t *bytes, size_t pixel_count, const float scale[3], const float offset[3], float *values) {
// A fused multiply-add rounds once and a separate one twice: not allowed to depend on the CPU.
#pragma clang fp contract(off)
  float scales[48], offsets[48];
  for (int i = 0; i < 48; i++) {
    scales[i] = scale[i % 3];
    offsets[i] = offset[i % 3];
  }
  size_t count = pixel_count * 3, at = 0;
  for (; at + 48 <= count; at += 48) {
    for (int i = 0; i < 48; i++) values[at + i] = (float)bytes[at + i] * scales[i] + offsets[i];
  }
  for (int i = 0; at < count; at++, i++) values[at] = (float)bytes[at] * scales[i] + offsets[i];
}

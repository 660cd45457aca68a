// The loops of colour and shape augmentation.

#include "augment.h"

#include <math.h>
#include <string.h>

#define VECTORIZED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))

void codec_count_values(const uint8_t *rgb, size_t pixel_count, uint32_t counts[768]) {
  memset(counts, 0, 768 * sizeof *counts);
  for (size_t pixel = 0; pixel < pixel_count; pixel++) {
    for (size_t channel = 0; channel < 3; channel++) counts[256 * channel + rgb[3 * pixel + channel]] += 1;
  }
}

void codec_map_values(const uint8_t *rgb, size_t pixel_count, const uint8_t tables[768], uint8_t *output) {
  for (size_t pixel = 0; pixel < pixel_count; pixel++) {
    for (size_t channel = 0; channel < 3; channel++) {
      output[3 * pixel + channel] = tables[256 * channel + rgb[3 * pixel + channel]];
    }
  }
}

VECTORIZED void codec_desaturate(const uint8_t *rgb, size_t pixel_count, uint8_t *output) {
  for (size_t pixel = 0; pixel < pixel_count; pixel++) {
    uint32_t sum = rgb[3 * pixel] * 19595u + rgb[3 * pixel + 1] * 38470u + rgb[3 * pixel + 2] * 7471u;
    uint8_t lightness = (uint8_t)((sum + 0x8000u) >> 16);
    for (int channel = 0; channel < 3; channel++) output[3 * pixel + (size_t)channel] = lightness;
  }
}

VECTORIZED void codec_blend(
    const uint8_t *start, const uint8_t *end, size_t count, float factor, uint8_t *output) {
#pragma clang fp contract(off)
  for (size_t i = 0; i < count; i++) {
    float value = (float)start[i] + factor * (float)((int32_t)end[i] - (int32_t)start[i]);
    output[i] = (uint8_t)(int32_t)(value < 0 ? 0 : value > 255 ? 255 : value);
  }
}

static uint8_t byte_from(float value) { return value <= 0 ? 0 : value >= 255 ? 255 : (uint8_t)value; }

void codec_turn_hue(const uint8_t *rgb, size_t pixel_count, uint8_t turn, uint8_t *output) {
#pragma clang fp contract(off)
  for (size_t pixel = 0; pixel < pixel_count; pixel++) {
    const uint8_t *from = rgb + 3 * pixel;
    uint8_t *to = output + 3 * pixel;
    uint8_t red = from[0], green = from[1], blue = from[2];
    uint8_t highest = red > green ? red : green, lowest = red < green ? red : green;
    if (blue > highest) highest = blue;
    if (blue < lowest) lowest = blue;
    if (highest == lowest) {
      memcpy(to, from, 3);
      continue;
    }
    // To hue and saturation, each rounded to a byte: what Pillow's HSV pictures hold.
    float range = (float)(highest - lowest);
    float far_red = (float)(highest - red) / range;
    float far_green = (float)(highest - green) / range;
    float far_blue = (float)(highest - blue) / range;
    float sextant;
    if (red == highest) {
      sextant = far_blue - far_green;
    } else if (green == highest) {
      sextant = (float)(2.0 + far_red - far_blue);
    } else {
      sextant = (float)(4.0 + far_green - far_red);
    }
    float hue = (float)fmod(sextant / 6.0 + 1.0, 1.0);
    uint8_t turned = (uint8_t)(byte_from((float)(hue * 255.0)) + turn);
    uint8_t saturation = byte_from((float)(range / (float)highest * 255.0));
    if (saturation == 0) {
      memset(to, highest, 3);
      continue;
    }
    // And back.
    float place = (float)((float)turned * 6.0 / 255.0);
    int sector = (int)place;
    float within = place - (float)sector;
    float share = (float)(saturation / 255.0);
    uint8_t low = byte_from((float)round(highest * (1.0 - share)));
    uint8_t falling = byte_from((float)round(highest * (1.0 - share * within)));
    uint8_t rising = byte_from((float)round(highest * (1.0 - share * (1.0 - within))));
    const uint8_t colors[6][3] = {{highest, rising, low}, {falling, highest, low}, {low, highest, rising},
                                  {low, falling, highest}, {rising, low, highest}, {highest, low, falling}};
    memcpy(to, colors[sector % 6], 3);
  }
}

VECTORIZED static void smooth_row(const uint8_t *middle, size_t pitch, size_t count, uint8_t *output) {
  const uint8_t *above = middle - pitch, *below = middle + pitch;
  for (size_t i = 3; i + 3 < count; i++) {
    uint32_t sum = above[i - 3] + above[i] + above[i + 3] + middle[i - 3] + 5u * middle[i] + middle[i + 3] +
                   below[i - 3] + below[i] + below[i + 3];
    output[i] = (uint8_t)((2 * sum + 13) / 26);
  }
}

void codec_smooth(const uint8_t *rgb, int width, int height, uint8_t *output) {
  size_t pitch = (size_t)width * 3;
  memcpy(output, rgb, pitch * (size_t)height);
  for (size_t row = 1; row + 1 < (size_t)height; row++) {
    smooth_row(rgb + row * pitch, pitch, pitch, output + row * pitch);
  }
}

static int clamped(int index, int count) { return index < 0 ? 0 : index >= count ? count - 1 : index; }

// The cubic through v[1] at 0 and v[2] at 1 with slopes of the neighbours' differences.
static double cubic(const double v[4], double at) {
#pragma clang fp contract(off)
  double linear = v[2] - v[0];
  double square = 2 * (v[0] - v[1]) + v[2] - v[3];
  double third = v[1] - v[0] - v[2] + v[3];
  return v[1] + at * (linear + at * (square + at * third));
}

typedef struct {
  const uint8_t *rgb;
  int width;
  int height;
} picture;

static void sample_cubic(const picture *from, double x, double y, uint8_t *to) {
  int left = (int)floor(x), top = (int)floor(y);
  for (int channel = 0; channel < 3; channel++) {
    double column[4];
    for (int j = 0; j < 4; j++) {
      const uint8_t *row = from->rgb + (size_t)clamped(top - 1 + j, from->height) * (size_t)from->width * 3;
      double values[4];
      for (int i = 0; i < 4; i++) values[i] = row[3 * clamped(left - 1 + i, from->width) + channel];
      column[j] = cubic(values, x - left);
    }
    double value = cubic(column, y - top);
    to[channel] = value <= 0 ? 0 : value >= 255 ? 255 : (uint8_t)value;
  }
}

static void sample_linear(const picture *from, double x, double y, uint8_t *to) {
#pragma clang fp contract(off)
  int left = (int)floor(x), top = (int)floor(y);
  double across = x - left, down = y - top;
  const uint8_t *upper = from->rgb + (size_t)clamped(top, from->height) * (size_t)from->width * 3;
  const uint8_t *lower = from->rgb + (size_t)clamped(top + 1, from->height) * (size_t)from->width * 3;
  int first = 3 * clamped(left, from->width), second = 3 * clamped(left + 1, from->width);
  for (int channel = 0; channel < 3; channel++) {
    double above = upper[first + channel] + (upper[second + channel] - upper[first + channel]) * across;
    double below = lower[first + channel] + (lower[second + channel] - lower[first + channel]) * across;
    to[channel] = (uint8_t)(above + (below - above) * down);
  }
}

void codec_transform(
    const uint8_t *rgb, int width, int height, const double matrix[6], bool is_cubic, const uint8_t fill[3],
    uint8_t *output) {
#pragma clang fp contract(off)
  picture from = {rgb, width, height};
  for (int row = 0; row < height; row++) {
    for (int column = 0; column < width; column++, output += 3) {
      double x = matrix[0] * (column + 0.5) + matrix[1] * (row + 0.5) + matrix[2];
      double y = matrix[3] * (column + 0.5) + matrix[4] * (row + 0.5) + matrix[5];
      if (x < 0 || x >= width || y < 0 || y >= height) {
        memcpy(output, fill, 3);
      } else if (is_cubic) {
        sample_cubic(&from, x - 0.5, y - 0.5, output);
      } else {
        sample_linear(&from, x - 0.5, y - 0.5, output);
      }
    }
  }
}

static int mirrored(int index, int count) {
  if (index < 0) return -index;
  return index >= count ? 2 * (count - 1) - index : index;
}

VECTORIZED static void add_scaled(const float *values, size_t count, float weight, float *sums) {
#pragma clang fp contract(off)
  for (size_t i = 0; i < count; i++) sums[i] += weight * values[i];
}

VECTORIZED static void round_to_bytes(const float *values, size_t count, uint8_t *bytes) {
  for (size_t i = 0; i < count; i++) {
    float value = __builtin_rintf(values[i]);
    bytes[i] = (uint8_t)(int32_t)(value < 0 ? 0 : value > 255 ? 255 : value);
  }
}

// One row at a time: a padded copy along x, so that the inner loop has no borders; rows of `sums` along y.
void codec_blur(
    const uint8_t *rgb, int width, int height, const float *kernel, int radius, float *scratch, uint8_t *output) {
  size_t pitch = (size_t)width * 3;
  float *padded = scratch + pitch * (size_t)height;
  for (int row = 0; row < height; row++) {
    for (int column = -radius; column < width + radius; column++) {
      const uint8_t *source = rgb + (size_t)row * pitch + 3 * (size_t)mirrored(column, width);
      for (int channel = 0; channel < 3; channel++) padded[3 * (column + radius) + channel] = source[channel];
    }
    float *sums = scratch + (size_t)row * pitch;
    memset(sums, 0, pitch * sizeof *sums);
    for (int tap = 0; tap <= 2 * radius; tap++) add_scaled(padded + 3 * tap, pitch, kernel[tap], sums);
  }
  for (int row = 0; row < height; row++) {
    memset(padded, 0, pitch * sizeof *padded);
    for (int tap = -radius; tap <= radius; tap++) {
      add_scaled(scratch + (size_t)mirrored(row + tap, height) * pitch, pitch, kernel[tap + radius], padded);
    }
    round_to_bytes(padded, pitch, output + (size_t)row * pitch);
  }
}

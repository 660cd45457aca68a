#pragma once
// Changes of colour and shape in pictures of interleaved 8-bit RGB, by the rules of Pillow and torchvision.
//
// Every result is the same on every CPU: sums are whole numbers, or floats added in a fixed order without fusing.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/// How often each value occurs in each channel: counts[256 * channel + value].
void codec_count_values(const uint8_t *rgb, size_t pixel_count, uint32_t counts[768]);

/// output[i] = tables[256 * (i % 3) + rgb[i]].
void codec_map_values(const uint8_t *rgb, size_t pixel_count, const uint8_t tables[768], uint8_t *output);

/// The lightness of each pixel, (299 R + 587 G + 114 B) / 1000 in fixed point, in all three channels.
void codec_desaturate(const uint8_t *rgb, size_t pixel_count, uint8_t *output);

/// output = start + factor (end - start), cut to 0...255 and rounded down; factors outside 0...1 go beyond the ends.
void codec_blend(const uint8_t *start, const uint8_t *end, size_t count, float factor, uint8_t *output);

/// Turns the hue of each pixel by `turn` 256ths of a circle, by way of 8-bit hue, saturation and value.
void codec_turn_hue(const uint8_t *rgb, size_t pixel_count, uint8_t turn, uint8_t *output);

/// The mean of each pixel and its neighbours, the pixel itself counting five times; the border stays as it is.
void codec_smooth(const uint8_t *rgb, int width, int height, uint8_t *output);

/// Fills `output` pixel by pixel from the place (a x + b y + c, d x + e y + f) of the input, where x and y are the
/// centres of output pixels; `matrix` is {a, b, c, d, e, f}. Between pixels values are interpolated linearly, or by
/// cubic convolution with a = -1; places outside the picture become `fill`.
void codec_transform(
    const uint8_t *rgb, int width, int height, const double matrix[6], bool is_cubic, const uint8_t fill[3],
    uint8_t *output);

/// Convolves along both axes with the same symmetric kernel of 2 * radius + 1 weights, mirroring at the border;
/// `radius` is less than both sides. `scratch` holds 3 * (width * height + width + 2 * radius) floats.
void codec_blur(
    const uint8_t *rgb, int width, int height, const float *kernel, int radius, float *scratch, uint8_t *output);

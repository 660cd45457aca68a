#pragma once
// JPEG and PNG from and to memory, and the inner loops of image resampling.
//
// Functions that can fail return true on success; on failure `message` (CODEC_MESSAGE_SIZE bytes, or NULL) holds a
// zero-terminated reason. No function keeps a pointer it was given; all are safe on any thread.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "augment.h"
#include "inflate.h"

enum { CODEC_MESSAGE_SIZE = 200 };

typedef enum { CODEC_FORMAT_UNKNOWN = 0, CODEC_FORMAT_JPEG = 1, CODEC_FORMAT_PNG = 2 } codec_format;

/// What the first bytes of a file say about the image; nothing is allocated to learn it.
typedef struct {
  codec_format format;
  uint32_t width;
  uint32_t height;
  /// Number of colour components in a JPEG: 1, 3 or 4. 0 for PNG.
  int component_count;
  /// Whether a JPEG carries Adobe's APP14 marker; if so its CMYK values are stored inverted.
  bool has_adobe_marker;
} codec_header;

/// Recognises the format by content and reads the size.
bool codec_read_header(const uint8_t *bytes, size_t count, codec_header *header, char *message);

/// A part of a picture, in pixels; not empty.
typedef struct {
  int left, top, width, height;
} codec_window;

/// A JPEG that is being decoded.
typedef struct codec_jpeg codec_jpeg;

/// Begins to decode a window of a JPEG. The whole has 1/denominator of the JPEG's size (1, 2, 4 or 8), rounded up; the
/// pixels are the whole's, but what lies around the window costs less. `bytes` must stay until the JPEG is closed.
/// Returns NULL on failure.
codec_jpeg *codec_open_jpeg(
    const uint8_t *bytes, size_t count, const codec_header *header, int denominator, const codec_window *window,
    char *message);
/// Bytes of a row as it is decoded, which may be longer than the window's, and the place where the window begins in it.
size_t codec_jpeg_row_bytes(const codec_jpeg *jpeg);
size_t codec_jpeg_first_byte(const codec_jpeg *jpeg);
/// The next rows of the window as interleaved RGB.
/// Fails when the data ends early or is damaged, even where the library could fill in grey.
bool codec_read_jpeg_rows(codec_jpeg *jpeg, int row_count, uint8_t *rgb, char *message);
/// Reads what lies below the window: fails when the data ends early or is damaged there.
bool codec_finish_jpeg(codec_jpeg *jpeg, char *message);
void codec_close_jpeg(codec_jpeg *jpeg);

/// Decodes a PNG into interleaved 8-bit RGB; transparent pixels are laid over white.
bool codec_decode_png(const uint8_t *bytes, size_t count, const codec_header *header, uint8_t *rgb, char *message);

/// Encodes interleaved 8-bit RGB as PNG. Release `*encoded` with `codec_release_png`.
bool codec_encode_png(
    const uint8_t *rgb, uint32_t width, uint32_t height, uint8_t **encoded, size_t *encoded_count, char *message);
void codec_release_png(uint8_t *encoded);

/// Encodes interleaved RGB as JPEG with halved chroma in both directions, or full chroma.
/// Release `*encoded` with `codec_release_jpeg`.
bool codec_encode_jpeg(
    const uint8_t *rgb, uint32_t width, uint32_t height, int quality, bool has_full_chroma, uint8_t **encoded,
    size_t *encoded_count, char *message);
void codec_release_jpeg(uint8_t *encoded);

/// The version of libpng in use, for instance "1.6.39".
const char *codec_png_version(void);

/// The taps of one axis of a resampling, as fixed-point numbers with CODEC_FRACTION_BITS fraction bits.
/// Output i = sum over t < counts[i] of weights[i * stride + t] * input[starts[i] + t].
typedef struct {
  const int32_t *starts;
  const int32_t *counts;
  const int32_t *weights;
  int stride;
} codec_taps;

enum { CODEC_FRACTION_BITS = 22 };

/// Resamples rows along x: `input` is row_count rows of RGB, `input_pitch` bytes apart, of which `input_width` pixels
/// may be read; `output` gets row_count rows of output_width pixels, packed. `scratch` holds
/// codec_horizontal_scratch_size(input_width, output_width) bytes.
void codec_resample_rows(
    const uint8_t *input, size_t input_pitch, int input_width, int row_count, const codec_taps *taps,
    uint8_t *output, int output_width, uint8_t *scratch);
size_t codec_horizontal_scratch_size(int input_width, int output_width);

/// Resamples along y: `input` is packed rows of `row_bytes` bytes, `output` gets output_height such rows.
void codec_resample_columns(
    const uint8_t *input, size_t row_bytes, const codec_taps *taps, uint8_t *output, int output_height);

/// values[i] = bytes[i] * scale[i % 3] + offset[i % 3] for pixel_count RGB pixels, the same bits on every CPU.
void codec_normalize(
    const uint8_t *bytes, size_t pixel_count, const float scale[3], const float offset[3], float *values);

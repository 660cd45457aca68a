// JPEG through the TurboJPEG API.

#include "CImageCodecs.h"
#include "message.h"

#include <stdlib.h>
#include <string.h>
#include <turbojpeg.h>

// The library reports damage as a warning and fills the rest with grey; only these warnings leave the pixels intact.
static bool is_harmless(const char *warning) {
  return strstr(warning, "extraneous bytes") || strstr(warning, "JFIF") || strstr(warning, "Adobe");
}

// Only the first warning of an image is kept, so after a harmless one the end is looked for here.
static bool has_end_marker(const uint8_t *bytes, size_t count) {
  for (size_t at = count; at >= 2; at--) {
    if (bytes[at - 2] == 0xFF && bytes[at - 1] == 0xD9) return true;
  }
  return false;
}

static bool decompress(
    tjhandle codec, const uint8_t *bytes, size_t count, int width, int height, int pixel_format, uint8_t *pixels,
    char *message) {
  // A limit on scans keeps a small progressive file from taking minutes.
  int status = tjDecompress2(
      codec, bytes, (unsigned long)count, pixels, width, width * tjPixelSize[pixel_format], height, pixel_format,
      TJFLAG_LIMITSCANS);
  if (status == 0) return true;
  const char *reason = tjGetErrorStr2(codec);
  if (tjGetErrorCode(codec) == TJERR_WARNING && is_harmless(reason) && has_end_marker(bytes, count)) return true;
  return codec_fail(message, reason);
}

// (255 - ink) scaled by (255 - black), rounded; Adobe's files store 255 - ink already.
static void convert_cmyk(const uint8_t *cmyk, size_t pixel_count, bool is_inverted, uint8_t *rgb) {
  uint8_t flip = is_inverted ? 0 : 255;
  for (size_t pixel = 0; pixel < pixel_count; pixel++) {
    uint32_t black = cmyk[4 * pixel + 3] ^ flip;
    for (int channel = 0; channel < 3; channel++) {
      uint32_t product = (cmyk[4 * pixel + channel] ^ flip) * black + 128;
      rgb[3 * pixel + channel] = (uint8_t)((product + (product >> 8)) >> 8);
    }
  }
}

static bool decode_with(
    tjhandle codec, const uint8_t *bytes, size_t count, const codec_header *header, int denominator, uint8_t *rgb,
    char *message) {
  int full_width = -1, full_height = -1, subsampling, color_space;
  // Its status is not looked at: it refuses unusual chroma subsampling that the decoder handles.
  tjDecompressHeader3(codec, bytes, (unsigned long)count, &full_width, &full_height, &subsampling, &color_space);
  if (full_width != (int)header->width || full_height != (int)header->height) {
    return codec_fail(message, full_width < 0 ? tjGetErrorStr2(codec) : "the JPEG header contradicts itself");
  }
  int width = (full_width + denominator - 1) / denominator;
  int height = (full_height + denominator - 1) / denominator;
  if (header->component_count != 4) {
    return decompress(codec, bytes, count, width, height, TJPF_RGB, rgb, message);
  }
  size_t pixel_count = (size_t)width * (size_t)height;
  uint8_t *cmyk = malloc(4 * pixel_count);
  if (!cmyk) return codec_fail(message, "out of memory for a CMYK image");
  bool is_decoded = decompress(codec, bytes, count, width, height, TJPF_CMYK, cmyk, message);
  if (is_decoded) convert_cmyk(cmyk, pixel_count, header->has_adobe_marker, rgb);
  free(cmyk);
  return is_decoded;
}

bool codec_decode_jpeg(
    const uint8_t *bytes, size_t count, const codec_header *header, int denominator, uint8_t *rgb, char *message) {
  tjhandle codec = tjInitDecompress();
  if (!codec) return codec_fail(message, tjGetErrorStr2(NULL));
  bool is_decoded = decode_with(codec, bytes, count, header, denominator, rgb, message);
  tjDestroy(codec);
  return is_decoded;
}

bool codec_encode_jpeg(
    const uint8_t *rgb, uint32_t width, uint32_t height, int quality, bool has_full_chroma, uint8_t **encoded,
    size_t *encoded_count, char *message) {
  *encoded = NULL;
  tjhandle codec = tjInitCompress();
  if (!codec) return codec_fail(message, tjGetErrorStr2(NULL));
  unsigned long byte_count = 0;
  int status = tjCompress2(
      codec, rgb, (int)width, 0, (int)height, TJPF_RGB, encoded, &byte_count,
      has_full_chroma ? TJSAMP_444 : TJSAMP_420, quality, TJFLAG_ACCURATEDCT);
  if (status != 0) {
    codec_fail(message, tjGetErrorStr2(codec));
    codec_release_jpeg(*encoded);
    *encoded = NULL;
  }
  *encoded_count = byte_count;
  tjDestroy(codec);
  return status == 0;
}

void codec_release_jpeg(uint8_t *encoded) { tjFree(encoded); }

// Recognising an image file by its first bytes, and the size it claims.

#include "CImageCodecs.h"
#include "message.h"

#include <string.h>

static uint32_t big_endian_16(const uint8_t *bytes) { return (uint32_t)bytes[0] << 8 | bytes[1]; }

static uint32_t big_endian_32(const uint8_t *bytes) { return big_endian_16(bytes) << 16 | big_endian_16(bytes + 2); }

static bool read_png_header(const uint8_t *bytes, size_t count, codec_header *header, char *message) {
  // Signature (8), length (4), "IHDR" (4), width (4), height (4).
  if (count < 24) return codec_fail(message, "the PNG ends inside its header");
  if (memcmp(bytes + 12, "IHDR", 4) != 0) return codec_fail(message, "the PNG does not begin with an IHDR chunk");
  header->format = CODEC_FORMAT_PNG;
  header->width = big_endian_32(bytes + 16);
  header->height = big_endian_32(bytes + 20);
  if (header->width == 0 || header->height == 0) return codec_fail(message, "the PNG claims a size of zero");
  return true;
}

// C4, C8 and CC lie among the frame headers but define tables or are reserved.
static bool is_frame_header(uint8_t marker) {
  return marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
}

static bool has_no_payload(uint8_t marker) { return marker == 0x01 || (marker >= 0xD0 && marker <= 0xD8); }

static bool read_jpeg_header(const uint8_t *bytes, size_t count, codec_header *header, char *message) {
  header->format = CODEC_FORMAT_JPEG;
  size_t at = 2;
  while (at + 1 < count) {
    // Like libjpeg, step over bytes between segments and over fill bytes.
    if (bytes[at] != 0xFF || bytes[at + 1] == 0xFF || bytes[at + 1] == 0x00) {
      at += 1;
      continue;
    }
    uint8_t marker = bytes[at + 1];
    at += 2;
    if (has_no_payload(marker)) continue;
    if (marker == 0xDA || marker == 0xD9) return codec_fail(message, "the JPEG has no frame header");
    if (at + 2 > count) break;
    size_t length = big_endian_16(bytes + at);
    if (length < 2) return codec_fail(message, "a JPEG segment has an impossible length");
    if (marker == 0xEE && length >= 14 && at + 7 <= count && memcmp(bytes + at + 2, "Adobe", 5) == 0) {
      header->has_adobe_marker = true;
    }
    if (is_frame_header(marker)) {
      // Length (2), precision (1), height (2), width (2), component count (1).
      if (length < 8 || at + 8 > count) break;
      header->height = big_endian_16(bytes + at + 3);
      header->width = big_endian_16(bytes + at + 5);
      header->component_count = bytes[at + 7];
      if (header->width == 0 || header->height == 0) return codec_fail(message, "the JPEG claims a size of zero");
      return true;
    }
    at += length;
  }
  return codec_fail(message, "the JPEG ends inside its header");
}

bool codec_read_header(const uint8_t *bytes, size_t count, codec_header *header, char *message) {
  static const uint8_t png_signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1A, '\n'};
  memset(header, 0, sizeof *header);
  if (count == 0) return codec_fail(message, "the file is empty");
  if (count >= 8 && memcmp(bytes, png_signature, 8) == 0) return read_png_header(bytes, count, header, message);
  if (count >= 3 && bytes[0] == 0xFF && bytes[1] == 0xD8 && bytes[2] == 0xFF) {
    return read_jpeg_header(bytes, count, header, message);
  }
  return codec_fail(message, "neither JPEG nor PNG");
}

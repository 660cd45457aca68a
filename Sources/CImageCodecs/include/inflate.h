#pragma once
// Unpacking of deflated data (RFC 1951): what gzip files and compressed MATLAB elements hold.

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum {
  INFLATE_COMPLETE = 0,
  /// The output is full and the data goes on.
  INFLATE_FULL = 1,
  /// The data ends too early or breaks the format.
  INFLATE_DAMAGED = 2,
} inflate_status;

/// Unpacks one deflate stream from `input` into `output`. `*consumed` and `*produced` tell how many bytes of each were
/// used, whatever the outcome; `*reason` is set to a static text where the data is damaged.
inflate_status codec_inflate(
    const uint8_t *input, size_t input_count, uint8_t *output, size_t output_capacity, size_t *consumed,
    size_t *produced, const char **reason);

/// The checksum of gzip files (CRC-32 with polynomial 0xEDB88320), continued from `start`; 0 at first.
uint32_t codec_crc32(uint32_t start, const uint8_t *bytes, size_t count);

/// The checksum of zlib streams.
uint32_t codec_adler32(const uint8_t *bytes, size_t count);

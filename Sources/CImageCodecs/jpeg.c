// JPEG through libjpeg-turbo.

#include "CImageCodecs.h"
#include "message.h"

#include <jpeglib.h>

#include <jerror.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

// Where the library's errors go: it expects them not to return.
typedef struct {
  struct jpeg_error_mgr base;
  jmp_buf escape;
  char text[JMSG_LENGTH_MAX];
} failure;

static void leave(j_common_ptr codec) {
  failure *failure_of = (failure *)codec->err;
  codec->err->format_message(codec, failure_of->text);
  longjmp(failure_of->escape, 1);
}

// The library reports damage as a warning and fills the rest with grey; only these warnings leave the pixels intact.
static void judge_message(j_common_ptr codec, int level) {
  if (level >= 0) return;
  switch (codec->err->msg_code) {
  case JWRN_EXTRANEOUS_DATA:
  case JWRN_JFIF_MAJOR:
  case JWRN_ADOBE_XFORM:
    return;
  default:
    leave(codec);
  }
}

static struct jpeg_error_mgr *errors_to(failure *failure) {
  jpeg_std_error(&failure->base);
  failure->base.error_exit = leave;
  failure->base.emit_message = judge_message;
  return &failure->base;
}

enum { SCAN_LIMIT = 500 };

// A limit on scans keeps a small progressive file from taking minutes.
static void limit_scans(j_common_ptr codec) {
  if (((j_decompress_ptr)codec)->input_scan_number > SCAN_LIMIT) {
    failure *failure_of = (failure *)codec->err;
    strcpy(failure_of->text, "the JPEG has too many scans");
    longjmp(failure_of->escape, 1);
  }
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

struct codec_jpeg {
  struct jpeg_decompress_struct codec;
  struct jpeg_progress_mgr progress;
  failure failure;
  bool is_inverted;
  // Bytes of a decoded row, and where in it the window begins.
  size_t row_bytes, first_byte;
  // One row of ink values, or of what nobody asked for.
  uint8_t *scratch;
};

size_t codec_jpeg_row_bytes(const codec_jpeg *jpeg) { return jpeg->row_bytes; }
size_t codec_jpeg_first_byte(const codec_jpeg *jpeg) { return jpeg->first_byte; }

static void discard_rows_above(codec_jpeg *jpeg, int row) {
  while ((int)jpeg->codec.output_scanline < row) jpeg_read_scanlines(&jpeg->codec, &jpeg->scratch, 1);
}

// The decoder is told to leave out whole blocks around the window, but for one more on each side than the window needs:
// colour is interpolated from neighbours, and the pixels have to be those of the whole picture.
static void go_to_window(codec_jpeg *jpeg, int denominator, const codec_window *window) {
  j_decompress_ptr codec = &jpeg->codec;
  int block = DCTSIZE / denominator;
  int step_x = codec->max_h_samp_factor * block, step_y = codec->max_v_samp_factor * block;
  int right = window->left + window->width, whole_width = (int)codec->output_width;
  JDIMENSION left = (JDIMENSION)(window->left > step_x ? window->left - step_x : 0);
  JDIMENSION width = (JDIMENSION)(right + step_x < whole_width ? right + step_x : whole_width) - left;
  if (left > 0 || (int)width < whole_width) jpeg_crop_scanline(codec, &left, &width);
  jpeg->row_bytes = (size_t)width * 3;
  jpeg->first_byte = (size_t)(window->left - (int)left) * 3;
  jpeg->scratch = codec->mem->alloc_large((j_common_ptr)codec, JPOOL_IMAGE, (size_t)width * 4);
  int top = (window->top / step_y - 1) * step_y;
  if (top > 0) jpeg_skip_scanlines(codec, (JDIMENSION)top);
  discard_rows_above(jpeg, window->top);
}

codec_jpeg *codec_open_jpeg(
    const uint8_t *bytes, size_t count, const codec_header *header, int denominator, const codec_window *window,
    char *message) {
  codec_jpeg *jpeg = calloc(1, sizeof *jpeg);
  if (!jpeg) {
    codec_fail(message, "out of memory for a JPEG decoder");
    return NULL;
  }
  j_decompress_ptr codec = &jpeg->codec;
  codec->err = errors_to(&jpeg->failure);
  if (setjmp(jpeg->failure.escape)) {
    codec_fail(message, jpeg->failure.text);
    codec_close_jpeg(jpeg);
    return NULL;
  }
  jpeg_create_decompress(codec);
  jpeg->progress.progress_monitor = limit_scans;
  codec->progress = &jpeg->progress;
  jpeg_mem_src(codec, bytes, (unsigned long)count);
  jpeg_read_header(codec, TRUE);
  if (codec->image_width != header->width || codec->image_height != header->height ||
      codec->num_components != header->component_count) {
    codec_fail(message, "the JPEG header contradicts itself");
    codec_close_jpeg(jpeg);
    return NULL;
  }
  jpeg->is_inverted = header->has_adobe_marker;
  codec->out_color_space = header->component_count == 4 ? JCS_CMYK : JCS_RGB;
  codec->scale_num = 1;
  codec->scale_denom = (unsigned)denominator;
  jpeg_start_decompress(codec);
  go_to_window(jpeg, denominator, window);
  return jpeg;
}

bool codec_read_jpeg_rows(codec_jpeg *jpeg, int row_count, uint8_t *rgb, char *message) {
  j_decompress_ptr codec = &jpeg->codec;
  if (setjmp(jpeg->failure.escape)) return codec_fail(message, jpeg->failure.text);
  int first = (int)codec->output_scanline, end = first + row_count;
  while ((int)codec->output_scanline < end) {
    uint8_t *next = rgb + (size_t)((int)codec->output_scanline - first) * jpeg->row_bytes;
    if (codec->output_components == 4) {
      jpeg_read_scanlines(codec, &jpeg->scratch, 1);
      convert_cmyk(jpeg->scratch, jpeg->row_bytes / 3, jpeg->is_inverted, next);
      continue;
    }
    JSAMPROW rows[8];
    int wanted = end - (int)codec->output_scanline;
    if (wanted > 8) wanted = 8;
    for (int row = 0; row < wanted; row++) rows[row] = next + (size_t)row * jpeg->row_bytes;
    jpeg_read_scanlines(codec, rows, (JDIMENSION)wanted);
  }
  return true;
}

bool codec_finish_jpeg(codec_jpeg *jpeg, char *message) {
  j_decompress_ptr codec = &jpeg->codec;
  if (setjmp(jpeg->failure.escape)) return codec_fail(message, jpeg->failure.text);
  // Skipping to the very end would not read what is skipped.
  int last = (int)codec->output_height - 1, next = (int)codec->output_scanline;
  if (next < last) jpeg_skip_scanlines(codec, (JDIMENSION)(last - next));
  discard_rows_above(jpeg, last + 1);
  jpeg_finish_decompress(codec);
  return true;
}

void codec_close_jpeg(codec_jpeg *jpeg) {
  if (jpeg) jpeg_destroy_decompress(&jpeg->codec);
  free(jpeg);
}

bool codec_encode_jpeg(
    const uint8_t *rgb, uint32_t width, uint32_t height, int quality, bool has_full_chroma, uint8_t **encoded,
    size_t *encoded_count, char *message) {
  *encoded = NULL;
  *encoded_count = 0;
  struct jpeg_compress_struct codec;
  failure failure;
  unsigned long byte_count = 0;
  codec.err = errors_to(&failure);
  if (setjmp(failure.escape)) {
    jpeg_destroy_compress(&codec);
    codec_release_jpeg(*encoded);
    *encoded = NULL;
    return codec_fail(message, failure.text);
  }
  jpeg_create_compress(&codec);
  jpeg_mem_dest(&codec, encoded, &byte_count);
  codec.image_width = width;
  codec.image_height = height;
  codec.input_components = 3;
  codec.in_color_space = JCS_RGB;
  jpeg_set_defaults(&codec);
  jpeg_set_quality(&codec, quality, TRUE);
  codec.comp_info[0].h_samp_factor = codec.comp_info[0].v_samp_factor = has_full_chroma ? 1 : 2;
  jpeg_start_compress(&codec, TRUE);
  while (codec.next_scanline < height) {
    JSAMPROW row = (JSAMPROW)rgb + codec.next_scanline * (size_t)width * 3;
    jpeg_write_scanlines(&codec, &row, 1);
  }
  jpeg_finish_compress(&codec);
  jpeg_destroy_compress(&codec);
  *encoded_count = byte_count;
  return true;
}

void codec_release_jpeg(uint8_t *encoded) { free(encoded); }

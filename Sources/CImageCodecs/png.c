// PNG through libpng, which reports errors by longjmp: no object with a lifetime crosses that jump.

#include "CImageCodecs.h"
#include "message.h"

#include <png.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  const uint8_t *bytes;
  size_t count;
  size_t offset;
  char *message;
} png_source;

static void read_bytes(png_structp png, png_bytep destination, size_t count) {
  png_source *source = png_get_io_ptr(png);
  if (count > source->count - source->offset) png_error(png, "premature end of PNG file");
  memcpy(destination, source->bytes + source->offset, count);
  source->offset += count;
}

static void stop_on_error(png_structp png, png_const_charp reason) {
  png_source *source = png_get_error_ptr(png);
  codec_fail(source->message, reason);
  png_longjmp(png, 1);
}

// Warnings concern metadata, which is ignored.
static void ignore_warning(png_structp png, png_const_charp reason) {
  (void)png;
  (void)reason;
}

// Rows of the decoded image; the alpha plane is there only for transparent images.
typedef struct {
  png_bytep *rows;
  uint8_t *rgba;
} png_memory;

static void lay_over_white(const uint8_t *rgba, size_t pixel_count, uint8_t *rgb) {
  for (size_t pixel = 0; pixel < pixel_count; pixel++) {
    uint32_t alpha = rgba[4 * pixel + 3];
    for (int channel = 0; channel < 3; channel++) {
      uint32_t sum = rgba[4 * pixel + channel] * alpha + 255 * (255 - alpha) + 128;
      rgb[3 * pixel + channel] = (uint8_t)((sum + (sum >> 8)) >> 8);
    }
  }
}

static void read_image(
    png_structp png, png_infop info, const codec_header *header, uint8_t *rgb, png_memory *memory) {
  // Profiles and text may be huge when unpacked and change nothing here.
  static const png_byte ignored[] = "iCCP\0zTXt\0iTXt\0tEXt\0eXIf\0sPLT\0pCAL\0hIST";
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, 0);
  png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, ignored, sizeof ignored / 5);
  png_set_user_limits(png, header->width, header->height);
  png_set_chunk_malloc_max(png, 8 << 20);
  png_read_info(png, info);
  if (png_get_image_width(png, info) != header->width || png_get_image_height(png, info) != header->height) {
    png_error(png, "the PNG header contradicts itself");
  }
  bool is_transparent =
      (png_get_color_type(png, info) & PNG_COLOR_MASK_ALPHA) || png_get_valid(png, info, PNG_INFO_tRNS);
  png_set_scale_16(png);
  png_set_expand(png);
  png_set_gray_to_rgb(png);
  png_set_interlace_handling(png);
  png_read_update_info(png, info);

  size_t width = header->width, height = header->height;
  size_t pitch = width * (is_transparent ? 4 : 3);
  if (png_get_rowbytes(png, info) != pitch) png_error(png, "unexpected PNG pixel layout");
  memory->rows = malloc(height * sizeof *memory->rows);
  if (is_transparent) memory->rgba = malloc(height * pitch);
  if (!memory->rows || (is_transparent && !memory->rgba)) png_error(png, "out of memory for a PNG image");
  uint8_t *pixels = is_transparent ? memory->rgba : rgb;
  for (size_t row = 0; row < height; row++) memory->rows[row] = pixels + row * pitch;
  png_read_image(png, memory->rows);
  png_read_end(png, NULL);
  if (is_transparent) lay_over_white(memory->rgba, width * height, rgb);
}

bool codec_decode_png(const uint8_t *bytes, size_t count, const codec_header *header, uint8_t *rgb, char *message) {
  png_source source = {bytes, count, 0, message};
  // Changed between setjmp and longjmp, so held in memory rather than in locals.
  png_memory *memory = calloc(1, sizeof *memory);
  png_structp png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &source, stop_on_error, ignore_warning);
  png_infop info = png ? png_create_info_struct(png) : NULL;
  if (!memory || !info) {
    free(memory);
    png_destroy_read_struct(&png, &info, NULL);
    return codec_fail(message, "out of memory for the PNG decoder");
  }
  volatile bool is_decoded = false;
  if (setjmp(png_jmpbuf(png)) == 0) {
    png_set_read_fn(png, &source, read_bytes);
    read_image(png, info, header, rgb, memory);
    is_decoded = true;
  }
  png_destroy_read_struct(&png, &info, NULL);
  free(memory->rows);
  free(memory->rgba);
  free(memory);
  return is_decoded;
}

bool codec_encode_png(
    const uint8_t *rgb, uint32_t width, uint32_t height, uint8_t **encoded, size_t *encoded_count, char *message) {
  png_image image = {.version = PNG_IMAGE_VERSION, .width = width, .height = height, .format = PNG_FORMAT_RGB};
  *encoded_count = PNG_IMAGE_PNG_SIZE_MAX(image);
  *encoded = malloc(*encoded_count);
  if (!*encoded) return codec_fail(message, "out of memory for a PNG file");
  if (png_image_write_to_memory(&image, *encoded, encoded_count, 0, rgb, 0, NULL)) return true;
  codec_fail(message, image.message);
  png_image_free(&image);
  free(*encoded);
  *encoded = NULL;
  return false;
}

void codec_release_png(uint8_t *encoded) { free(encoded); }

const char *codec_png_version(void) { return png_get_libpng_ver(NULL); }

// Deflate, decoded by tables that are indexed with the next fifteen bits: short, and fast enough for metadata.

#include "inflate.h"

#include <stdlib.h>
#include <string.h>

enum { LONGEST_CODE = 15, TABLE_SIZE = 1 << LONGEST_CODE, LITERAL_COUNT = 288, DISTANCE_COUNT = 32 };

// What the next bits mean: symbol << 4 | length of its code; length 0 where no code begins like this.
typedef struct {
  uint16_t entries[TABLE_SIZE];
} code_table;

typedef struct {
  const uint8_t *input;
  size_t input_count;
  size_t at;
  uint64_t bits;
  int bit_count;
  uint8_t *output;
  size_t capacity;
  size_t produced;
  const char *reason;
  code_table literals;
  code_table distances;
} inflater;

static void refill(inflater *state) {
  while (state->bit_count <= 56 && state->at < state->input_count) {
    state->bits |= (uint64_t)state->input[state->at++] << state->bit_count;
    state->bit_count += 8;
  }
}

static inflate_status damaged(inflater *state, const char *reason) {
  state->reason = reason;
  return INFLATE_DAMAGED;
}

// The next `count` bits, at most 16; false at the end of the input.
static bool take_bits(inflater *state, int count, uint32_t *value) {
  refill(state);
  if (state->bit_count < count) return false;
  *value = (uint32_t)(state->bits & ((1u << count) - 1));
  state->bits >>= count;
  state->bit_count -= count;
  return true;
}

// -1 at the end of the input, -2 for bits that are no code.
static int take_symbol(inflater *state, const code_table *table) {
  refill(state);
  uint16_t entry = table->entries[state->bits & (TABLE_SIZE - 1)];
  int length = entry & 15;
  if (length == 0) return state->bit_count < LONGEST_CODE ? -1 : -2;
  if (length > state->bit_count) return -1;
  state->bits >>= length;
  state->bit_count -= length;
  return entry >> 4;
}

// Codes of equal length count upwards in the order of their symbols, and stand in the stream highest bit first.
static bool build_table(code_table *table, const uint8_t *lengths, int symbol_count) {
  uint32_t counts[LONGEST_CODE + 1] = {0}, next[LONGEST_CODE + 2] = {0};
  for (int symbol = 0; symbol < symbol_count; symbol++) counts[lengths[symbol]] += 1;
  counts[0] = 0;
  for (int length = 1; length <= LONGEST_CODE; length++) {
    next[length + 1] = (next[length] + counts[length]) << 1;
    if (next[length] + counts[length] > 1u << length) return false;
  }
  memset(table, 0, sizeof *table);
  for (int symbol = 0; symbol < symbol_count; symbol++) {
    int length = lengths[symbol];
    if (length == 0) continue;
    uint32_t code = next[length]++, reversed = 0;
    for (int bit = 0; bit < length; bit++) reversed |= (code >> bit & 1) << (length - 1 - bit);
    for (uint32_t index = reversed; index < TABLE_SIZE; index += 1u << length) {
      table->entries[index] = (uint16_t)(symbol << 4 | length);
    }
  }
  return true;
}

static void build_fixed_tables(inflater *state) {
  uint8_t lengths[LITERAL_COUNT];
  for (int symbol = 0; symbol < LITERAL_COUNT; symbol++) {
    lengths[symbol] = symbol < 144 ? 8 : symbol < 256 ? 9 : symbol < 280 ? 7 : 8;
  }
  build_table(&state->literals, lengths, LITERAL_COUNT);
  memset(lengths, 5, DISTANCE_COUNT);
  build_table(&state->distances, lengths, DISTANCE_COUNT);
}

static inflate_status read_tables(inflater *state) {
  static const uint8_t order[19] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};
  uint32_t literal_count, distance_count, length_count, value;
  if (!take_bits(state, 5, &literal_count) || !take_bits(state, 5, &distance_count) ||
      !take_bits(state, 4, &length_count)) {
    return damaged(state, "it ends inside a block header");
  }
  literal_count += 257;
  distance_count += 1;
  if (literal_count > 286 || distance_count > 30) return damaged(state, "a block has too many codes");
  uint8_t lengths[LITERAL_COUNT + DISTANCE_COUNT] = {0};
  for (uint32_t index = 0; index < length_count + 4; index++) {
    if (!take_bits(state, 3, &value)) return damaged(state, "it ends inside a block header");
    lengths[order[index]] = (uint8_t)value;
  }
  if (!build_table(&state->literals, lengths, 19)) return damaged(state, "the code lengths' codes overlap");
  memset(lengths, 0, 19);
  uint32_t filled = 0, wanted = literal_count + distance_count;
  while (filled < wanted) {
    int symbol = take_symbol(state, &state->literals);
    if (symbol < 0) return damaged(state, symbol == -1 ? "it ends inside a block header" : "an unknown code length");
    if (symbol < 16) {
      lengths[filled++] = (uint8_t)symbol;
      continue;
    }
    // 16: repeat the last length 3-6 times; 17 and 18: 3-10 and 11-138 zeros.
    static const uint8_t extra_bits[3] = {2, 3, 7}, base[3] = {3, 3, 11};
    if (symbol == 16 && filled == 0) return damaged(state, "a code length repeats nothing");
    if (!take_bits(state, extra_bits[symbol - 16], &value)) return damaged(state, "it ends inside a block header");
    uint32_t count = base[symbol - 16] + value;
    if (count > wanted - filled) return damaged(state, "too many code lengths");
    memset(lengths + filled, symbol == 16 ? lengths[filled - 1] : 0, count);
    filled += count;
  }
  if (lengths[256] == 0) return damaged(state, "a block without an end");
  if (!build_table(&state->distances, lengths + literal_count, (int)distance_count) ||
      !build_table(&state->literals, lengths, (int)literal_count)) {
    return damaged(state, "codes overlap");
  }
  return INFLATE_COMPLETE;
}

static inflate_status copy_stored(inflater *state) {
  // Whole bytes wait in the bit buffer: give them back, and drop the rest of the byte that was begun.
  state->at -= (size_t)(state->bit_count / 8);
  state->bits = 0;
  state->bit_count = 0;
  if (state->input_count - state->at < 4) return damaged(state, "it ends inside a stored block");
  const uint8_t *header = state->input + state->at;
  size_t length = header[0] | (size_t)header[1] << 8, complement = header[2] | (size_t)header[3] << 8;
  if ((length ^ complement) != 0xFFFF) return damaged(state, "a stored block's length is wrong");
  state->at += 4;
  if (length > state->input_count - state->at) return damaged(state, "it ends inside a stored block");
  if (length > state->capacity - state->produced) return INFLATE_FULL;
  memcpy(state->output + state->produced, state->input + state->at, length);
  state->at += length;
  state->produced += length;
  return INFLATE_COMPLETE;
}

static inflate_status decode_block(inflater *state) {
  static const uint16_t length_base[29] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                           31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
  static const uint8_t length_bits[29] = {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2,
                                          2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0};
  static const uint16_t distance_base[30] = {1,   2,   3,   4,   5,   7,    9,    13,   17,   25,   33,   49,   65,    97,    129,
                                             193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};
  while (true) {
    int symbol = take_symbol(state, &state->literals);
    if (symbol < 0) return damaged(state, symbol == -1 ? "it ends inside a block" : "an unknown code");
    if (symbol == 256) return INFLATE_COMPLETE;
    if (symbol < 256) {
      if (state->produced == state->capacity) return INFLATE_FULL;
      state->output[state->produced++] = (uint8_t)symbol;
      continue;
    }
    if (symbol > 285) return damaged(state, "an unknown length");
    uint32_t extra;
    if (!take_bits(state, length_bits[symbol - 257], &extra)) return damaged(state, "it ends inside a block");
    size_t length = length_base[symbol - 257] + extra;
    int code = take_symbol(state, &state->distances);
    if (code < 0 || code > 29) return damaged(state, code == -1 ? "it ends inside a block" : "an unknown distance");
    if (!take_bits(state, code < 2 ? 0 : code / 2 - 1, &extra)) return damaged(state, "it ends inside a block");
    size_t distance = distance_base[code] + extra;
    if (distance > state->produced) return damaged(state, "a repetition of what was never there");
    if (length > state->capacity - state->produced) return INFLATE_FULL;
    // One by one: the source may overlap what is being written.
    for (size_t i = 0; i < length; i++, state->produced++) {
      state->output[state->produced] = state->output[state->produced - distance];
    }
  }
}

static inflate_status inflate_blocks(inflater *state) {
  uint32_t is_last = 0;
  while (!is_last) {
    uint32_t kind;
    if (!take_bits(state, 1, &is_last) || !take_bits(state, 2, &kind)) {
      return damaged(state, "it ends before its last block");
    }
    inflate_status status = INFLATE_COMPLETE;
    switch (kind) {
    case 0: status = copy_stored(state); break;
    case 1: build_fixed_tables(state); break;
    case 2: status = read_tables(state); break;
    default: return damaged(state, "an unknown kind of block");
    }
    if (status == INFLATE_COMPLETE && kind != 0) status = decode_block(state);
    if (status != INFLATE_COMPLETE) return status;
  }
  return INFLATE_COMPLETE;
}

inflate_status codec_inflate(
    const uint8_t *input, size_t input_count, uint8_t *output, size_t output_capacity, size_t *consumed,
    size_t *produced, const char **reason) {
  *consumed = *produced = 0;
  *reason = "out of memory";
  inflater *state = malloc(sizeof *state);
  if (!state) return INFLATE_DAMAGED;
  state->input = input;
  state->input_count = input_count;
  state->at = 0;
  state->bits = 0;
  state->bit_count = 0;
  state->output = output;
  state->capacity = output_capacity;
  state->produced = 0;
  state->reason = NULL;
  inflate_status status = inflate_blocks(state);
  *consumed = state->at - (size_t)(state->bit_count / 8);
  *produced = state->produced;
  *reason = state->reason;
  free(state);
  return status;
}

uint32_t codec_crc32(uint32_t start, const uint8_t *bytes, size_t count) {
  uint32_t crc = ~start;
  for (size_t i = 0; i < count; i++) {
    crc ^= bytes[i];
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (0xEDB88320u & -(crc & 1));
  }
  return ~crc;
}

uint32_t codec_adler32(const uint8_t *bytes, size_t count) {
  uint32_t low = 1, high = 0;
  for (size_t i = 0; i < count; i++) {
    low = (low + bytes[i]) % 65521;
    high = (high + low) % 65521;
  }
  return high << 16 | low;
}

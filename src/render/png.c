#include "render/png.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"

/* ---- bytes and bits ------------------------------------------------------------------------------------------------------------------ */

struct bytes {
    unsigned char *at;
    size_t size, room;
    uint32_t bits; /* that are not written yet, the next one lowest */
    int waiting;
};

static void put(struct bytes *b, const void *bytes, size_t size)
{
    if (b->size + size > b->room) {
        b->room = 2 * (b->size + size) + 1024;
        b->at = realloc(b->at, b->room);
        CHECK(b->at, "out of memory for a picture");
    }
    memcpy(b->at + b->size, bytes, size);
    b->size += size;
}

static void put32(struct bytes *b, uint32_t x)
{
    put(b, (unsigned char[]){(unsigned char)(x >> 24), (unsigned char)(x >> 16), (unsigned char)(x >> 8), (unsigned char)x}, 4);
}

static void put_bits(struct bytes *b, uint32_t value, int count)
{
    b->bits |= value << b->waiting;
    for (b->waiting += count; b->waiting >= 8; b->waiting -= 8, b->bits >>= 8) put(b, &(unsigned char){(unsigned char)b->bits}, 1);
}

/* A code of RFC 1951, 3.2.6, whose highest bit comes first. */
static void put_code(struct bytes *b, int symbol)
{
    const int count = symbol < 144 ? 8 : symbol < 256 ? 9 : symbol < 280 ? 7 : 8;
    uint32_t code = (uint32_t)(symbol < 144   ? 0x30 + symbol
                               : symbol < 256 ? 0x190 + symbol - 144
                               : symbol < 280 ? symbol - 256
                                              : 0xc0 + symbol - 280);
    uint32_t turned = 0;
    for (int i = 0; i < count; i++, code >>= 1) turned = turned << 1 | (code & 1);
    put_bits(b, turned, count);
}

/* ---- deflate ------------------------------------------------------------------------------------------------------------------------- */

enum { WINDOW = 32768, SHORTEST = 3, LONGEST = 258, HASHES = 1 << 15, TRIES = 32 };

/* Base values with so many extra bits, and which of them holds x. */
static const uint16_t length_base[] = {3,  4,  5,  6,  7,  8,  9,  10, 11,  13,  15,  17,  19,  23, 27,
                                       31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258};
static const uint16_t distance_base[] = {1,   2,   3,   4,   5,   7,    9,    13,   17,   25,   33,   49,   65,    97,    129,
                                         193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385, 24577};

static int slot_of(const uint16_t *base, int count, int x)
{
    int slot = count - 1;
    while (base[slot] > x) slot--;
    return slot;
}

static void put_match(struct bytes *b, int length, int distance)
{
    const int l = slot_of(length_base, 29, length), d = slot_of(distance_base, 30, distance);
    put_code(b, 257 + l);
    if (l >= 8 && l < 28) put_bits(b, (uint32_t)(length - length_base[l]), (l - 4) / 4);
    uint32_t turned = 0;
    for (int i = 0; i < 5; i++) turned = turned << 1 | ((uint32_t)d >> i & 1);
    put_bits(b, turned, 5);
    if (d >= 4) put_bits(b, (uint32_t)(distance - distance_base[d]), (d - 2) / 2);
}

static uint32_t hash_of(const unsigned char *at)
{
    return ((uint32_t)at[0] << 10 ^ (uint32_t)at[1] << 5 ^ at[2]) & (HASHES - 1);
}

struct chains { /* positions that begin with bytes of the same hash, the newest first */
    int32_t head[HASHES], before[WINDOW];
};

static void remember(struct chains *c, const unsigned char *data, size_t at, size_t size)
{
    if (at + SHORTEST > size) return;
    const uint32_t hash = hash_of(data + at);
    c->before[at % WINDOW] = c->head[hash];
    c->head[hash] = (int32_t)at;
}

/* The longest match of what begins at `at`: its length, 0 where there is none. */
static int find_match(const struct chains *c, const unsigned char *data, size_t at, size_t size, int *distance)
{
    int best = 0;
    if (at + SHORTEST > size) return 0;
    const int most = size - at < LONGEST ? (int)(size - at) : LONGEST;
    int32_t from = c->head[hash_of(data + at)];
    for (int tries = 0; tries < TRIES && from >= 0 && at - (size_t)from <= WINDOW - 1; tries++) {
        int length = 0;
        while (length < most && data[(size_t)from + (size_t)length] == data[at + (size_t)length]) length++;
        if (length > best) {
            best = length;
            *distance = (int)(at - (size_t)from);
        }
        if (best == most) break;
        from = c->before[from % WINDOW];
    }
    return best >= SHORTEST ? best : 0;
}

static void deflate(struct bytes *b, const unsigned char *data, size_t size)
{
    struct chains *chains = malloc(sizeof *chains);
    CHECK(chains, "out of memory for a picture");
    memset(chains, 0xff, sizeof *chains);
    put_bits(b, 3, 3); /* the last block, with fixed codes */
    for (size_t at = 0; at < size;) {
        int distance = 0, length = find_match(chains, data, at, size, &distance);
        if (length)
            put_match(b, length, distance);
        else
            put_code(b, data[at]), length = 1;
        for (int i = 0; i < length; i++) remember(chains, data, at++, size);
    }
    put_code(b, 256);
    put_bits(b, 0, 7); /* up to a whole byte */
    b->bits = 0;
    b->waiting = 0;
    free(chains);
}

static uint32_t adler(const unsigned char *data, size_t size)
{
    uint32_t a = 1, sum = 0;
    for (size_t i = 0; i < size; i++) {
        a = (a + data[i]) % 65521;
        sum = (sum + a) % 65521;
    }
    return sum << 16 | a;
}

/* ---- the file ------------------------------------------------------------------------------------------------------------------------ */

static uint32_t crc(const unsigned char *data, size_t size)
{
    uint32_t c = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        c ^= data[i];
        for (int k = 0; k < 8; k++) c = c >> 1 ^ (0xedb88320u & (0u - (c & 1)));
    }
    return ~c;
}

static void put_chunk(struct bytes *b, const char *name, const unsigned char *data, size_t size)
{
    put32(b, (uint32_t)size);
    const size_t from = b->size;
    put(b, name, 4);
    put(b, data, size);
    put32(b, crc(b->at + from, b->size - from));
}

/* One row by filter 0 (as it is), 1 (less the pixel to the left) or 2 (less the row above); returns the sum of what is left, as distances
 * from 0. */
static long filtered(unsigned char *to, const uint8_t *row, const uint8_t *above, size_t bytes, int filter)
{
    long sum = 0;
    to[0] = (unsigned char)filter;
    for (size_t i = 0; i < bytes; i++) {
        const uint8_t less = filter == 1 ? (i >= 3 ? row[i - 3] : 0) : filter == 2 && above ? above[i] : 0;
        to[1 + i] = (unsigned char)(row[i] - less);
        sum += to[1 + i] < 128 ? to[1 + i] : 256 - to[1 + i];
    }
    return sum;
}

static unsigned char *filter_rows(const uint8_t *rgb, int width, int height)
{
    const size_t bytes = 3 * (size_t)width;
    unsigned char *rows = malloc((bytes + 1) * (size_t)height + 1);
    CHECK(rows, "out of memory for a picture");
    for (int y = 0; y < height; y++) {
        const uint8_t *row = rgb + (size_t)y * bytes, *above = y ? row - bytes : NULL;
        unsigned char *to = rows + (size_t)y * (bytes + 1);
        long least = filtered(to, row, above, bytes, 2);
        int best = 2;
        for (int filter = 0; filter < 2; filter++) {
            const long sum = filtered(to, row, above, bytes, filter);
            if (sum < least) least = sum, best = filter;
        }
        filtered(to, row, above, bytes, best);
    }
    return rows;
}

size_t png_write(const uint8_t *rgb, int width, int height, const char *comment, unsigned char **bytes)
{
    struct bytes file = {0}, data = {0};
    const size_t size = (3 * (size_t)width + 1) * (size_t)height;
    unsigned char *rows = filter_rows(rgb, width, height);
    put(&file, "\x89PNG\r\n\x1a\n", 8);
    const unsigned char head[13] = {(unsigned char)(width >> 24),
                                    (unsigned char)(width >> 16),
                                    (unsigned char)(width >> 8),
                                    (unsigned char)width,
                                    (unsigned char)(height >> 24),
                                    (unsigned char)(height >> 16),
                                    (unsigned char)(height >> 8),
                                    (unsigned char)height,
                                    8,
                                    2};
    put_chunk(&file, "IHDR", head, sizeof head);
    if (comment) {
        put(&data, "Comment", 8);
        put(&data, comment, strlen(comment));
        put_chunk(&file, "tEXt", data.at, data.size);
        data.size = 0;
    }
    put(&data, "\x78\x01", 2);
    deflate(&data, rows, size);
    put32(&data, adler(rows, size));
    put_chunk(&file, "IDAT", data.at, data.size);
    put_chunk(&file, "IEND", head, 0);
    free(rows);
    free(data.at);
    *bytes = file.at;
    return file.size;
}

char *png_base64(const uint8_t *rgb, int width, int height)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    unsigned char *bytes;
    const size_t size = png_write(rgb, width, height, NULL, &bytes);
    char *text = malloc((size + 2) / 3 * 4 + 1), *to = text;
    CHECK(text, "out of memory for a picture");
    for (size_t i = 0; i < size; i += 3) {
        uint32_t three = 0;
        for (size_t k = 0; k < 3; k++) three = three << 8 | (i + k < size ? bytes[i + k] : 0u);
        for (size_t k = 0; k < 4; k++) *to++ = i + k > size ? '=' : digit[three >> (18 - 6 * k) & 63];
    }
    *to = '\0';
    free(bytes);
    return text;
}

#include "run/tensorboard.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/text.h"
#include "run/metrics_file.h"

/* ---- bytes ---------------------------------------------------------------------------------------------------------------------------- */

enum { BYTES = 1 << 16 };
struct bytes {
    uint8_t *at; /* [BYTES] */
    size_t size;
};

static void put(struct bytes *bytes, const void *data, size_t size)
{
    CHECK(bytes->size + size <= BYTES, "an event of TensorBoard has more than %d bytes", BYTES);
    memcpy(bytes->at + bytes->size, data, size);
    bytes->size += size;
}

static void put_little(struct bytes *bytes, uint64_t value, int size)
{
    uint8_t byte[8];
    for (int i = 0; i < size; i++) byte[i] = (uint8_t)(value >> (8 * i));
    put(bytes, byte, (size_t)size);
}

/* ---- protocol buffers: what of them an event needs (protobuf.dev, "Encoding") ---------------------------------------------------------------- */

enum { VARINT = 0, FIXED64 = 1, LENGTH = 2, FIXED32 = 5 };

static void put_varint(struct bytes *bytes, uint64_t value)
{
    for (; value >= 0x80; value >>= 7) put_little(bytes, value | 0x80, 1);
    put_little(bytes, value, 1);
}

static void put_field(struct bytes *bytes, int number, int type)
{
    put_varint(bytes, (uint64_t)number << 3 | (uint64_t)type);
}

static void put_int(struct bytes *bytes, int number, int64_t value)
{
    put_field(bytes, number, VARINT);
    put_varint(bytes, (uint64_t)value);
}

static void put_double(struct bytes *bytes, int number, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_field(bytes, number, FIXED64);
    put_little(bytes, bits, 8);
}

static void put_float(struct bytes *bytes, int number, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put_field(bytes, number, FIXED32);
    put_little(bytes, bits, 4);
}

static void put_text(struct bytes *bytes, int number, const char *text, size_t size)
{
    put_field(bytes, number, LENGTH);
    put_varint(bytes, size);
    put(bytes, text, size);
}

/* A message in a message, from here to its end; its length is put in front of it then. */
static size_t begin_message(struct bytes *bytes, int number)
{
    put_field(bytes, number, LENGTH);
    return bytes->size;
}

static void end_message(struct bytes *bytes, size_t begin)
{
    const size_t size = bytes->size - begin;
    put_varint(bytes, size); /* to learn how long that is */
    const size_t length = bytes->size - begin - size;
    memmove(bytes->at + begin + length, bytes->at + begin, size);
    bytes->size = begin;
    put_varint(bytes, size);
    bytes->size += size;
}

/* ---- records ---------------------------------------------------------------------------------------------------------------------------- */

/* CRC-32C (Castagnoli), rotated and moved as TensorFlow's records have it. */
static uint32_t masked_crc(const uint8_t *data, size_t size)
{
    uint32_t crc = ~0U;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78U : 0);
    }
    crc = ~crc;
    return (crc >> 15 | crc << 17) + 0xa282ead8U;
}

struct tensorboard {
    FILE *file;
    char path[4096];
    bool lost;
    struct bytes event, record;
    int64_t env_steps; /* of the event */
};

/* Fields of tensorflow.Event, Summary, Summary.Value, SummaryMetadata, TensorProto and SessionLog, by their numbers. */
enum { EVENT_WALL_TIME = 1, EVENT_STEP = 2, EVENT_FILE_VERSION = 3, EVENT_SUMMARY = 5, EVENT_SESSION_LOG = 7 };
enum { SUMMARY_VALUE = 1, VALUE_TAG = 1, VALUE_SIMPLE = 2, VALUE_TENSOR = 8, VALUE_METADATA = 9 };
enum { METADATA_PLUGIN = 1, PLUGIN_NAME = 1, TENSOR_TYPE = 1, TENSOR_SHAPE = 2, TENSOR_STRING = 8, TYPE_STRING = 7 };
enum { SESSION_STATUS = 1, SESSION_START = 1 };

static void begin_event(struct tensorboard *board, int64_t env_steps)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    board->event.size = 0;
    board->env_steps = env_steps;
    put_double(&board->event, EVENT_WALL_TIME, (double)now.tv_sec + 1e-9 * (double)now.tv_nsec);
}

/* One record, in one piece. */
static void end_event(struct tensorboard *board)
{
    struct bytes *record = &board->record;
    record->size = 0;
    put_int(&board->event, EVENT_STEP, board->env_steps);
    put_little(record, board->event.size, 8);
    put_little(record, masked_crc(record->at, 8), 4);
    put(record, board->event.at, board->event.size);
    put_little(record, masked_crc(board->event.at, board->event.size), 4);
    const bool written = fwrite(record->at, 1, record->size, board->file) == record->size && fflush(board->file) == 0;
    if (!written && !board->lost) warn("%s: can't be written: %s; TensorBoard will miss what follows", board->path, strerror(errno));
    board->lost = board->lost || !written;
}

/* ---- what is written -------------------------------------------------------------------------------------------------------------------- */

/* Names that other programs' curves have, so that they lie in one picture with theirs; all others stand in the group they belong to. */
static const struct {
    const char *name, *tag;
} tags[] = {{"return_mean", "rollout/ep_rew_mean"},
            {"episode_length", "rollout/ep_len_mean"},
            {"return_std", "rollout/ep_rew_std"},
            {"env_steps_per_second", "time/fps"},
            {"episodes", "time/episodes"},
            {"eval_return", "eval/mean_reward"},
            {"eval_stderr", "eval/mean_reward_stderr"}};
enum { TAGS = sizeof tags / sizeof *tags };

static void tag_of(char *tag, size_t size, const char *name)
{
    text_format(tag, size, "train/%s", name);
    if (strncmp(name, "seconds", strlen("seconds")) == 0 || text_lists("agent_steps agent_steps_per_second update hidden_fraction", name))
        text_format(tag, size, "time/%s", name);
    if (strncmp(name, "info/", strlen("info/")) == 0) text_format(tag, size, "%s", name);
    if (strncmp(name, "return_mean/", strlen("return_mean/")) == 0)
        text_format(tag, size, "rollout/ep_rew_mean_%s", name + strlen("return_mean/"));
    for (int i = 0; i < TAGS; i++)
        if (strcmp(name, tags[i].name) == 0) text_format(tag, size, "%s", tags[i].tag);
}

static void add_number(void *user, const char *name, double value)
{
    struct tensorboard *board = user;
    char tag[256];
    if (strcmp(name, "env_steps") == 0) board->env_steps = (int64_t)value;
    if (strcmp(name, "env_steps") == 0 || !isfinite(value)) return;
    tag_of(tag, sizeof tag, name);
    const size_t begin = begin_message(&board->event, SUMMARY_VALUE);
    put_text(&board->event, VALUE_TAG, tag, strlen(tag));
    put_float(&board->event, VALUE_SIMPLE, (float)value);
    end_message(&board->event, begin);
}

void tensorboard_write(struct tensorboard *board, const char *line)
{
    struct error err = {0};
    begin_event(board, 0);
    const size_t begin = begin_message(&board->event, EVENT_SUMMARY);
    if (metrics_line_numbers(line, add_number, board, &err)) warn("%s", err.text);
    end_message(&board->event, begin);
    end_event(board);
}

/* The text plugin reads a tensor of one string, as Markdown. */
static void write_text(struct tensorboard *board, const char *tag, const char *text, size_t size)
{
    struct bytes *event = &board->event;
    const size_t summary = begin_message(event, EVENT_SUMMARY), value = begin_message(event, SUMMARY_VALUE);
    put_text(event, VALUE_TAG, tag, strlen(tag));
    const size_t metadata = begin_message(event, VALUE_METADATA), plugin = begin_message(event, METADATA_PLUGIN);
    put_text(event, PLUGIN_NAME, "text", strlen("text"));
    end_message(event, plugin);
    end_message(event, metadata);
    const size_t tensor = begin_message(event, VALUE_TENSOR);
    put_int(event, TENSOR_TYPE, TYPE_STRING);
    end_message(event, begin_message(event, TENSOR_SHAPE)); /* a scalar's */
    put_text(event, TENSOR_STRING, text, size);
    end_message(event, tensor);
    end_message(event, value);
    end_message(event, summary);
}

/* Without its comments; indented lines are shown as they are. */
static void write_settings(struct tensorboard *board, int64_t env_steps, const char *text)
{
    char *shown = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&shown, &size);
    CHECK(out, "out of memory writing %s", board->path);
    for (const char *line = text, *end; *line; line = end + (*end == '\n')) {
        end = line + strcspn(line, "\n");
        if (*line != '#') fprintf(out, "    %.*s\n", (int)(end - line), line);
    }
    fclose(out);
    begin_event(board, env_steps);
    write_text(board, "config", shown, size);
    end_event(board);
    free(shown);
}

/* The first record of a file names its format; the second says where a leg of the run begins. */
static void write_start(struct tensorboard *board, int64_t env_steps)
{
    static const char format[] = "brain.Event:2";
    begin_event(board, 0);
    put_text(&board->event, EVENT_FILE_VERSION, format, strlen(format));
    end_event(board);
    if (env_steps == 0) return;
    begin_event(board, env_steps + 1); /* what lies at this step and beyond is dropped */
    const size_t session = begin_message(&board->event, EVENT_SESSION_LOG);
    put_int(&board->event, SESSION_STATUS, SESSION_START);
    end_message(&board->event, session);
    end_event(board);
}

int tensorboard_create(struct tensorboard **out, const char *folder, int64_t env_steps, const char *text, struct error *err)
{
    struct tensorboard *board = calloc(1, sizeof *board);
    char host[128] = "host";
    CHECK(board, "out of memory for TensorBoard's file");
    if (gethostname(host, sizeof host - 1)) text_format(host, sizeof host, "host");
    const long long now = (long long)time(NULL);
    for (long long later = 0; !board->file && later < 100; later++) {
        text_format(board->path, sizeof board->path, "%s/events.out.tfevents.%lld.%s.%ld", folder, now + later, host, (long)getpid());
        board->file = fopen(board->path, "wxe");
        if (!board->file && errno != EEXIST) break;
    }
    if (!board->file) {
        const int code = error_set(err, EXIT_USAGE, "%s: can't be written: %s", board->path, strerror(errno));
        free(board);
        return code;
    }
    board->event.at = malloc(BYTES);
    board->record.at = malloc(BYTES);
    CHECK(board->event.at && board->record.at, "out of memory for TensorBoard's file");
    write_start(board, env_steps);
    write_settings(board, env_steps, text);
    *out = board;
    return 0;
}

void tensorboard_destroy(struct tensorboard *board)
{
    if (!board) return;
    fclose(board->file);
    free(board->event.at);
    free(board->record.at);
    free(board);
}

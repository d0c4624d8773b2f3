/* A strict reader of the part of HDF5's format that our own files use: superblock 0, object headers 1, groups as symbol tables, contiguous
 * datasets, attributes that are texts of fixed length. Every address is checked against the image, every walk is bounded, and what is not
 * known is refused. "HDF5 File Format Specification 3.0", sections II.A (superblock), III.A to III.D (B-trees, symbol tables, local heaps),
 * IV.A (object headers). */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "run/checkpoint_image.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "data are copied from little-endian files as they stand");

/* Far more than any run has; a file that exceeds them is not one of ours. */
enum { MAX_DEPTH = 16, MAX_OBJECTS = 1 << 18, MAX_NODES = 1 << 20, MAX_CHUNKS = 1024, MAX_ATTRIBUTES = 1 << 16, MAX_TREE = 8 };

enum message_type {
    MESSAGE_NIL = 0x00,
    MESSAGE_DATASPACE = 0x01,
    MESSAGE_LINK_INFO = 0x02,
    MESSAGE_DATATYPE = 0x03,
    MESSAGE_OLD_FILL = 0x04,
    MESSAGE_FILL = 0x05,
    MESSAGE_LINK = 0x06,
    MESSAGE_EXTERNAL = 0x07,
    MESSAGE_LAYOUT = 0x08,
    MESSAGE_FILTERS = 0x0B,
    MESSAGE_ATTRIBUTE = 0x0C,
    MESSAGE_OLD_TIME = 0x0E,
    MESSAGE_CONTINUATION = 0x10,
    MESSAGE_SYMBOL_TABLE = 0x11,
    MESSAGE_TIME = 0x12
};

struct reader {
    const uint8_t *bytes;
    size_t size;
    uint64_t extent; /* of the file: from `size` on there is nothing but data */
    bool placing;    /* datasets without storage get theirs there */
    struct image_index *index;
    struct error *err;
    int objects, nodes, depth;
    char path[sizeof((struct field *)0)->name]; /* of the object being read; "" for the root */
};

/* ---- bytes --------------------------------------------------------------------------------------------------------------------------- */

/* `count` bytes at an address of the file; NULL where they are not all inside it. */
static const uint8_t *bytes_at(const struct reader *r, uint64_t address, uint64_t count)
{
    return address <= r->size && count <= r->size - address ? r->bytes + address : NULL;
}

static uint32_t u16(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8;
}
static uint32_t u32(const uint8_t *p)
{
    return u16(p) | u16(p + 2) << 16;
}
static uint64_t u64(const uint8_t *p)
{
    return (uint64_t)u32(p) | (uint64_t)u32(p + 4) << 32;
}

static int refuse(const struct reader *r, const char *fault)
{
    return error_set(r->err, EXIT_CHECKPOINT, "%s %s", r->path[0] != '\0' ? r->path : "its root", fault);
}

/* Names end up in messages and tables: plain characters only. `room` bytes are there. */
static bool name_is_plain(const char *name, size_t room)
{
    const size_t length = strnlen(name, room);
    if (length == 0 || length == room || strcmp(name, ".") == 0 || strcmp(name, "..") == 0) return false;
    for (const char *c = name; *c != '\0'; c++)
        if (*c <= ' ' || *c > '~' || *c == '/' || *c == '"' || *c == '\\') return false;
    return true;
}

/* ---- types and shapes ---------------------------------------------------------------------------------------------------------------- */

/* Class and version, bit field, size, properties: exactly as the library writes them (the version in the upper half of byte 0 may vary). */
static const struct {
    int field, length;
    uint8_t bytes[20];
} datatypes[] = {
    {FIELD_REAL, 20, {0x01, 0x20, 0x1f, 0, 4, 0, 0, 0, 0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0}},
    {FIELD_DOUBLE, 20, {0x01, 0x20, 0x3f, 0, 8, 0, 0, 0, 0, 0, 64, 0, 52, 11, 0, 52, 0xff, 3, 0, 0}},
    {FIELD_INT64, 12, {0x00, 0x08, 0, 0, 8, 0, 0, 0, 0, 0, 64, 0}},
    {FIELD_UINT64, 12, {0x00, 0x00, 0, 0, 8, 0, 0, 0, 0, 0, 64, 0}},
    {FIELD_INT32, 12, {0x00, 0x08, 0, 0, 4, 0, 0, 0, 0, 0, 32, 0}},
    {FIELD_BYTES, 12, {0x00, 0x00, 0, 0, 1, 0, 0, 0, 0, 0, 8, 0}},
};

static int datatype_field(const uint8_t *data, size_t size) /* enum field_type, or -1 */
{
    for (size_t i = 0; i < sizeof datatypes / sizeof datatypes[0]; i++) {
        const size_t length = (size_t)datatypes[i].length;
        if (size >= length && (data[0] & 15) == datatypes[i].bytes[0] && data[0] >> 4 >= 1 && data[0] >> 4 <= 3 &&
            memcmp(data + 1, datatypes[i].bytes + 1, length - 1) == 0)
            return datatypes[i].field;
    }
    return -1;
}

static size_t datatype_text(const uint8_t *data, size_t size) /* bytes of a text of fixed length, or 0 */
{
    if (size < 8 || (data[0] & 15) != 3 || data[0] >> 4 < 1 || data[0] >> 4 > 3) return 0;
    return u32(data + 4);
}

/* Rank and extents; -1 for anything but a scalar or an array. */
static int dataspace_read(const uint8_t *data, size_t size, uint64_t shape[4])
{
    if (size < 4 || (data[0] != 1 && data[0] != 2) || data[1] > 4) return -1;
    const int rank = data[1], start = data[0] == 1 ? 8 : 4;
    if (data[0] == 2 && data[3] != (rank > 0 ? 1 : 0)) return -1; /* type "null" */
    if (size < (size_t)(start + 8 * rank)) return -1;
    for (int i = 0; i < rank; i++) shape[i] = u64(data + start + 8 * i);
    return rank;
}

/* ---- object headers ------------------------------------------------------------------------------------------------------------------ */

struct message {
    uint32_t type, size;
    const uint8_t *data;
};

/* Gives every message of the object header at `address` to `take`, which returns an exit code. */
static int each_message(const struct reader *r, uint64_t address, int (*take)(void *user, const struct message *), void *user)
{
    struct {
        uint64_t address, length;
    } chunk[MAX_CHUNKS];
    int chunks = 1;
    const uint8_t *head = bytes_at(r, address, 16);
    if (head == NULL) return refuse(r, "lies outside the file");
    if (head[0] != 1) return refuse(r, "is of a newer format than checkpoints are");
    chunk[0].address = address + 16;
    chunk[0].length = u32(head + 8);
    for (int c = 0; c < chunks; c++) {
        const uint8_t *at = bytes_at(r, chunk[c].address, chunk[c].length);
        if (at == NULL) return refuse(r, "has a header that lies outside the file");
        for (uint64_t left = chunk[c].length; left >= 8;) {
            const struct message m = {u16(at), u16(at + 2), at + 8};
            if (m.size > left - 8) return refuse(r, "has a damaged header");
            if (at[4] & 2) return refuse(r, "has a named or shared datatype");
            at += 8 + m.size;
            left -= 8 + m.size;
            if (m.type == MESSAGE_CONTINUATION) {
                if (m.size < 16 || chunks == MAX_CHUNKS) return refuse(r, "has a damaged header");
                chunk[chunks].address = u64(m.data);
                chunk[chunks++].length = u64(m.data + 8);
                continue;
            }
            const int code = take(user, &m);
            if (code != EXIT_DONE) return code;
        }
    }
    return EXIT_DONE;
}

/* What an object's header says, besides attributes. */
struct object {
    const struct reader *reader;
    bool has_table, has_type, has_space, has_layout;
    uint64_t tree, heap; /* of a group */
    int type, rank;      /* of a dataset */
    uint64_t shape[4], address, bytes;
    const uint8_t *stated; /* where the address stands */
};

#define NO_ADDRESS UINT64_MAX

static int take_layout(struct object *o, const struct message *m)
{
    const struct reader *r = o->reader;
    if (m->size >= 2 && (m->data[0] == 3 || m->data[0] == 4) && m->data[1] == 3) return refuse(r, "is virtual: made of other files");
    if (m->size < 18 || (m->data[0] != 3 && m->data[0] != 4) || m->data[1] != 1) return refuse(r, "is not stored in one piece");
    o->has_layout = true;
    o->stated = m->data + 2;
    o->address = u64(o->stated);
    o->bytes = u64(m->data + 10);
    return EXIT_DONE;
}

static int take_header(void *user, const struct message *m)
{
    struct object *o = user;
    const struct reader *r = o->reader;
    switch (m->type) {
    case MESSAGE_NIL:
    case MESSAGE_OLD_FILL:
    case MESSAGE_FILL: /* what elements hold that were never written: ours all are */
    case MESSAGE_OLD_TIME:
    case MESSAGE_TIME:
    case MESSAGE_ATTRIBUTE:
        return EXIT_DONE;
    case MESSAGE_SYMBOL_TABLE:
        if (m->size < 16) return refuse(r, "has a damaged header");
        o->has_table = true;
        o->tree = u64(m->data);
        o->heap = u64(m->data + 8);
        return EXIT_DONE;
    case MESSAGE_DATATYPE:
        o->has_type = true;
        o->type = datatype_field(m->data, m->size);
        return o->type < 0 ? refuse(r, "has a type that no checkpoint holds") : EXIT_DONE;
    case MESSAGE_DATASPACE:
        o->has_space = true;
        o->rank = dataspace_read(m->data, m->size, o->shape);
        return o->rank < 0 ? refuse(r, "has a shape that no checkpoint holds") : EXIT_DONE;
    case MESSAGE_LAYOUT:
        return take_layout(o, m);
    case MESSAGE_EXTERNAL:
        return refuse(r, "has external storage");
    case MESSAGE_FILTERS:
        return refuse(r, "has filters");
    case MESSAGE_LINK:
    case MESSAGE_LINK_INFO:
        return refuse(r, "has external or user-defined links, or is of a newer format than checkpoints are");
    default:
        return refuse(r, "has something that no checkpoint holds");
    }
}

/* ---- attributes ---------------------------------------------------------------------------------------------------------------------- */

/* Name and value, from malloc; false for anything but a scalar text. */
static bool attribute_read(const struct message *m, const char **name, char **value)
{
    const uint8_t *data = m->data;
    if (m->size < 8 || data[0] < 1 || data[0] > 3 || (data[0] > 1 && data[1] != 0)) return false;
    const size_t head = data[0] == 3 ? 9 : 8, align = data[0] == 1 ? 7 : 0;
    const size_t name_size = u16(data + 2), type_size = u16(data + 4), space_size = u16(data + 6);
    const size_t type_at = head + ((name_size + align) & ~align), space_at = type_at + ((type_size + align) & ~align);
    const size_t data_at = space_at + ((space_size + align) & ~align);
    uint64_t shape[4];
    if (data_at > m->size || !name_is_plain((const char *)data + head, name_size)) return false;
    const size_t text = datatype_text(data + type_at, type_size);
    if (text == 0 || text > IMAGE_MAX_TEXT || text > m->size - data_at || dataspace_read(data + space_at, space_size, shape) != 0)
        return false;
    *name = (const char *)data + head;
    *value = calloc(text + 1, 1);
    CHECK(*value != NULL, "out of memory reading a checkpoint");
    memcpy(*value, data + data_at, text);
    /* What a terminal would obey is shown as a question mark. */
    for (char *c = *value; *c != '\0'; c++)
        if (((unsigned char)*c < ' ' && *c != '\n' && *c != '\t') || *c == 127) *c = '?';
    return true;
}

static int take_group_attribute(void *user, const struct message *m)
{
    struct reader *r = user;
    struct image_index *index = r->index;
    if (m->type != MESSAGE_ATTRIBUTE) return EXIT_DONE;
    const char *name;
    char *value, full[2 * sizeof r->path];
    if (index->attributes >= MAX_ATTRIBUTES || !attribute_read(m, &name, &value))
        return refuse(r, "has an attribute that is no plain text");
    if (index->attributes == index->room) {
        const int room = index->room > 0 ? 2 * index->room : 128;
        struct checkpoint_attribute *grown = realloc(index->attribute, (size_t)room * sizeof *grown);
        CHECK(grown != NULL, "out of memory reading a checkpoint");
        index->attribute = grown;
        index->room = room;
    }
    const bool whole = text_format(full, sizeof full, "%s%s%s", r->path[0] ? r->path + 1 : "", r->path[0] ? "/" : "", name);
    char *copy = whole ? strdup(full) : NULL;
    if (copy == NULL) {
        free(value);
        return refuse(r, "has an attribute with a too long name");
    }
    index->attribute[index->attributes++] = (struct checkpoint_attribute){copy, value};
    return EXIT_DONE;
}

struct dataset_texts {
    struct reader *reader;
    struct field *field;
};

static int take_dataset_attribute(void *user, const struct message *m)
{
    struct dataset_texts *texts = user;
    struct image_index *index = texts->reader->index;
    if (m->type != MESSAGE_ATTRIBUTE) return EXIT_DONE;
    const char *name;
    char *value;
    if (!attribute_read(m, &name, &value)) return refuse(texts->reader, "has an attribute that is no plain text");
    if (strcmp(name, "description") == 0) text_format(texts->field->description, sizeof texts->field->description, "%s", value);
    if (strcmp(name, "units") != 0 || texts->field->units[0] != '\0') {
        free(value);
        return EXIT_DONE;
    }
    char **grown = realloc(index->text, (size_t)(index->texts + 1) * sizeof *grown);
    CHECK(grown != NULL, "out of memory reading a checkpoint");
    index->text = grown;
    index->text[index->texts++] = value;
    texts->field->units = value;
    return EXIT_DONE;
}

/* ---- datasets and groups ------------------------------------------------------------------------------------------------------------- */

/* Little-endian, as everything in the file. */
static void put_u64(const struct reader *r, const uint8_t *at, uint64_t value)
{
    memcpy((uint8_t *)(uintptr_t)r->bytes + (at - r->bytes), &value, sizeof value); /* of an image that was given to be written */
}

/* Where the data of the field that is added next lie. */
static void note_address(struct image_index *index, uint64_t address)
{
    uint64_t *grown = realloc(index->address, (size_t)(index->fields.count + 1) * sizeof *grown);
    CHECK(grown != NULL, "out of memory reading a checkpoint");
    index->address = grown;
    index->address[index->fields.count] = address;
}

static int read_dataset(struct reader *r, const struct object *o, uint64_t header)
{
    static const size_t element[] = {
        [FIELD_REAL] = sizeof(float), [FIELD_DOUBLE] = 8, [FIELD_INT64] = 8, [FIELD_UINT64] = 8, [FIELD_BYTES] = 1, [FIELD_INT32] = 4};
    uint64_t bytes = element[o->type];
    bool empty = false;
    for (int i = 0; i < o->rank; i++) empty |= o->shape[i] == 0;
    for (int i = 0; i < o->rank; i++) {
        const uint64_t room = empty ? INT32_MAX : r->extent / bytes;
        if (o->shape[i] > room && !r->placing) return refuse(r, "is larger than the file it is in");
        if (!empty) bytes *= o->shape[i];
    }
    if (empty) bytes = 0;
    uint64_t address = o->address;
    if (r->placing && address == NO_ADDRESS && bytes > 0) {
        put_u64(r, o->stated, address = r->extent);
        r->extent += bytes;
    }
    const uint8_t *data = bytes > 0 ? bytes_at(r, address, bytes) : NULL;
    const bool behind = address >= r->size && address <= r->extent && bytes <= r->extent - address;
    if (bytes > 0 && ((data == NULL && !behind) || o->bytes < bytes)) return refuse(r, "has data that lie outside the file");
    note_address(r->index, address);
    struct field *field = field_add(&r->index->fields, r->path, o->type, NULL, "", "", 0);
    field->rank = o->rank;
    for (int i = 0; i < o->rank; i++) field->shape[i] = (int64_t)o->shape[i];
    field->data = (void *)(uintptr_t)data; /* written by nobody: the image is const wherever it is handed out */
    struct dataset_texts texts = {r, field};
    return each_message(r, header, take_dataset_attribute, &texts);
}

static int read_object(struct reader *r, uint64_t address);

/* The names of a group lie in its local heap. */
struct heap {
    const char *names;
    uint64_t size;
};

static int read_symbols(struct reader *r, const struct heap *heap, uint64_t address)
{
    const uint8_t *node = bytes_at(r, address, 8);
    if (node == NULL || memcmp(node, "SNOD\1", 5) != 0) return refuse(r, "is a group with a damaged list of names");
    const uint32_t count = u16(node + 6);
    const uint8_t *entry = bytes_at(r, address + 8, (uint64_t)count * 40);
    if (entry == NULL) return refuse(r, "is a group with a damaged list of names");
    for (uint32_t i = 0; i < count; i++, entry += 40) {
        char outer[sizeof r->path];
        const uint64_t at = u64(entry);
        if (at >= heap->size || !name_is_plain(heap->names + at, heap->size - at)) return refuse(r, "holds something with an odd name");
        memcpy(outer, r->path, sizeof outer);
        if (!text_format(r->path, sizeof r->path, "%s/%s", outer, heap->names + at)) {
            memcpy(r->path, outer, sizeof outer);
            return refuse(r, "holds something with a too long name");
        }
        if (u32(entry + 16) == 2) return refuse(r, "is a soft link; links are not followed");
        r->depth++;
        const int code = read_object(r, u64(entry + 8));
        r->depth--;
        memcpy(r->path, outer, sizeof outer);
        if (code != EXIT_DONE) return code;
    }
    return EXIT_DONE;
}

static int read_tree(struct reader *r, const struct heap *heap, uint64_t address, int level)
{
    const uint8_t *node = bytes_at(r, address, 24);
    if (node == NULL || memcmp(node, "TREE\0", 5) != 0 || (level >= 0 && node[5] != level) || node[5] > MAX_TREE || ++r->nodes > MAX_NODES)
        return refuse(r, "is a group with a damaged list of names");
    const uint32_t count = u16(node + 6);
    const uint8_t *child = bytes_at(r, address + 24, (uint64_t)count * 16 + 8);
    if (child == NULL) return refuse(r, "is a group with a damaged list of names");
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t next = u64(child + 16 * i + 8);
        const int code = node[5] > 0 ? read_tree(r, heap, next, node[5] - 1) : read_symbols(r, heap, next);
        if (code != EXIT_DONE) return code;
    }
    return EXIT_DONE;
}

static int read_group(struct reader *r, const struct object *o, uint64_t address)
{
    const int code = each_message(r, address, take_group_attribute, r);
    if (code != EXIT_DONE) return code;
    const uint8_t *head = bytes_at(r, o->heap, 32);
    if (head == NULL || memcmp(head, "HEAP\0", 5) != 0) return refuse(r, "is a group with damaged names");
    struct heap heap = {.size = u64(head + 8)};
    heap.names = (const char *)bytes_at(r, u64(head + 24), heap.size);
    if (heap.names == NULL) return refuse(r, "is a group with damaged names");
    return read_tree(r, &heap, o->tree, -1);
}

static int read_object(struct reader *r, uint64_t address)
{
    struct object o = {.reader = r};
    /* Groups can contain themselves by hard links: depth and number end that. */
    if (++r->objects > MAX_OBJECTS || r->depth > MAX_DEPTH) return refuse(r, "is nested too deeply, or there are too many objects");
    const int code = each_message(r, address, take_header, &o);
    if (code != EXIT_DONE) return code;
    if (o.has_table && !o.has_type && !o.has_space && !o.has_layout) return read_group(r, &o, address);
    if (!o.has_table && o.has_type && o.has_space && o.has_layout && r->depth > 0) return read_dataset(r, &o, address);
    return refuse(r, "is neither a dataset nor a group, or damaged");
}

static int read_image(struct reader *r)
{
    const uint8_t *head = bytes_at(r, 0, 96);
    if (head == NULL || memcmp(head, "\x89HDF\r\n\x1a\n", 8) != 0)
        return error_set(r->err, EXIT_CHECKPOINT, "there is no HDF5 file behind the header");
    if (head[8] != 0 || head[13] != 8 || head[14] != 8 || u64(head + 24) != 0)
        return error_set(r->err, EXIT_CHECKPOINT, "the HDF5 file is of a newer format than checkpoints are");
    return read_object(r, u64(head + 64));
}

int image_index(struct image_index *index, const char *bytes, size_t size, uint64_t extent, struct error *err)
{
    struct error own;
    struct reader r = {.bytes = (const uint8_t *)bytes, .size = size, .extent = extent, .index = index, .err = err != NULL ? err : &own};
    memset(index, 0, sizeof *index);
    const int code = read_image(&r);
    if (code != EXIT_DONE) image_index_clear(index);
    return code;
}

int image_place(char *bytes, size_t size, uint64_t *extent, struct error *err)
{
    enum { END_OF_FILE = 40 };
    struct error own;
    struct image_index index = {.attributes = 0};
    struct reader r = {
        .bytes = (const uint8_t *)bytes, .size = size, .extent = size, .placing = true, .index = &index, .err = err != NULL ? err : &own};
    const int code = read_image(&r);
    image_index_clear(&index);
    if (code != EXIT_DONE) return code;
    if (r.extent > size) put_u64(&r, r.bytes + END_OF_FILE, r.extent);
    *extent = r.extent;
    return EXIT_DONE;
}

void image_index_clear(struct image_index *index)
{
    for (int i = 0; i < index->attributes; i++) {
        free((char *)(uintptr_t)index->attribute[i].name);
        free((char *)(uintptr_t)index->attribute[i].value);
    }
    for (int i = 0; i < index->texts; i++) free(index->text[i]);
    free(index->attribute);
    free(index->text);
    free(index->address);
    free(index->fields.field);
    memset(index, 0, sizeof *index);
}

/* Reads and writes ini files. libinih does the parsing; what it does silently (cut long lines, join indented ones) is refused or avoided
 * here. */
#include "config/config_file.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/digest.h"
#include "base/text.h"
#include "config/config.h"

enum { FILE_LIMIT = 1 << 20 };

static bool begins_with(const char *bytes, size_t size, const char *start, size_t length)
{
    return size >= length && memcmp(bytes, start, length) == 0;
}

/* Is it text? What people take for a configuration file is told apart, because each is mended in another way. */
static int check_bytes(const char *bytes, size_t size, const char *path, struct error *err)
{
    if (begins_with(bytes, size, "mappo checkpoint", 16) || begins_with(bytes, size, "\x89HDF", 4))
        return error_set(err, EXIT_USAGE,
                         "%s is a checkpoint, no configuration file: mappo eval %s plays it, train.init=%s starts from its networks, "
                         "run=FOLDER continues its run",
                         path, path, path);
    if (begins_with(bytes, size, "\xff\xfe", 2) || begins_with(bytes, size, "\xfe\xff", 2))
        return error_set(err, EXIT_USAGE, "%s is written in UTF-16: save it as UTF-8", path);
    const char *zero = memchr(bytes, '\0', size);
    if (!zero) return 0;
    int line = 1;
    for (const char *c = bytes; c < zero; c++) line += *c == '\n';
    return error_set(err, EXIT_USAGE, "%s, line %d holds zero bytes: this is no text, or it is written in UTF-16 (save it as UTF-8)", path,
                     line);
}

int config_file_read(const char *path, char **text, struct error *err)
{
    *text = NULL;
    FILE *file = fopen(path, "rb");
    struct stat status;
    if (!file || fstat(fileno(file), &status) != 0 || S_ISDIR(status.st_mode)) {
        int cause = file ? EISDIR : errno;
        if (file) fclose(file);
        return error_set(err, EXIT_USAGE, "cannot read the configuration file %s: %s%s", path, strerror(cause),
                         cause == EISDIR ? " (a run is continued with run=FOLDER; its settings are FOLDER/config.ini)" : "");
    }
    char *bytes = malloc(FILE_LIMIT + 1);
    if (!bytes) die(EXIT_INTERNAL, "out of memory while reading %s", path);
    size_t size = fread(bytes, 1, FILE_LIMIT + 1, file);
    int code = 0;
    if (ferror(file))
        code = error_set(err, EXIT_USAGE, "cannot read the configuration file %s: %s", path, strerror(errno));
    else if (size > FILE_LIMIT)
        code = error_set(err, EXIT_USAGE, "%s is longer than 1 MB: this is no configuration file", path);
    else
        code = check_bytes(bytes, size, path, err);
    fclose(file);
    if (code) {
        free(bytes);
        return code;
    }
    bytes[size] = '\0';
    *text = bytes;
    return 0;
}

/* ---- reading ------------------------------------------------------------------------------------------------------------------------- */

/* Goes through the entries of a file. */
struct reader {
    const char *next, *name;
    int line;
    int (*take)(struct reader *reader, const char *key, const char *value); /* != 0: reader->err says why not */
    struct error err;
};

/* Takes them into a configuration. */
struct loading {
    struct reader reader; /* first: it is handed on as such */
    struct config *config;
    int origin;
    int taken_at[CONFIG_KEYS], option_at[CONFIG_ENV_OPTIONS + CONFIG_GROUP_OPTIONS]; /* the line where it was given; 0 = nowhere yet */
    char option[CONFIG_ENV_OPTIONS + CONFIG_GROUP_OPTIONS][128];
    int options;
};

/* Tells them. */
struct telling {
    struct reader reader; /* first */
    void (*visit)(void *user, const char *key, const char *value);
    void *user;
};

static int refuse_line(struct reader *reader, const char *format, ...) __attribute__((format(printf, 2, 3)));
static int refuse_line(struct reader *reader, const char *format, ...)
{
    char text[512];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    return error_set(&reader->err, EXIT_USAGE, "%s, line %d %s", reader->name, reader->line, text);
}

/* What libinih would pass over in silence: it goes on after a line that it can't read, and forgets what stands behind a section's name. */
static int check_line(struct reader *reader, const char *start, size_t length)
{
    const char *bracket = memchr(start, ']', length);
    if (*start == '[' && bracket) {
        const char *behind = bracket + 1 + strspn(bracket + 1, " \t");
        if (behind >= start + length || *behind == ';' || *behind == '#') return 0;
        return refuse_line(reader, "has \"%.*s\" behind a section: a key begins a line of its own", (int)(start + length - behind), behind);
    }
    if (length >= 2 && strncmp(start, "//", 2) == 0) return refuse_line(reader, "begins with //: a comment begins with # or ;");
    if (*start != '[' && (memchr(start, '=', length) || memchr(start, ':', length))) return 0;
    return refuse_line(reader, "is neither [section], key = value nor a comment (# or ;)");
}

/* Hands libinih one line at a time: without its indentation, so that it never joins lines, and never more than it can hold. Lines end as on
 * any system: \n, \r\n or \r. */
static char *read_line(char *buffer, int room, void *stream)
{
    struct reader *reader = stream;
    if (reader->err.code || !*reader->next) return NULL;
    reader->line++;
    const char *start = reader->next, *end = start + strcspn(start, "\r\n");
    reader->next = end + (*end == '\r' && end[1] == '\n') + (*end != '\0');
    while (start < end && isspace((unsigned char)*start)) start++;
    while (end > start && isspace((unsigned char)end[-1])) end--;
    /* A comment has no meaning, so its length has none either. */
    size_t length = *start == ';' || *start == '#' ? 0 : (size_t)(end - start);
    if (length + 2 > (size_t)room) {
        refuse_line(reader, "has %zu bytes; a line of a configuration file may have %d", length, room - 2);
        return NULL;
    }
    if (length && check_line(reader, start, length)) return NULL;
    memcpy(buffer, start, length);
    buffer[length] = '\n';
    buffer[length + 1] = '\0';
    return buffer;
}

/* Of two different values for one key one would be ignored. */
static int check_twice(struct loading *loading, const char *key, const char *before, const char *value)
{
    const int k = config_find(key);
    int *at = NULL;
    if (k >= 0) at = &loading->taken_at[k];
    for (int i = 0; k < 0 && i < loading->options; i++)
        if (strcmp(loading->option[i], key) == 0) at = &loading->option_at[i];
    if (!at && loading->options < CONFIG_ENV_OPTIONS + CONFIG_GROUP_OPTIONS) {
        text_format(loading->option[loading->options], sizeof loading->option[0], "%s", key);
        at = &loading->option_at[loading->options++];
    }
    if (at && *at && strcmp(before, value) != 0)
        return refuse_line(&loading->reader, "gives %s another value than line %d does (%s): take one of them away", key, *at, before);
    if (at) *at = loading->reader.line;
    return 0;
}

/* The value of a key or option as text; "" where it has none. */
static void value_of(const struct config *config, const char *key, char *text, size_t size)
{
    const int k = config_find(key);
    const char *option = k < 0 ? config_option(config, key) : NULL;
    if (k >= 0)
        config_value(config, k, text, size);
    else
        text_format(text, size, "%s", option ? option : "");
}

static int take_checked(struct reader *reader, const char *key, const char *value)
{
    struct loading *loading = (struct loading *)reader;
    char where[512], before[CONFIG_TEXT], now[CONFIG_TEXT];
    const char *strange = text_strange_end(key), *comment = strstr(value, " #");
    if (!comment) comment = strstr(value, "\t#");
    if (strange) return refuse_line(reader, "holds %s, which is no blank and no quote here: take it away", strange);
    if (comment && loading->origin != ORIGIN_CHECKPOINT)
        return refuse_line(reader, "holds \"%.40s\": a comment behind a value begins with \" ;\"", comment + 1);
    text_format(where, sizeof where, "in %s, line %d", reader->name, reader->line);
    value_of(loading->config, key, before, sizeof before);
    if (config_set(loading->config, key, value, loading->origin, where, &reader->err)) return reader->err.code;
    value_of(loading->config, key, now, sizeof now);
    return check_twice(loading, key, before, now);
}

static int tell(struct reader *reader, const char *key, const char *value)
{
    const struct telling *telling = (struct telling *)reader;
    telling->visit(telling->user, key, value);
    return 0;
}

/* libinih calls this right after the line was read, so reader->line is its number. */
static int take_entry(void *user, const char *section, const char *name, const char *value)
{
    struct reader *reader = user;
    if (reader->err.code) return 0;
    char key[256];
    section += strspn(section, " \t");
    int length = (int)strlen(section);
    while (length > 0 && isspace((unsigned char)section[length - 1])) length--;
    /* A name with a dot is a whole key, wherever it stands, but for "agent.play" below [group]. */
    const char *dot = strchr(name, '.');
    const bool of_group = dot && !strchr(dot + 1, '.') && length == 5 && strncmp(section, "group", 5) == 0 && config_find(name) < 0 &&
                          strncmp(name, "env.", strlen("env.")) != 0;
    const bool whole = !length || (dot && !of_group);
    if (!text_format(key, sizeof key, "%.*s%s%s", whole ? 0 : length, section, whole ? "" : ".", name)) {
        error_set(&reader->err, EXIT_USAGE, "%s, line %d: no key is that long", reader->name, reader->line);
        return 0;
    }
    return reader->take(reader, key, value) == 0;
}

static int read_entries(struct reader *reader, const char *text, struct error *err)
{
    static const char byte_order_mark[] = "\xef\xbb\xbf";
    reader->next = strncmp(text, byte_order_mark, 3) == 0 ? text + 3 : text;
    const int line = ini_parse_stream(read_line, reader, take_entry, reader);
    if (reader->err.code) return error_set(err, EXIT_USAGE, "%s", reader->err.text);
    if (line < 0) return error_set(err, EXIT_USAGE, "%s: libinih could not read it", reader->name);
    if (line > 0) return error_set(err, EXIT_USAGE, "%s, line %d is no line of a configuration file", reader->name, line);
    return 0;
}

int config_load_text(struct config *config, const char *text, const char *name, int origin, struct error *err)
{
    struct loading loading = {.reader = {.name = name, .take = take_checked}, .config = config, .origin = origin};
    return read_entries(&loading.reader, text, err);
}

int config_entries(const char *text, const char *name, void (*visit)(void *user, const char *key, const char *value), void *user,
                   struct error *err)
{
    struct telling telling = {.reader = {.name = name, .take = tell}, .visit = visit, .user = user};
    return read_entries(&telling.reader, text, err);
}

int config_load(struct config *config, const char *path, int origin, struct error *err)
{
    char *text;
    int code = config_file_read(path, &text, err);
    if (code == 0) code = config_load_text(config, text, path, origin, err);
    free(text);
    return code;
}

/* ---- writing ------------------------------------------------------------------------------------------------------------------------- */

static const char *origin_text(int origin)
{
    static const char *const texts[] = {
        "", "the environment's preset: ", "the variant: ", "preset: ", "checkpoint: ", "--config: ", "command line: "};
    return texts[origin];
}

static void write_comment(FILE *out, int origin, const char *help)
{
    char text[2048];
    text_format(text, sizeof text, "%s%s", origin_text(origin), help);
    fputs("# ", out);
    help_wrap(out, text, 2, 100);
}

static const char first_line[] = "# The effective configuration of a run of mappo. `mappo --config FILE` loads it.\n";
/* The last line. Its number tells whether a person edited the file. */
static const char checksum_line[] = "\n# written by mappo; checksum of the lines above: ";

enum config_author config_author(const char *text)
{
    if (strncmp(text, first_line, strlen(first_line)) != 0) return AUTHOR_PERSON;
    const char *line = strstr(text, checksum_line);
    if (!line) return AUTHOR_OLD_RUN;
    char digits[24];
    text_format(digits, sizeof digits, "%016llx\n", (unsigned long long)hash_bytes(HASH_START, text, (size_t)(line - text)));
    return strcmp(line + strlen(checksum_line), digits) == 0 ? AUTHOR_RUN : AUTHOR_PERSON;
}

static void write_text(const struct config *config, FILE *out)
{
    char value[CONFIG_TEXT], key[128];
    const char *section = "";
    fputs(first_line, out);
    for (int k = 0; k < CONFIG_KEYS; k++) {
        const struct config_key *entry = &config_keys[k];
        if (entry->flags & NOT_STORED) continue;
        if (strcmp(section, entry->section) != 0) {
            section = entry->section;
            fprintf(out, "\n[%s]\n", section);
        }
        config_value(config, k, value, sizeof value);
        write_comment(out, config->origin[k], entry->help);
        fprintf(out, "%s = %s\n", entry->name, value);
        bool last_of_env = strcmp(section, "env") == 0 && (k + 1 == CONFIG_KEYS || strcmp(config_keys[k + 1].section, "env") != 0);
        /* scripts/plot.py reads this. */
        if (k == KEY_env_name && config->env_id[0] && strcmp(config->env_id, config->env_name) != 0)
            fprintf(out, "# the plugin of %s\n", config->env_id);
        if (k == KEY_env_name && config->env_variant[0]) fprintf(out, "# with these options the variant %s\n", config->env_variant);
        if (last_of_env && config->env_options) fputs("# its options (`mappo envs ENV` explains them)\n", out);
        for (int i = 0; last_of_env && i < config->env_options; i++)
            fprintf(out, "%s = %s\n", config->env_option[i].name, config->env_option[i].value);
    }
    if (config->group_options) fputs("\n[group]\n", out);
    const struct config_option *option;
    for (int i = config->env_options; (option = config_option_at(config, i, key, sizeof key)); i++) {
        write_comment(out, option->origin, config_group_key(key)->help);
        fprintf(out, "%s = %s\n", key, option->value);
    }
}

/* help_wrap breaks lines with blanks in front; in an ini file each must be a comment of its own. */
static char *comment_continuations(const char *text)
{
    size_t size;
    char *result;
    FILE *out = open_memstream(&result, &size);
    if (!out) die(EXIT_INTERNAL, "out of memory while writing the configuration");
    for (const char *c = text; *c; c++) {
        fputc(*c, out);
        if (*c == '\n' && c[1] == ' ') fputc('#', out), c++;
    }
    fclose(out);
    return result;
}

/* The name of the first key that did not come back, in `name`. */
static bool reads_back(const struct config *config, const struct config *read, char *name, size_t size)
{
    char wanted[CONFIG_TEXT], got[CONFIG_TEXT], key[128];
    for (int k = 0; k < CONFIG_KEYS; k++) {
        if (config_keys[k].flags & NOT_STORED) continue;
        config_value(config, k, wanted, sizeof wanted);
        config_value(read, k, got, sizeof got);
        text_format(name, size, "%s.%s=%s", config_keys[k].section, config_keys[k].name, wanted);
        if (strcmp(wanted, got) != 0) return false;
    }
    const struct config_option *option;
    for (int i = 0; (option = config_option_at(config, i, key, sizeof key)); i++) {
        const char *value = config_option(read, key);
        text_format(name, size, "%s=%s", key, option->value);
        if (!value || strcmp(value, option->value) != 0) return false;
    }
    return true;
}

int config_write(const struct config *config, FILE *out, struct error *err)
{
    char *text, name[CONFIG_TEXT + 128];
    size_t size;
    FILE *memory = open_memstream(&text, &size);
    if (!memory) die(EXIT_INTERNAL, "out of memory while writing the configuration");
    write_text(config, memory);
    fclose(memory);
    char *ini = comment_continuations(text);
    free(text);

    struct config *read = malloc(sizeof *read);
    if (!read) die(EXIT_INTERNAL, "out of memory while writing the configuration");
    config_defaults(read);
    int code = config_load_text(read, ini, "config.ini", ORIGIN_CHECKPOINT, err); /* what is held already may stay */
    if (code)
        error_prefix(err, "a setting can't be kept in an ini file");
    else if (!reads_back(config, read, name, sizeof name))
        code = error_set(err, EXIT_USAGE, "%s can't be kept in an ini file: a value may not hold \" ;\" or begin or end with blanks", name);
    else if (fprintf(out, "%s%s%016llx\n", ini, checksum_line, (unsigned long long)hash_bytes(HASH_START, ini, strlen(ini))) < 0)
        code = error_set(err, EXIT_INTERNAL, "cannot write the configuration: %s", strerror(errno));
    free(read);
    free(ini);
    return code;
}

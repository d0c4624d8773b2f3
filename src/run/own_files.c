#include "run/own_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"
#include "run/saved_run.h"

/* ---- config.ini ---------------------------------------------------------------------------------------------------------------------- */

enum { CONFIG_MOST = 1 << 20 };

/* What a run that goes on doesn't take from the file: what was given now is in force anyway. */
static const struct config_comparison ignored = {
    .given = true, .not_given_then = true, .by_id = true, .none_of = NOT_STORED, .words = {" is ", " there, ", " in force"}};
/* Of that, what no leg of the run can have written. */
static const struct config_comparison never_ours = {
    .given = true, .not_given_then = true, .by_id = true, .none_of = NOT_STORED | CHANGEABLE, .words = {" is ", " there, ", " in force"}};
/* What a new run has otherwise. */
static const struct config_comparison otherwise = {
    .given = true, .by_id = true, .none_of = NOT_STORED, .words = {" is ", " there, ", " in force"}};

/* A config.ini that stands in the folder already. */
struct found {
    bool there, kept;  /* kept: it is not as a run left it */
    bool fixed;        /* some of `differs` can't change in a run that continues */
    char differs[500]; /* what it says and is not in force */
};

static void compare(struct found *found, const char *path, const char *text, const struct config *config, bool continued)
{
    struct error err = {0};
    struct config *says = malloc(sizeof *says);
    CHECK(says, "out of memory while reading %s", path);
    config_defaults(says);
    const enum config_author author = config_author(text);
    const bool readable = config_load_text(says, text, path, ORIGIN_FILE, &err) == 0;
    if (readable) {
        saved_run_plain_options(says, config->env_name);
        found->fixed = config_differences(says, config, &never_ours, found->differs, sizeof found->differs) > 0;
        found->differs[0] = '\0';
        /* A run that ended before it saved may have begun with other settings than its checkpoint, but only with those that may change. */
        if (!continued || author != AUTHOR_RUN || found->fixed)
            config_differences(says, config, continued ? &ignored : &otherwise, found->differs, sizeof found->differs);
    }
    found->kept = !readable || author == AUTHOR_PERSON || found->differs[0];
    free(says);
}

static void look_at(struct found *found, const char *path, const struct config *config, bool continued)
{
    char *text;
    size_t size;
    struct stat info;
    *found = (struct found){.there = lstat(path, &info) == 0};
    if (!found->there) return;
    if (file_read(path, CONFIG_MOST, &text, &size, NULL)) {
        found->kept = true;
        return;
    }
    compare(found, path, text, config, continued);
    free(text);
}

static bool was_read(const struct arguments *args, const char *path)
{
    bool read = false;
    for (int i = 0; i < args->files; i++) read = read || file_same(args->file[i], path);
    return read;
}

/* `moved`: where the file is now; empty where it stays. */
static void warn_edited(const struct found *found, const char *path, const char *moved)
{
    char advice[4200] = "give that on the command line";
    if (found->fixed) text_format(advice, sizeof advice, "begin a new run with --config %s run=DIR", moved[0] ? moved : path);
    if (found->differs[0])
        warn("%s was edited: %s; a run that continues takes its settings from its checkpoint: %s%s%s", path, found->differs, advice,
             moved[0] ? "; the edited file is now " : "", moved);
    else if (moved[0])
        warn("%s was edited, and is written anew; the edited file is now %s", path, moved);
}

static void warn_new(const struct found *found, const char *path, const char *moved, bool read)
{
    if (found->differs[0] && !read)
        warn("%s was there before this run, which did not read it and writes its own: it is now %s (--config %s reads it)", path, moved,
             moved);
    else
        warn("%s was there before this run, which writes its own: it is now %s", path, moved);
}

/* Sets aside what is not as a run left it. */
static int make_room(const char *path, const struct config *config, const struct arguments *args, bool continued, struct error *err)
{
    struct found found;
    char moved[4096];
    look_at(&found, path, config, continued);
    if (!found.there || !found.kept) return 0;
    const bool read = was_read(args, path);
    const int code = file_set_aside(path, moved, sizeof moved, err);
    if (code) return code;
    if (continued)
        warn_edited(&found, path, moved);
    else
        warn_new(&found, path, moved, read);
    return 0;
}

static bool stands_there(const char *path, const char *text, size_t size)
{
    char *there;
    size_t length;
    if (file_read(path, CONFIG_MOST, &there, &length, NULL)) return false;
    const bool same = length == size && memcmp(there, text, size) == 0;
    free(there);
    return same;
}

int own_config_write(const char *folder, const struct config *config, const struct arguments *args, bool continued, struct error *err)
{
    char *text = NULL, path[CONFIG_TEXT + 96];
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    CHECK(out, "out of memory while writing config.ini");
    int code = config_write(config, out, err);
    fclose(out);
    text_format(path, sizeof path, "%s/config.ini", folder);
    if (!code && !stands_there(path, text, size)) {
        code = make_room(path, config, args, continued, err);
        if (!code) code = file_replace(path, &(struct file_part){text, size}, 1, err);
    }
    free(text);
    return code;
}

void own_config_check(const char *folder, const struct config *config)
{
    struct found found;
    char path[CONFIG_TEXT + 96];
    text_format(path, sizeof path, "%s/config.ini", folder);
    look_at(&found, path, config, true);
    if (found.kept) warn_edited(&found, path, "");
}

/* ---- files that grow ----------------------------------------------------------------------------------------------------------------- */

int own_file_open(FILE **file, const char *path, struct error *err)
{
    *file = fopen(path, "a+e");
    return *file ? 0 : error_set(err, EXIT_USAGE, "%s: can't be written: %s", path, strerror(errno));
}

bool own_file_look(FILE *file, const char *path)
{
    char moved[4096];
    struct error err = {0};
    if (!file_return(file, path, moved, sizeof moved, &err)) return true;
    if (err.code)
        warn("%s was taken away while the run writes it: %s", path, err.text);
    else if (moved[0])
        warn("%s was replaced while the run writes it: what stood there is now %s, and it is written anew with all lines", path, moved);
    else
        warn("%s was taken away while the run writes it: it is written anew with all lines", path);
    return !err.code;
}

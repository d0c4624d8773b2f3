/* Where a run ran, what it said, and how it ended. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "report/parts.h"
#include "run/checkpoint.h"

enum { LOG_MOST = 64 << 20, LOG_LINES = 60 };

/* What a page tells of a checkpoint, in this order. */
static const struct {
    const char *attribute, *name;
} machine[] = {{"host", "host"},
               {"program", "program"},
               {"backend", "computes on"},
               {"instruction_level", "instructions"},
               {"ranks", "ranks"},
               {"threads_per_rank", "threads a rank"},
               {"mpi", "MPI"},
               {"hdf5", "HDF5"},
               {"slurm_job", "Slurm job"}};

static void write_machine(FILE *out, const struct run_told *run)
{
    struct checkpoint_name *name;
    struct checkpoint *file = NULL;
    char path[4096];
    const int count = checkpoint_list(run->path, &name);
    for (int i = 0; i < count && !file; i++) {
        text_format(path, sizeof path, "%s/%s", run->path, name[i].name);
        if (checkpoint_open(&file, path, NULL)) file = NULL;
    }
    free(name);
    fprintf(out, ",\"checkpoints\":%d,\"machine\":[", count);
    for (size_t i = 0, told = 0; file && i < sizeof machine / sizeof *machine; i++) {
        const char *value = checkpoint_attribute(file, machine[i].attribute);
        if (!value || !value[0]) continue;
        fputs(told++ ? ",[" : "[", out);
        text_json_string(out, machine[i].name);
        fputc(',', out);
        text_json_string(out, value);
        fputc(']', out);
    }
    fputs("],\"saved\":", out);
    const char *saved = file ? checkpoint_attribute(file, "saved_at") : NULL;
    text_json_string(out, saved ? saved : "");
    checkpoint_close(file);
}

/* The last lines of log.txt. */
static char *end_of_log(const struct run_told *run)
{
    char path[4096], *text;
    size_t size;
    text_format(path, sizeof path, "%s/log.txt", run->path);
    if (file_read(path, LOG_MOST, &text, &size, NULL)) return NULL;
    const char *from = text + strlen(text);
    for (int lines = 0; from > text && lines <= LOG_LINES; from--) lines += from[-1] == '\n';
    if (from > text) from++;
    char *end = strdup(from);
    CHECK(end, "out of memory reading a log");
    free(text);
    return end;
}

/* Where nobody owns a run that did not come to its end: did it say that it stops? Lines begin with a time and a blank. */
static const char *how_it_ended(const struct run_told *run, const char *last)
{
    const char *said = strchr(last, ' ');
    if (run->state != RUN_STOPPED) return "";
    return said && strstr(said, " env-steps, ") && strstr(said, " after ") ? "said" : "unsaid";
}

void story_write(FILE *out, const struct run_told *run)
{
    write_machine(out, run);
    char *text = end_of_log(run), *rest = NULL;
    const char *last = "";
    fputs(",\"log\":[", out);
    int told = 0;
    for (char *line = text ? strtok_r(text, "\n", &rest) : NULL; line; line = strtok_r(NULL, "\n", &rest)) {
        if (told++) fputc(',', out);
        text_json_string(out, line);
        if (!strstr(line, "/latest.h5")) last = line;
    }
    fputs("],\"ended\":", out);
    text_json_string(out, how_it_ended(run, last));
    free(text);
}

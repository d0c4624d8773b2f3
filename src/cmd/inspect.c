/* mappo inspect: what a checkpoint holds, whether it is whole, and what two of them differ in. It knows no names: what stands in the file
 * is walked as it is. */
#include "cmd/inspect.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"
#include "cmd/cmd.h"
#include "run/folder.h"
#include "run/replay_file.h"
#include "run/saved_run.h"

/* ---- numbers ------------------------------------------------------------------------------------------------------------------------- */

int64_t inspect_elements(const struct field *field)
{
    int64_t count = 1;
    for (int i = 0; i < field->rank; i++) count *= field->shape[i];
    return count;
}

/* Data in the image are not aligned. */
double inspect_number(const struct field *field, int64_t i)
{
    const char *data = field->data;
    union {
        real r;
        double d;
        int64_t i;
        uint64_t u;
        int32_t i32;
    } value;
    switch (field->type) {
    case FIELD_REAL:
        memcpy(&value.r, data + (size_t)i * sizeof value.r, sizeof value.r);
        return (double)value.r;
    case FIELD_DOUBLE:
        memcpy(&value.d, data + i * 8, 8);
        return value.d;
    case FIELD_INT64:
        memcpy(&value.i, data + i * 8, 8);
        return (double)value.i;
    case FIELD_UINT64:
        memcpy(&value.u, data + i * 8, 8);
        return (double)value.u;
    case FIELD_INT32:
        memcpy(&value.i32, data + i * 4, 4);
        return value.i32;
    default:
        return (double)(uint8_t)data[i];
    }
}

struct statistics inspect_statistics(const struct field *field, int fields)
{
    struct statistics s = {.count = 0};
    double sum = 0, squares = 0, centred = 0;
    for (int f = 0; f < fields; f++)
        for (int64_t i = 0, all = inspect_elements(&field[f]); i < all; i++) {
            const double x = inspect_number(&field[f], i);
            if (!isfinite(x)) {
                s.not_finite++;
                continue;
            }
            s.count++;
            sum += x;
            squares += x * x;
        }
    s.mean = s.count > 0 ? sum / (double)s.count : NAN;
    for (int f = 0; f < fields; f++)
        for (int64_t i = 0, all = inspect_elements(&field[f]); i < all; i++) {
            const double x = inspect_number(&field[f], i);
            if (isfinite(x)) centred += (x - s.mean) * (x - s.mean);
        }
    s.deviation = s.count > 0 ? sqrt(centred / (double)s.count) : NAN;
    s.norm = sqrt(squares);
    return s;
}

void inspect_shape(const struct field *field, char *text, size_t size)
{
    size_t at = 0;
    text[0] = '\0';
    for (int i = 0; i < field->rank && at < size; i++)
        at +=
            (size_t)snprintf(text + at, size - at, "%s%" PRId64 "%s", i == 0 ? "[" : ",", field->shape[i], i == field->rank - 1 ? "]" : "");
}

static void grouped(char *text, size_t size, const char *digits)
{
    const bool minus = digits[0] == '-';
    const size_t n = strlen(digits) - minus;
    size_t at = 0;
    if (minus) text[at++] = '-';
    for (size_t i = 0; i < n && at + 2 < size; i++) {
        if (i > 0 && (n - i) % 3 == 0) text[at++] = ',';
        text[at++] = digits[minus + i];
    }
    text[at] = '\0';
}

void inspect_value(const struct field *field, int64_t i, char *text, size_t size)
{
    char digits[32];
    const char *data = (const char *)field->data + i * 8;
    int64_t signed_value;
    uint64_t value;
    switch (field->type) {
    case FIELD_INT64:
        memcpy(&signed_value, data, 8);
        text_format(digits, sizeof digits, "%" PRId64, signed_value);
        grouped(text, size, digits);
        break;
    case FIELD_UINT64:
        memcpy(&value, data, 8);
        text_format(digits, sizeof digits, "%" PRIu64, value);
        if (value >> 48) /* a hash, not a count */
            text_format(text, size, "0x%016" PRIx64, value);
        else
            grouped(text, size, digits);
        break;
    case FIELD_DOUBLE: /* not known yet, as the best return before the first evaluation */
        if (isnan(inspect_number(field, i))) {
            text_format(text, size, "none");
            break;
        }
        /* fallthrough */
    default:
        text_format(text, size, "%.6g", inspect_number(field, i));
    }
}

/* ---- checking ------------------------------------------------------------------------------------------------------------------------ */

/* What came of a checkpoint and its replay. */
struct verdict {
    const char *path;
    struct checkpoint *file; /* NULL: it is not whole */
    char replay[4096];       /* empty: it has none */
    bool replay_there;
    struct error err;
};

static int judge(struct verdict *v, const char *path, bool needs_replay)
{
    struct checkpoint_stream *replay = NULL;
    *v = (struct verdict){.path = path};
    int code = checkpoint_open(&v->file, path, &v->err);
    if (code != EXIT_DONE || !replay_file_beside(v->file, path, v->replay, sizeof v->replay)) return code;
    v->replay_there = file_exists(v->replay);
    if (v->replay_there || needs_replay) code = replay_file_open(&replay, v->file, path, &v->err);
    checkpoint_stream_close(replay);
    return code;
}

static void tell_json(const struct verdict *v, int code)
{
    printf("{\"file\": ");
    text_json_string(stdout, v->path);
    if (v->file != NULL)
        printf(", \"whole\": true, \"bytes\": %zu, \"sha256\": \"%s\"", checkpoint_bytes(v->file), checkpoint_digest(v->file));
    else
        printf(", \"whole\": false");
    if (v->replay[0] != '\0') {
        printf(", \"replay\": ");
        text_json_string(stdout, v->replay);
        printf(", \"replay_whole\": %s", v->replay_there && code == EXIT_DONE ? "true" : "false");
    }
    if (code != EXIT_DONE) {
        printf(", \"error\": ");
        text_json_string(stdout, v->err.text);
    }
    printf("}\n");
}

static void tell(const struct verdict *v, int code)
{
    char size[32];
    if (code != EXIT_DONE) {
        error_report(&v->err);
        return;
    }
    text_bytes(size, sizeof size, (double)checkpoint_bytes(v->file));
    printf("%s: whole (%s, SHA-256 %s)", v->path, size, checkpoint_digest(v->file));
    if (v->replay[0] != '\0') printf("; its replay %s %s", v->replay, v->replay_there ? "too" : "is not there any more");
    printf("\n");
}

static int check_file(const char *path, bool needs_replay, bool json)
{
    struct verdict v;
    const int code = judge(&v, path, needs_replay);
    (json ? tell_json : tell)(&v, code);
    checkpoint_close(v.file);
    return code;
}

static bool has_ended(const char *run, const struct checkpoint_name *newest)
{
    struct checkpoint *file = NULL;
    struct error ignored = {0};
    char full[4096];
    text_format(full, sizeof full, "%s/%s", run, newest->name);
    const bool ended = checkpoint_open(&file, full, &ignored) == EXIT_DONE && saved_run_finished(file, full);
    checkpoint_close(file);
    return ended;
}

/* A file, or every checkpoint of a run, of which the newest need their replays if the run was not finished. */
static int check(const char *path, bool json)
{
    struct stat info;
    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode)) return check_file(path, false, json);
    struct checkpoint_name *name;
    const int count = checkpoint_list(path, &name);
    const bool goes_on = count > 0 && !has_ended(path, name);
    int worst = EXIT_DONE;
    for (int i = 0; i < count; i++) {
        char full[4096];
        text_format(full, sizeof full, "%s/%s", path, name[i].name);
        const int code = check_file(full, goes_on && i < REPLAYS_KEPT, json);
        if (code != EXIT_DONE) worst = code;
        if (code == EXIT_DONE && name[i].named != name[i].env_steps)
            warn("%s holds %" PRId64 " env-steps, not %" PRId64 " as its name says", full, name[i].env_steps, name[i].named);
    }
    free(name);
    if (count > 0) return worst;
    struct error err = {0};
    error_set(&err, EXIT_CHECKPOINT, "%s: there is no checkpoint (step-*.h5) in this folder", path);
    return error_report(&err);
}

/* ---- the command --------------------------------------------------------------------------------------------------------------------- */

static int inspect(const struct arguments *args)
{
    struct error err = {0};
    int code = EXIT_DONE;
    if (args->check) {
        for (int i = 0; i < args->operands; i++) {
            const int one = check(args->operand[i], args->json);
            if (one != EXIT_DONE) code = one;
        }
        return code;
    }
    struct inspected file[2] = {{.file = NULL}, {.file = NULL}};
    for (int i = 0; i < args->operands && code == EXIT_DONE; i++)
        code = saved_run_open(args->operand[i], false, &file[i].file, file[i].path, sizeof file[i].path, &err);
    if (code != EXIT_DONE)
        error_report(&err);
    else if (args->operands == 2)
        code = inspect_compare(stdout, &file[0], &file[1], args->json);
    else if (args->json)
        inspect_show_json(stdout, &file[0]);
    else
        inspect_show(stdout, &file[0]);
    for (int i = 0; i < 2; i++) checkpoint_close(file[i].file);
    return code;
}

int cmd_inspect(const struct arguments *args, struct comm *comm)
{
    return cmd_on_first_rank(inspect, args, comm);
}

/* mappo seeds=…: which seeds, and who trains them. */
#include "cmd/seeds.h"

#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "cmd/cmd.h"
#include "run/run_list.h"

enum { SEEDS_MOST = 1000 };

bool seeds_asked(const struct arguments *args)
{
    char key[128];
    for (int i = 0; i < args->assignments; i++) {
        assignment_split(args->assignment[i], key, sizeof key);
        if (strcmp(key, "seeds") == 0) return true;
    }
    return false;
}

int seeds_worse(int code, int other)
{
    static const int mild[] = {0, EXIT_CONTINUE, EXIT_STOPPED};
    int rank[2] = {3, 3};
    for (int m = 0; m < 3; m++) {
        if (code == mild[m]) rank[0] = m;
        if (other == mild[m]) rank[1] = m;
    }
    return rank[1] > rank[0] ? other : code;
}

int seeds_first_round(int count, int places)
{
    const int left = count % places;
    return left ? left : places;
}

void seeds_say_left_out(const struct seeds *seeds, const struct seed *seed, bool began)
{
    struct run_told run;
    struct error ignored = {0};
    if (run_read(&run, seed->path, false, &ignored)) return; /* it has no run whose fault it could be */
    const bool is = !began || run.state == RUN_DAMAGED;
    run_forget(&run);
    if (!is) return;
    warn("%s: is left out, the others go on; to begin it alone anew: the same command with seed=%lld --fresh in place of seeds=%s",
         seed->label, (long long)seed->number, seeds->value);
}

/* ---- the list -------------------------------------------------------------------------------------------------------------------------- */

static int bad_list(const char *value, const char *part, const char *why, struct error *err)
{
    return error_set(err, EXIT_USAGE, "seeds=%s: \"%s\" %s; a list is written seeds=1-5, seeds=1,2,7 or seeds=1-3,9", value, part, why);
}

static int add_seed(struct seeds *seeds, const char *value, int64_t number, struct error *err)
{
    for (int i = 0; i < seeds->count; i++)
        if (seeds->seed[i].number == number)
            return error_set(err, EXIT_USAGE, "seeds=%s names %lld twice, which would be one run", value, (long long)number);
    if (seeds->count == SEEDS_MOST) return error_set(err, EXIT_USAGE, "seeds=%.60s: more than %d seeds", value, SEEDS_MOST);
    struct seed *seed = &seeds->seed[seeds->count++];
    *seed = (struct seed){.number = number};
    text_format(seed->label, sizeof seed->label, "seed %lld", (long long)number);
    return 0;
}

/* "7", "1-5", and "1..5" as slurm/sweep.sh counts. */
static int add_part(struct seeds *seeds, const char *value, const char *part, struct error *err)
{
    char first[64], highest[32];
    int64_t low, high;
    const struct config_key *key = &config_keys[KEY_train_seed];
    const char *dash = strstr(part, "..") ? strstr(part, "..") : strchr(part, '-');
    text_format(first, sizeof first, "%.*s", (int)(dash ? dash - part : (long)strlen(part)), part);
    const char *last = dash ? dash + (*dash == '.' ? 2 : 1) : first;
    if (!text_to_int(first, &low) || !text_to_int(last, &high)) return bad_list(value, part, "is no seed", err);
    text_short_real(highest, sizeof highest, key->high);
    if ((double)low < key->low || (double)high > key->high)
        return error_set(err, EXIT_USAGE, "seeds=%s: \"%s\" is out of range %g..%s", value, part, key->low, highest);
    if (low > high) return bad_list(value, part, "counts down", err);
    if (high - low >= SEEDS_MOST) return error_set(err, EXIT_USAGE, "seeds=%.60s: more than %d seeds", value, SEEDS_MOST);
    int code = 0;
    for (int64_t number = low; number <= high && !code; number++) code = add_seed(seeds, value, number, err);
    return code;
}

static int read_list(struct seeds *seeds, const char *value, struct error *err)
{
    char part[128];
    int code = 0;
    text_format(seeds->value, sizeof seeds->value, "%s", value);
    for (const char *at = value; !code; at++) {
        const size_t length = strcspn(at, ",");
        if (!text_format(part, sizeof part, "%.*s", (int)length, at) || !*part) return bad_list(value, part, "is no seed", err);
        code = add_part(seeds, value, part, err);
        at += length;
        if (!*at) break;
    }
    return code;
}

/* ---- the runs -------------------------------------------------------------------------------------------------------------------------- */

/* What would be the same for all of them. */
static int check_settings(const struct seeds *seeds, const struct config *config, struct error *err)
{
    if (config_is_explicit(config->origin[KEY_train_seed]))
        return error_set(err, EXIT_USAGE, "seeds=%s and seed=%lld %s: leave one of them out", seeds->value, (long long)config->train_seed,
                         config_origin_where(config->origin[KEY_train_seed]));
    if (config->run_dir[0] && seeds->count > 1)
        return error_set(err, EXIT_USAGE, "run=%s would be the folder of %d runs: leave it out, each has one of its own", config->run_dir,
                         seeds->count);
    return 0;
}

static int find_runs(struct seeds *seeds, struct config *config, struct error *err)
{
    int code = config_build(config, seeds->args, cmd_find_env, err);
    if (!code) code = check_settings(seeds, config, err);
    config->origin[KEY_train_seed] = ORIGIN_COMMAND_LINE;
    for (int i = 0; i < seeds->count && !code; i++) {
        config->train_seed = seeds->seed[i].number;
        config_run_folder(config, seeds->seed[i].path, sizeof seeds->seed[i].path);
        metrics_file_begin(&seeds->seed[i].metrics, seeds->seed[i].path);
    }
    return code;
}

static int worst_code(const struct seeds *seeds)
{
    int code = 0;
    for (int i = 0; i < seeds->count; i++) code = seeds_worse(code, seeds->seed[i].code);
    return code;
}

static int train(struct seeds *seeds, struct config *config, struct comm *comm)
{
    struct error err = {0};
    int code = comm_vote(comm, find_runs(seeds, config, &err), &err);
    error_report(&err);
    if (code) return code;
    if (comm->rank == 0) config_warn_left_out(config);
    if (comm->size > 1)
        seeds_run_on_ranks(seeds, comm);
    else
        seeds_run_alone(seeds, comm);
    code = worst_code(seeds);
    comm_broadcast(comm, &code, sizeof code);
    if (comm->rank || seeds->refused || seeds->args->dry_run) return code;
    if (seeds->args->json)
        seeds_print_json(seeds, code);
    else
        seeds_print_table(seeds, code);
    return code;
}

int seeds_train(const struct arguments *given, struct comm *comm)
{
    struct error err = {0};
    struct arguments *args = malloc(sizeof *args);
    struct config *config = calloc(1, sizeof *config);
    struct seeds seeds = {.seed = calloc(SEEDS_MOST, sizeof *seeds.seed), .args = args, .config = config};
    CHECK(args && config && seeds.seed, "out of memory");
    *args = *given;
    int code = comm_vote(comm, read_list(&seeds, arguments_take(args, "seeds"), &err), &err);
    error_report(&err);
    if (!code) code = train(&seeds, config, comm);
    for (int i = 0; i < seeds.count; i++) metrics_file_end(&seeds.seed[i].metrics);
    free(seeds.seed);
    free(config);
    free(args);
    return code;
}

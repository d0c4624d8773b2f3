/* Several seeds on ranks: rounds of runs side by side, each on a part of the ranks. Which seed is trained by which ranks hangs on the list and on how
 * many ranks there are, never on how far they are, so that the same command continues each on as many ranks as before, to the bit. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "cmd/seeds.h"
#include "comm/placement.h"
#include "run/stop.h"
#include "run/trainer.h"

struct shift { /* one round's share of the ranks */
    struct comm *world, *ranks;
    struct seeds *seeds;
    int first, runs; /* of the round: seeds [first, first + runs) */
    int mine;        /* the seed that this rank helps to train */
};

/* Threads that each rank may have beside all others, whichever run they serve. */
static int share_cores(struct comm *world, const struct config *config)
{
    struct placement placement;
    placement_find(&placement, world, (int)config->train_threads);
    double threads = placement.threads; /* ranks of one run must agree */
    comm_min_double(world, &threads, 1);
    return (int)threads;
}

/* A person's STOP in the folder of one run is for all of them; the others look for theirs. */
static void leave_stop_files(const struct shift *shift)
{
    char path[CONFIG_TEXT + 80];
    for (int i = shift->first; i < shift->first + shift->runs; i++) {
        text_format(path, sizeof path, "%s/STOP", shift->seeds->seed[i].path);
        FILE *file = i == shift->mine ? NULL : fopen(path, "we");
        if (file) fclose(file);
    }
}

/* Those that came too late. */
static void remove_stop_file(const struct shift *shift)
{
    char path[CONFIG_TEXT + 80];
    text_format(path, sizeof path, "%s/STOP", shift->seeds->seed[shift->mine].path);
    unlink(path);
}

static int train(const struct shift *shift, int threads, double seconds)
{
    const struct seed *seed = &shift->seeds->seed[shift->mine];
    struct config *config = malloc(sizeof *config);
    struct arguments *args = malloc(sizeof *args);
    CHECK(config && args, "out of memory");
    *config = *shift->seeds->config;
    *args = *shift->seeds->args;
    config->train_seed = seed->number;
    config->train_threads = threads;
    if (config->train_max_seconds > 0)
        config->train_max_seconds = config->train_max_seconds > seconds + 1 ? config->train_max_seconds - seconds : 1;
    if (!args->dry_run) args->quiet = true; /* of each run its last line; its progress has the label */
    if (!args->dry_run && !shift->seeds->args->quiet && !args->json) text_format(args->label, sizeof args->label, "%s", seed->label);
    args->silent = args->json && !args->dry_run;
    args->json = args->json && args->dry_run;
    check_label(seed->label, shift->ranks->rank, shift->ranks->size);
    const int code = trainer_run(config, args, shift->ranks);
    check_label("", shift->world->rank, shift->world->size);
    fflush(stdout);
    free(config);
    free(args);
    return code;
}

/* Every rank learns how all runs of the round have ended. */
static void gather_codes(struct shift *shift, int code)
{
    for (int i = shift->first; i < shift->first + shift->runs; i++) {
        double worst = i == shift->mine ? code : 0;
        comm_max_double(shift->world, &worst, 1);
        shift->seeds->seed[i].code = (int)worst;
    }
}

static void run_round(struct shift *shift, int threads, double seconds)
{
    struct comm *world = shift->world;
    const int part = comm_part_owner(world->size, world->rank, shift->runs);
    shift->mine = shift->first + part;
    shift->ranks = comm_split(world, part, false);
    shift->ranks->device_offset = world->local_rank - shift->ranks->local_rank; /* GPUs are divided among all ranks of a node */
    int code = 0;
    if (!shift->seeds->args->dry_run) {
        code = train(shift, threads, seconds);
        if (code == EXIT_STOPPED && shift->ranks->rank == 0) leave_stop_files(shift);
    }
    for (int i = 0; i < shift->runs && shift->seeds->args->dry_run; i++) { /* lines in their order */
        if (i == part) code = train(shift, threads, seconds);
        comm_barrier(world);
    }
    gather_codes(shift, code);
    if (shift->ranks->rank == 0 && !shift->seeds->args->dry_run) remove_stop_file(shift);
    comm_close(shift->ranks);
}

/* Not one more after a mistake of the person's, or when all are to end. */
static bool goes_on(const struct shift *shift, int *stopped)
{
    for (int i = shift->first; i < shift->first + shift->runs; i++) {
        const int code = shift->seeds->seed[i].code;
        if (code == EXIT_USAGE && shift->first == 0) shift->seeds->refused = true;
        if (code == EXIT_CHECKPOINT && shift->world->rank == 0 && shift->seeds->count > 1)
            seeds_say_left_out(shift->seeds, &shift->seeds->seed[i], true);
        if (code == EXIT_USAGE || code == EXIT_STOPPED || code == EXIT_CONTINUE) *stopped = seeds_worse(*stopped, code);
    }
    return *stopped == 0;
}

static void say_plan(const struct shift *shift, int most, int threads)
{
    const struct seeds *seeds = shift->seeds;
    const int ranks = shift->world->size, first = seeds_first_round(seeds->count, most);
    char begin[96] = "";
    if (shift->world->rank || seeds->args->quiet || seeds->args->json || seeds->args->dry_run) return;
    if (first < most) text_format(begin, sizeof begin, "first %d on all %d ranks, then ", first, ranks);
    printf("%d seeds: %s%d at a time on %d ranks with %d thread%s each\n", seeds->count, begin, most, ranks, threads,
           threads == 1 ? "" : "s");
    fflush(stdout);
}

void seeds_run_on_ranks(struct seeds *seeds, struct comm *comm)
{
    const int most = comm->size < seeds->count ? comm->size : seeds->count, threads = share_cores(comm, seeds->config);
    const double began = clock_seconds();
    int stopped = 0;
    struct shift shift = {.world = comm, .seeds = seeds, .runs = seeds_first_round(seeds->count, most)};
    say_plan(&shift, most, threads);
    for (; shift.first < seeds->count; shift.first += shift.runs, shift.runs = most) {
        double seconds = clock_seconds() - began;
        comm_max_double(comm, &seconds, 1);
        run_round(&shift, threads, seconds);
        if (!goes_on(&shift, &stopped)) break;
        stop_again();
    }
    for (int i = shift.first + shift.runs; i < seeds->count; i++) {
        seeds->seed[i].code = stopped;
        seeds->seed[i].left = stopped == EXIT_USAGE;
    }
}

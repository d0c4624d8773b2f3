/* What the parts of `mappo check` share: only this folder includes it. */
#ifndef MAPPO_CHECK_WORK_H
#define MAPPO_CHECK_WORK_H

#include "check/check.h"
#include "env/verify.h"
#include "env/options.h"
#include "env/slices.h"

enum {
    CHECK_ENVS = 8,
    CHECK_ARRAYS = SLICES_MAX,
    CHECK_THREADS = 4,
    CHECK_POISON = 0xFF /* every byte of what is to be written: as a float a NaN that no arithmetic makes */
};
_Static_assert(CHECK_ARRAYS <= 128, "a bit for each array in struct check_shared");

/* ---- what is going on, in memory that parent and child share ------------------------------------------------------------------------- */

struct place {
    const char *volatile call; /* "step()"; NULL = in none */
    volatile int32_t lo, hi;   /* environments; hi = 0: not known which */
    volatile int64_t step;     /* -1 = before the first */
};

/* Pages around an array, for a crash that touches them. */
struct region {
    char name[96], shape[72]; /* " (8 environments x 3 agents x 9 numbers)" */
    const unsigned char *from, *to, *data;
    size_t bytes;
    int array;     /* which of a step's arrays; -1 = none */
    bool released; /* it was an argument of an earlier call */
};

/* Why results differ wherever they are compared: later stages would only say it in other words. */
enum cause {
    CAUSE_NO_RECORD = 1,
    CAUSE_CHANCE = 2,
    CAUSE_GLOBAL = 4,
    CAUSE_CUT = 8,
    CAUSE_SHARD = 16,
    CAUSE_RESET = 32,
    CAUSE_OBSERVE = 64,
    CAUSE_REFUSED = 128, /* a snapshot that was just taken */
    CAUSE_SNAPSHOT = 256,
    CAUSE_KEPT = 512 /* what an earlier call was given is used: threads would meet there */
};

/* One line for each of these, or one for each array. */
enum kind {
    KIND_ONCE, /* what cannot happen twice */
    KIND_UNWRITTEN,
    KIND_NUMBER,
    KIND_BYTE,
    KIND_BOUNDS,
    KIND_HOT,
    KIND_NOT_ENDED,
    KIND_FOREIGN,
    KIND_OUTSIDE,
    KIND_INPUT,
    KIND_WRITTEN,
    KIND_END,
    KIND_ALL_OBS,
    KIND_LEGAL,
    KIND_FINAL,
    KIND_ABSENT,
    KIND_RANDOM,
    KIND_DAMAGE,
    KIND_SURROUNDINGS, /* + what of them */
    KINDS = KIND_SURROUNDINGS + 16
};

enum { REGIONS = 1024 };

struct check_shared {
    volatile uint64_t calls; /* made so far: the sign of life */
    struct place place[CHECK_THREADS];
    struct {
        volatile int number; /* of the signal; 0 = none */
        const unsigned char *volatile address;
        const char *volatile call;
        volatile int32_t lo, hi;
        volatile int64_t step;
    } crash;
    bool done;                 /* the stage came to its end */
    const char *volatile hint; /* what a crash in this stage may come from; NULL = unknown */
    char after[256];           /* what led to all that is found now, which is one fault, or advice only; "" = nothing did */
    bool after_is_advice;
    unsigned causes;
    char refused[256]; /* why it can't be made with the options that were given; "" = it can */
    int findings;
    struct check_finding finding[CHECK_FINDINGS];
    uint64_t said[KINDS][2];         /* bit of an array */
    int32_t unwritten[CHECK_ARRAYS]; /* agent whose row of the array was said to be unwritten */
    int regions;
    struct region region[REGIONS];

    /* what one stage tells the next */
    size_t frame; /* bytes of one step of all environments */
    bool has_active;
    int64_t steps, episodes;
    double ns_per_step;
    char kernels[256]; /* of the report */
};

/* ---- one array of a step ------------------------------------------------------------------------------------------------------------- */

struct check_array {
    struct slice slice;
    char name[96];       /* `obs of group "agent"` */
    int32_t rows, width; /* agents (1: of the environment), numbers of each */
    size_t at;           /* in a frame: [CHECK_ENVS][bytes] */
};

struct check {
    const struct check_config *config;
    const struct mappo_env *env;
    struct mappo_value value[OPTIONS_MAX];
    char options[OPTIONS_TEXT];
    struct check_shared *shared;
    unsigned char *record; /* [steps + 1][frame] shared: after reset, after each step */
    int64_t steps;         /* of the record */
    int output;            /* what a stage prints */

    /* of the stage that runs, from the spec of its first instance */
    int stage_pid;
    bool may_refuse;       /* its options are our choice, so create() may refuse them */
    bool look_after_calls; /* look at the surroundings after each call */
    const struct mappo_env_spec *spec;
    struct slice_strides strides;
    struct group_sizes size[MAPPO_MAX_GROUPS];
    struct check_array array[CHECK_ARRAYS];
    int arrays;
    size_t frame;
};

/* ---- stages and findings (stage.c) ------------------------------------------------------------------------------------------------- */

typedef void stage_function(struct check *check);
/* Runs it in a process of its own and says how that ended, where it was not by coming to its end. */
void check_stage(struct check *check, const char *name, stage_function *function);

void check_fault(struct check *check, enum kind kind, int array, const char *format, ...) __attribute__((format(printf, 4, 5)));
bool check_said(const struct check *check, enum kind kind, int array);
void check_warning(struct check *check, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What messages call a function of the descriptor: its author's word for it. */
const char *check_word(const struct check *check, const char *call);
void check_enter(struct check *check, const char *call, int32_t lo, int32_t hi, int64_t step);
void check_leave(struct check *check);
void check_is_thread(struct check *check, int thread); /* where the calling thread notes what it does */

/* ---- the process around an environment (surroundings.c) ---------------------------------------------------------------------------- */

void surroundings_note(void); /* how they are now, before the environment has run */
void surroundings_look(struct check *check, const char *call);

/* ---- an instance with guarded arrays (batch.c) ------------------------------------------------------------------------------------- */

struct guarded {
    unsigned char *pages, *data;
    size_t bytes, whole; /* whole: of the pages that may be touched */
    int region;
};

/* `array`: which of a step's arrays it is; -1 = none. */
void guarded_take(struct check *check, struct guarded *to, size_t bytes, bool at_front, int array, const char *name);
void guarded_give_back(struct guarded *guarded);
void guarded_release(struct check *check, struct guarded *guarded, bool released); /* nobody may touch it until it is taken back */

struct check_batch {
    struct check *check;
    void *self;
    int32_t envs;
    uint32_t first_env;
    int64_t t;  /* steps taken */
    bool alike; /* actions are the same in all environments */
    struct mappo_env_io io;
    struct guarded out[2][CHECK_ARRAYS]; /* the second set where sets take turns */
    int set;
    struct guarded act_int[MAPPO_MAX_GROUPS], act_real[MAPPO_MAX_GROUPS], act_int_copy[MAPPO_MAX_GROUPS], act_real_copy[MAPPO_MAX_GROUPS];
};

struct check_batch_config {
    int32_t envs;
    uint32_t first_env;
    uint64_t seed;
    int32_t stream;
    bool front; /* arrays begin at the beginning of a page, else they end at the end of one */
    bool turns; /* two sets of arrays take turns, and config is gone after create */
};

/* The usual batch: that of the record. */
struct check_batch_config check_batch_usual(const struct check *check);

/* False: it failed, which was reported. */
bool check_batch_open(struct check *check, struct check_batch *batch, const struct check_batch_config *config);
void check_batch_close(struct check_batch *batch);
bool check_batch_reset(struct check_batch *batch, int32_t lo, int32_t hi);
bool check_batch_step(struct check_batch *batch, int32_t lo, int32_t hi); /* batch->t is the caller's to count */
bool check_batch_observe(struct check_batch *batch, int32_t lo, int32_t hi);
bool check_batch_act(struct check_batch *batch); /* random legal actions for step t */
void check_batch_poison(struct check_batch *batch, bool sight_only);
bool check_is(const struct check_array *array, const char *name);
unsigned char *check_batch_data(const struct check_batch *batch, int array, int32_t e);
const unsigned char *check_recorded(const struct check *check, int64_t frame, int array, int32_t e); /* e counts from the record's first */
int check_array_named(const struct check *check, const char *what, int group);                       /* -1: there is none */
int check_end_of(const struct check *check, int64_t frame, int32_t e);                               /* ep_end of the record */
bool check_is_there(const struct check_array *array, bool stepped, bool ended);                      /* is it to be written? */

/* The record's frame `frame` against what the batch shows; `fault` is the beginning of the line where they differ. `but` (-1 = none) is an
 * environment that is not compared. */
bool check_batch_compare(struct check_batch *batch, int64_t frame, bool stepped, int32_t but, enum cause cause, const char *fault);

/* The shortest decimal that reads back as x. */
void check_number(float x, char *text, size_t size);

void check_when(int64_t step, char *text, size_t size); /* "step 12" or "after reset()" */

/* "environment 3, agent 1, step 12" for number `at` of an array's environment. */
void check_where(const struct check_array *array, int64_t env, size_t at, int64_t step, char *text, size_t size);

/* ---- looks at what one call wrote (looks.c) ---------------------------------------------------------------------------------------- */

/* Environments [lo, hi). Faults are reported and, in the arrays, corrected. lengths [envs]: steps of the episodes that run. Returns how
 * many ended. */
int check_looks(struct check_batch *batch, int32_t lo, int32_t hi, bool stepped, int64_t *lengths);
/* One environment: only that what is to be written is written, as numbers and flags. */
void check_look_at_numbers(struct check_batch *batch, int32_t e, bool stepped);
/* All of the record, for one group. */
void check_look_at_going(struct check *check, int g);
/* Actions of a script. */
void check_look_at_actions(struct check_batch *batch, const struct guarded *act_int, const struct guarded *act_real);

/* ---- the stages (record.c, stages.c, snapshot.c, kernels.c, probes.c) ----------------------------------------------------------------------------------- */

stage_function check_spec_stage, check_record_stage, check_final_stage, check_repeat_stage, check_beside_stage, check_keys_stage,
    check_cut_stage, check_threads_stage, check_shard_stage, check_observe_stage, check_snapshot_stage, check_damage_stage,
    check_kernels_stage, check_reset_stage, check_unwanted_stage, check_inactive_stage, check_script_stage, check_draw_stage,
    check_memory_stage, check_speed_stage, check_undeclared_stage;

/* Stages for every whole-number option at each end of its range. */
void check_ends_of_options(struct check *check);

#endif

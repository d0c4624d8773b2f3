/* Runs, and what their folders tell without a checkpoint being opened: made for thousands of them on a slow file system. Of each are read
 * config.ini, the lock, the first 512 bytes and the size of latest.h5, and the last 4 KiB of metrics.jsonl. */
#ifndef MAPPO_RUN_RUN_LIST_H
#define MAPPO_RUN_RUN_LIST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/check.h"

enum run_state {
    RUN_RUNNING,  /* a process owns it */
    RUN_FINISHED, /* it has what train.* asked for */
    RUN_STOPPED,  /* the same command goes on */
    RUN_DAMAGED   /* its newest checkpoint, or its config.ini */
};
const char *run_state_name(enum run_state state);

struct run_setting {
    char *key, *value; /* "ppo.clip", "0.2" */
};

struct run_told {
    char *path;                  /* of its folder, as it was found below what was given */
    struct run_setting *setting; /* [settings] of config.ini, in its order */
    int settings;
    enum run_state state;
    char why[256];      /* who owns it, what is damaged; "" otherwise */
    int64_t env_steps;  /* so far: of the newest line of metrics where that is ahead of the checkpoint */
    double return_mean; /* of that line; NaN before the first episode */
    double eval_return; /* of that line; NaN where its update was not followed by an evaluation */
    double episodes;    /* of training, by that line */
    int64_t written;    /* seconds since 1970 of the last line of metrics, else of config.ini */
};
const char *run_setting(const struct run_told *run, const char *key); /* "" where config.ini has none */
/* The variant that its environment is with its options; "" where it is none (open_env_called). */
const char *run_variant(const struct run_told *run);

bool run_is_one(const char *folder); /* the folder of a run, by the files in it */
/* What the folder of one run tells. EXIT_USAGE where it is none. */
int run_read(struct run_told *run, const char *folder, bool check, struct error *err);
void run_forget(struct run_told *run);

struct run_list {
    struct run_told *run; /* [runs], by path */
    int runs;
    char **closed; /* [closed_count] folders in it that may not be looked into */
    int closed_count;
};
/* All runs in and below `folder`, or it alone where it is one. Links are not followed; warns of each folder that can't be read. With `check` the SHA-256 of the newest checkpoint of
 * each is verified as well. EXIT_USAGE where there is no such folder. */
int run_list_read(struct run_list *list, const char *folder, bool check, struct error *err);
void run_list_free(struct run_list *list);
/* Moves all runs of `more`, which is empty then, behind those of `list`; one whose path is there already is forgotten. */
void run_list_append(struct run_list *list, struct run_list *more);

/* The names of all settings of these runs, in the order of the first that has them. The array is from malloc, the names are the runs'.
 * Returns how many. */
int run_setting_names(const struct run_told *const *run, int runs, const char ***name);

#endif

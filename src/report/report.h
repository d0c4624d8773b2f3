/* A page of one HTML file about runs: how they went, how their policies play, what was in force. What is told of them is gathered here as
 * JSON; report.html, report.css and *.js of this folder, which are part of the program, draw it.
 *
 *     report_gather ── report_play (any number of runs) ── report_write */
#ifndef MAPPO_REPORT_REPORT_H
#define MAPPO_REPORT_REPORT_H

#include "comm/comm.h"
#include "config/config.h"
#include "run/run_list.h"

struct report {
    struct run_list list;
    int *band; /* [runs] of list: those that differ in nothing but their seed have one number, from 0 on */
    int bands;
    char **played; /* [runs] JSON of how its policy plays (play.c); NULL = nobody asked */
};

/* The runs in and below these folders. EXIT_USAGE where one is none or holds none. */
int report_gather(struct report *report, const char *const *folder, int folders, struct error *err);
void report_free(struct report *report);

/* Plays episodes with run i and the settings given now (`args`; 100 episodes unless they say otherwise), in a process of its own: whatever
 * happens there, the page gets the reason. With `others` random and scripted players as well; films of some episodes where `films`. False
 * where it could not be played. */
bool report_play(struct report *report, int i, const struct arguments *args, bool others, bool films, struct comm *comm);

/* Do two runs play in the same environment, so that who knows no networks plays alike in both? */
bool report_same_play(const struct report *report, int i, int k);

/* The page. `find_env`: of the command that repeats a run. */
void report_write(FILE *out, const struct report *report, config_find_env *find_env);

#endif

/* Threads that share the ranges of a batch. Usually they are OpenMP's, which sleep soon after their work is done (docs/decisions/006);
 * waking them costs more than a short step. While somebody does one short piece of such work after the other, with a little of something
 * else between, they can stand by instead: */
#ifndef MAPPO_ENV_CREW_H
#define MAPPO_ENV_CREW_H

#include <stdbool.h>

/* Runs work(self) on the calling thread and returns what it returns; meanwhile threads - 1 others wait for parts of it, spinning
 * for about a millisecond before they sleep. Meant for cores that nobody else uses. Parallel regions inside `work` have one thread.
 * threads <= 1, or inside a parallel region: just work(self). */
int crew_attend(int threads, int (*work)(void *self), void *self);

/* Does a crew stand by for the calling thread? */
bool crew_attends(void);

/* part(self, k) for all k < parts, each on a thread of its own where there are as many; returns when all are done. */
void crew_run(int parts, void (*part)(void *self, int k), void *self);

#endif

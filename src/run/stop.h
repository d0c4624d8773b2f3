/* Reasons to stop, looked at once an update and several times a second in an evaluation, and agreed by all ranks. Every signal whose
 * default ends a process: SIGUSR1, SIGUSR2, SIGXCPU and SIGPWR (75), all others (10; a second SIGINT or SIGQUIT ends at once), SIGPIPE
 * among them: whoever read the output is gone; they are unblocked. Left alone are SIGKILL, those of faults, and what was ignored or had
 * a handler already. A file STOP in the run's folder (10, removed), train.max_seconds (75), MAPPO_DEADLINE or SLURM_JOB_END_TIME (unix
 * seconds; 75) with a margin of twice the slowest save + the longest update + train.stop_margin, at most a quarter of the time left at
 * the start.
 *
 * Only a person presses Ctrl-C twice and means it. A second SIGTERM asks for nothing new: launchers and job scripts deliver it twice within
 * moments, and one that ended at once would lose the save that the first asked for. Whoever cannot wait sends SIGKILL, as Slurm does
 * KillWait seconds later by itself, and loses what came after the last checkpoint. */
#ifndef MAPPO_RUN_STOP_H
#define MAPPO_RUN_STOP_H

#include "comm/comm.h"

struct stop;
int stop_open(struct stop **stop, double max_seconds, double margin, const char *folder /* rank 0; else NULL */, struct error *err);
void stop_limit(struct stop *stop, double max_seconds); /* from now on, in place of what stop_open was given */
bool stop_place(struct stop *stop, const char *folder); /* where it is now; false where that is too long a name */
void stop_save_took(struct stop *stop, double seconds);
/* Collective. 0: go on; else the exit code; `why` says the reason for people. */
int stop_agreed(struct stop *stop, struct comm *comm, char *why, size_t size);
int stop_signal(const struct stop *stop); /* that was the reason, once agreed; 0 = another */
void stop_again(void);                    /* another run follows in this process: what stop_close left ignored has its default again */
void stop_close(struct stop *stop);       /* those of 75 stay ignored: they may come late; SIGPIPE too */

#endif

/* What OpenMP's library decides before main, decided as this program needs it; its threads.
 *
 * Variables that bind threads (OMP_PROC_BIND, OMP_PLACES, GOMP_CPU_AFFINITY, KMP_AFFINITY; many clusters set one for everybody) make the
 * library bind the main thread to one place, and all that the main thread starts with it: two ranks of a node meet on the same core. They
 * are ignored, with a message: what binds a process from outside (Slurm, mpirun, taskset) is respected, and within that the system's
 * scheduler places threads. OMP_DYNAMIC, with which the library starts fewer threads the busier the machine is, is ignored as well. */
#ifndef MAPPO_COMM_OPENMP_H
#define MAPPO_COMM_OPENMP_H

#include "base/check.h"

/* First thing in main. Gives the process the affinity back that it was started with and, where the library would have had to see other
 * variables, starts the program once more with them. */
void openmp_prepare(char **argv);
const char *openmp_ignored(void); /* "OMP_PROC_BIND=close OMP_PLACES=cores"; empty where nothing was */

/* OMP_THREAD_LIMIT: the library silently starts no more than these, whatever it is asked for. Very many where there is none. */
int openmp_most_threads(void);

/* Starts the threads of later parallel regions. EXIT_USAGE where the limits of this process leave no room for them and for the few others
 * that a run has (watchdog, lock, a checkpoint being written): OpenMP's library would end the process in the middle of its work. */
int openmp_start_threads(int threads, struct error *err);

#endif

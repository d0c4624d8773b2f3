/* A thread that ends this rank with _exit(EXIT_PEERS) when the main thread shows no sign of life for `seconds`, naming the phase it hangs
 * in. mpirun by itself does not notice a rank that hangs, but ends all when one ends. The thread calls no MPI and takes no lock that the
 * main thread could hold. Time in which this process itself was stopped or suspended does not count. */
#ifndef MAPPO_COMM_WATCHDOG_H
#define MAPPO_COMM_WATCHDOG_H

#include <stdbool.h>
#include <stddef.h>

void watchdog_start(double seconds);    /* 0 = off; warns and goes on without where no thread can be had */
void watchdog_phase(const char *phase); /* a sign of life; the text must be static */
const char *watchdog_phase_name(void);  /* the phase now, also without a watchdog; "start" before the first */
/* comm's: the main thread is waiting for other ranks in this operation (NULL: not any more). No sign of life; tells the rank that hangs
 * from those that wait for it. */
void watchdog_waiting(const char *operation);
void watchdog_waiting_for(const char *whom); /* the same where it is known whom: "rank 3, which …" */
/* Who knows what is called at the moment, of all threads: `environment "x" is in its step()`; false: nothing. It stands in the last line. */
void watchdog_ask(bool (*describe)(char *text, size_t size));
void watchdog_sign(void); /* a sign of life within a phase: after a step, after a minibatch */
void watchdog_stop(void);

#endif

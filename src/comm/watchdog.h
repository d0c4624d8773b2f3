/* A thread that ends this rank with _exit(EXIT_PEERS) when the main thread shows no sign of life for `seconds`, naming the phase it hangs in. mpirun by itself
 * does not notice a rank that hangs. The thread calls no MPI and takes no lock that the main thread could hold. */
#ifndef MAPPO_COMM_WATCHDOG_H
#define MAPPO_COMM_WATCHDOG_H

void watchdog_start(double seconds, int rank, int size); /* 0 = off */
void watchdog_phase(const char *phase);                  /* a sign of life; the text must be static */
void watchdog_stop(void);

#endif

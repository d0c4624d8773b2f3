#include <unistd.h>

#include "base/text.h"
#include "comm/comm_ops.h"

/* A model good enough for advice (docs/hpc.md): what the default networks cost on a core, and one message of their gradients per epoch. */
static const double SECONDS_PER_ENV_STEP = 16e-6;
enum { MESSAGES_PER_UPDATE = 10, MESSAGE_REALS = 14000 };

static double message_fraction(double envs_per_rank, int steps, double message_seconds)
{
    const double messages = MESSAGES_PER_UPDATE * message_seconds;
    return messages / (messages + envs_per_rank * steps * SECONDS_PER_ENV_STEP);
}

/* What an allreduce of that size takes on a cluster's network by recursive doubling: 25 µs at 64 ranks. */
static double usual_message(int ranks)
{
    double seconds = 0;
    for (int reached = 1; reached < ranks; reached *= 2) seconds += 4.2e-6;
    return seconds;
}

void comm_advice(struct comm *comm, int envs, int steps, char *text, size_t size)
{
    text[0] = '\0';
    if (comm->size == 1) return;
    /* The fastest: on a shared machine the others measure its other users. */
    double message = comm_measure_sum(comm, MESSAGE_REALS, 30, false).fastest, crowded = comm->local_size > sysconf(_SC_NPROCESSORS_ONLN);
    const double here = (double)envs / comm->size;
    comm_max_double(comm, &crowded, 1);
    /* Ranks that wait for a core measure the scheduler, not the network: no network takes 3 ms for 56 kB. */
    if (crowded > 0 || message > 3e-3) message = usual_message(comm->size);
    /* Few environments are said always, slow messages only where they cost a quarter: a disturbed measurement is no reason for advice. */
    const double fraction = message_fraction(here, steps, message);
    if (here >= 8 && fraction < 0.25) return;

    char more[160] = "";
    int enough = 8;
    while (enough < 4096 && message_fraction(enough, steps, message) > 0.05) enough *= 2;
    if (enough > here && envs / enough > 1)
        text_format(more, sizeof more,
                    "; mpirun -n %d keeps the batch at under 5 %%, %d ranks need rollout.envs=%lld, a larger batch (docs/hpc.md)",
                    envs / enough, comm->size, (long long)enough * comm->size);
    else if (enough > here)
        text_format(more, sizeof more, "; one rank with threads has none, %d ranks need rollout.envs=%lld, a larger batch (docs/hpc.md)",
                    comm->size, (long long)enough * comm->size);
    text_format(text, size, "%d environments on %d ranks are %.3g a rank: messages take about %.0f %% of the time (%.0f µs each%s)%s", envs,
                comm->size, here, 100 * fraction, 1e6 * message, crowded > 0 ? " on a usual network" : "", more);
}

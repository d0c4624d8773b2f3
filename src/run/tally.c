#include "run/tally.h"

#include <math.h>
#include <string.h>

void tally_create(struct tally *t, const struct mappo_env_spec *spec, int team, int envs, int episodes, struct arena *arena)
{
    *t = (struct tally){.spec = *spec, .team = team, .envs = envs, .first_agent = TALLY_GROUPS + spec->groups};
    for (int g = 0; g < spec->groups; g++) t->agents += spec->group[g].agents;
    t->first_info = t->first_agent + t->agents;
    t->columns = t->first_info + spec->infos;
    t->running = ARENA_NEW(arena, double, (size_t)envs *(size_t)(t->agents + 2 * spec->infos));
    t->row = ARENA_NEW(arena, double, (size_t)episodes *(size_t)t->columns);
    t->spec.info = NULL;
    t->at_end = ARENA_NEW(arena, bool, spec->infos + 1);
    for (int i = 0; i < spec->infos; i++) t->at_end[i] = spec->info[i].at_end;
    t->first = ARENA_NEW(arena, double, t->columns);
    t->sum = ARENA_NEW(arena, double, t->columns);
    t->squares = ARENA_NEW(arena, double, t->columns);
    t->count = ARENA_NEW(arena, int64_t, t->columns);
    t->estimate = ARENA_NEW(arena, struct estimate, t->columns);
}

void tally_begin(struct tally *t)
{
    t->alike = true;
    memset(t->sum, 0, (size_t)t->columns * sizeof *t->sum);
    memset(t->squares, 0, (size_t)t->columns * sizeof *t->squares);
    memset(t->count, 0, (size_t)t->columns * sizeof *t->count);
}

static double *running_of(const struct tally *t, int e)
{
    return t->running + (size_t)e * (size_t)(t->agents + 2 * t->spec.infos);
}

void tally_begin_batch(struct tally *t, int episodes)
{
    memset(t->row, 0, (size_t)episodes * (size_t)t->columns * sizeof *t->row);
    memset(t->running, 0, (size_t)t->envs * (size_t)(t->agents + 2 * t->spec.infos) * sizeof *t->running);
}

void tally_step(struct tally *t, const struct mappo_env_io *io, int e)
{
    const int infos = t->spec.infos;
    double *reward = running_of(t, e), *info = reward + t->agents, *count = info + infos;
    for (int g = 0; g < t->spec.groups; g++) {
        const int agents = t->spec.group[g].agents;
        const float *paid = io->group[g].reward + (size_t)e * (size_t)agents;
        for (int a = 0; a < agents; a++) *reward++ += (double)paid[a];
    }
    for (int i = 0; i < infos; i++) {
        const float value = io->info[(size_t)e * (size_t)infos + (size_t)i];
        const bool at_end = t->at_end[i], there = !isnan(value);
        info[i] = at_end ? (double)value : info[i] + (there ? (double)value : 0);
        count[i] = at_end ? there : count[i] + there;
    }
}

void tally_end(struct tally *t, const struct episode *episode, int e, int at)
{
    const int infos = t->spec.infos;
    const double *reward = running_of(t, e), *info = reward + t->agents, *count = info + infos;
    double *row = t->row + (size_t)at * (size_t)t->columns;
    row[TALLY_RETURN] = episode_return(&t->spec, t->team, episode);
    row[TALLY_LENGTH] = episode->length;
    for (int g = 0; g < t->spec.groups; g++) row[TALLY_GROUPS + g] = (double)episode->group_return[g];
    for (int a = 0; a < t->agents; a++) row[t->first_agent + a] = reward[a];
    for (int i = 0; i < infos; i++) row[t->first_info + i] = count[i] > 0 ? info[i] / count[i] : NAN;
}

void tally_end_batch(struct tally *t, int episodes)
{
    if (episodes > 0 && t->count[TALLY_RETURN] == 0) memcpy(t->first, t->row, (size_t)t->columns * sizeof *t->first);
    for (int k = 0; k < episodes; k++)
        for (int c = 0; c < t->columns; c++) {
            const double x = t->row[(size_t)k * (size_t)t->columns + (size_t)c];
            t->alike = t->alike && (x == t->first[c] || (isnan(x) && isnan(t->first[c])));
            if (isnan(x) && c >= t->first_info) continue;
            t->sum[c] += x;
            t->squares[c] += x * x;
            t->count[c]++;
        }
}

void tally_finish(struct tally *t)
{
    for (int c = 0; c < t->columns; c++) {
        const double n = (double)t->count[c], mean = n > 0 ? t->sum[c] / n : NAN;
        const double error = n > 1 ? sqrt(fmax(0, t->squares[c] / n - mean * mean) / (n - 1)) : NAN;
        t->estimate[c] = (struct estimate){mean, error, t->count[c]};
    }
}

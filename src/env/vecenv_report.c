/* The statistics side of a vecenv: ended episodes, averages of info columns, reports. */
#include <string.h>

#include "env/account.h"
#include "env/device.h"
#include "env/vecenv_work.h"

double episode_return(const struct mappo_env_spec *spec, const struct episode *episode)
{
    double sum = 0, agents = 0;
    for (int g = 0; g < spec->groups; g++) {
        if (spec->group[g].team != 0) continue;
        sum += (double)episode->group_return[g] * spec->group[g].agents;
        agents += spec->group[g].agents;
    }
    return agents > 0 ? sum / agents : episode->group_return[0];
}

int vecenv_take_episodes(struct vecenv *v, struct episode *out, int max)
{
    int taken = 0;
    CHECK(!v->device, "episodes of environments on a device are reported");
    for (; taken < max && v->count > 0; taken++, v->count--) {
        out[taken] = v->episode[v->first];
        v->first = (v->first + 1) % v->room;
    }
    if (v->count == 0) v->first = 0; /* pages that were touched are used again */
    return taken;
}

void vecenv_take_info(struct vecenv *v, double *sum, double *count)
{
    const size_t infos = (size_t)v->spec.infos, envs = (size_t)v->envs;
    if (v->elsewhere.self) {
        v->elsewhere.take_info(v->elsewhere.self, sum, count);
        return;
    }
    CHECK(!v->device, "infos of environments on a device are reported");
    for (size_t k = 0; k < infos; k++) {
        sum[k] = count[k] = 0;
        for (size_t e = 0; e < envs; e += ACCOUNT_CHUNK) {
            const size_t chunk = envs - e < ACCOUNT_CHUNK ? envs - e : ACCOUNT_CHUNK;
            sum[k] += account_sum(v->info_sum + e * infos + k, infos, chunk);
            count[k] += account_sum(v->info_count + e * infos + k, infos, chunk);
        }
    }
    memset(v->info_sum, 0, (size_t)v->envs * infos * sizeof *v->info_sum);
    memset(v->info_count, 0, (size_t)v->envs * infos * sizeof *v->info_count);
}

void vecenv_report_begin(struct vecenv *v)
{
    const int slot = (int)(v->reports_begun++ % VECENV_REPORTS);
    struct env_report *report = &v->report[slot];
    CHECK(v->reports_begun - v->reports_ended <= VECENV_REPORTS, "too many reports that nobody has read");
    if (vecenv_to_device(v)) {
        v->device_ops->report(v->device, slot);
        return;
    }
    report->ended = v->count;
    report->listed = v->count < v->report_most ? (int32_t)v->count : v->report_most;
    const int64_t skipped = report->ended - report->listed;
    v->first = (v->first + skipped) % v->room;
    v->count -= skipped;
    vecenv_take_episodes(v, report->episode, report->listed);
    vecenv_take_info(v, report->info, report->info + v->spec.infos);
}

struct env_report vecenv_report_end(struct vecenv *v)
{
    CHECK(v->reports_ended < v->reports_begun, "a report that was not begun");
    const int slot = (int)(v->reports_ended++ % VECENV_REPORTS);
    return v->device ? v->device_ops->read_report(v->device, slot) : v->report[slot];
}

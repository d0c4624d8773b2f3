/* How agents come and go in the record: `terminated` against who acts afterwards, what is paid, and how episodes end (ENDS and ABSENT of
 * mappo_env.h). */
#include <string.h>

#include "check/work.h"

struct going {
    int64_t acted;                  /* steps of agents that act */
    int64_t rises, stays, falls;    /* steps of agents that act, within an episode: terminated becomes 1, is 1 again, becomes 0 */
    int64_t paid;                   /* rewards other than 0 after an agent had gone */
    int64_t cut, cut_with, running; /* agents where episodes are truncated, those with terminated = 1; 1s while an episode goes on */
    char stays_at[160], paid_at[160];
};

struct arrays_of_group {
    int terminated, reward, active; /* active = -1: all act */
};

/* One agent of one environment, all along the record. */
static void follow(struct check *check, const struct arrays_of_group *in, int32_t e, int32_t a, struct going *going)
{
    const struct check_array *terminated = &check->array[in->terminated];
    bool gone = false, was = false;
    char where[160];
    for (int64_t frame = 1; frame <= check->shared->steps; frame++) {
        const bool now = check_recorded(check, frame, in->terminated, e)[a] == 1;
        const bool acts = in->active < 0 || check_recorded(check, frame - 1, in->active, e)[a];
        const int end = check_end_of(check, frame, e);
        float reward;
        memcpy(&reward, check_recorded(check, frame, in->reward, e) + (size_t)a * sizeof reward, sizeof reward);
        if (check_end_of(check, frame - 1, e)) gone = was = false;
        going->acted += acts;
        if (acts) gone = false; /* there, or there anew */
        check_where(terminated, e, (size_t)a, frame - 1, where, sizeof where);
        if (gone && now && !end)
            check_fault(check, KIND_ABSENT, in->terminated,
                        "%s is 1 again while the agent stays away (%s): it is 1 in the step in which the agent goes, and 0 from then on",
                        terminated->name, where);
        if (gone && reward != 0 && !going->paid++) memcpy(going->paid_at, where, sizeof where);
        if (acts && !end) {
            going->rises += now && !was;
            going->falls += was && !now;
            if (now && was && !going->stays++) memcpy(going->stays_at, where, sizeof where);
        }
        going->running += now && !end;
        going->cut += end == MAPPO_TRUNCATED;
        going->cut_with += end == MAPPO_TRUNCATED && now;
        gone = gone || now;
        was = now;
    }
}

void check_look_at_going(struct check *check, int g)
{
    const struct mappo_group *group = &check->spec->group[g];
    const struct arrays_of_group in = {check_array_named(check, "terminated", g), check_array_named(check, "reward", g),
                                       group->flags & MAPPO_HAS_ACTIVE ? check_array_named(check, "active", g) : -1};
    const char *name = check->array[in.terminated].name;
    struct going going = {0};
    if (check_said(check, KIND_UNWRITTEN, in.terminated) || check_said(check, KIND_BYTE, in.terminated)) return;
    for (int32_t e = 0; e < CHECK_ENVS; e++)
        for (int32_t a = 0; a < group->agents; a++) follow(check, &in, e, a, &going);
    if (!going.acted)
        check_warning(check, "no agent of group \"%s\" acts in any of the %lld steps: active is 0 throughout (does reset() set it?)",
                      group->name, (long long)check->shared->steps);
    if (check_said(check, KIND_ABSENT, in.terminated)) return;
    if (going.rises && going.stays >= 3 && !going.falls) /* an agent that ends and begins anew in each step would not begin with 0 */
        check_fault(check, KIND_ABSENT, in.terminated,
                    "%s stays 1 while the agent acts (%s, and %lld times in all): it is 1 in the step that ends the agent's return, and 0 "
                    "from then on",
                    name, going.stays_at, (long long)going.stays);
    else if (going.paid >= 3 && group->flags & MAPPO_SHARED_REWARD) /* of its own it is the return's alone, as the source may have it */
        check_warning(
            check,
            "agents of group \"%s\" get rewards after terminated = 1 (%s, and %lld times in all): nothing that they did is credited "
            "with them; terminated is 0 where an agent falls whose team fights on for a common reward",
            group->name, going.paid_at, (long long)going.paid);
    else if (going.cut >= 8 && going.cut_with == going.cut && !going.running)
        check_warning(
            check,
            "%s is 1 for all agents in all episodes that end with MAPPO_TRUNCATED: a time limit ends no agent's return, and learners "
            "take what is cut off for worth nothing",
            name);
}

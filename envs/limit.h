/* limit.h: what a step limit counts as, for suites whose sources end an episode there as if it were solved: learners that take a limit for
 * an end learn that nothing follows it, which the agents cannot see coming. An option `limit` of the environment says which. */
#ifndef ENVS_LIMIT_H
#define ENVS_LIMIT_H

#include "env/mappo_env.h"

static const char *const limit_kinds[] = {"truncate", "upstream", NULL};

/* A row of options; its value is limit_end's `choice`. */
#define LIMIT_OPTION(def)                                                                                                                  \
    {                                                                                                                                      \
        "limit", MAPPO_OPTION_CHOICE, def, 0, 0, limit_kinds,                                                                              \
            "how the last step of an episode counts: truncate = a time limit, values are bootstrapped; upstream = an end, as the source "  \
            "reports it"                                                                                                                   \
    }

/* What ep_end is at the limit. */
static inline int32_t limit_end(int64_t choice)
{
    return choice ? MAPPO_TERMINATED : MAPPO_TRUNCATED;
}

#endif

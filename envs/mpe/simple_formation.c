/* mpe/simple_formation: its rules are in simple_formation.h. */
#include "envs/mpe/simple_formation.h"
#include "envs/mpe/suite.h"

static const struct mappo_option formation_options[] = {MPE_PLACES_OPTIONS};
static const struct mappo_info formation_infos[PLACES_INFOS] = {MPE_PLACES_INFOS};
static const struct mpe_cast formation_cast = {{"agent"},  {"landmark"},
                                               {0},        {1},
                                               {MPE_BLUE}, NULL,
                                               NULL,       "sum over the episode of minus the mean distance to the places on the circle",
                                               NULL,       0};
static const char *const formation_names[] = {MPE_NAMES("simple_formation", "simple_formation_v1")};

static void formation_script(const struct mpe *w, const struct mpe_rules *rules, int32_t *const act_int[], float *const act_real[])
{
    mpe_script_places(w, rules, formation_places, act_int, act_real);
}

MPE_TASK(mpe_simple_formation, formation, FORMATION_COUNTS, PLACES_INFOS, 1, .id = "mpe/simple_formation",
         .summary = "N agents stand evenly on a circle round a landmark", .source = "mpe2 1.1 (simple_formation_v1)", .version = 1);

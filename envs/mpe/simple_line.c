/* mpe/simple_line: its rules are in simple_line.h. */
#include "envs/mpe/simple_line.h"
#include "envs/mpe/suite.h"

static const struct mappo_option line_options[] = {MPE_PLACES_OPTIONS};
static const struct mappo_info line_infos[PLACES_INFOS] = {MPE_PLACES_INFOS};
static const struct mpe_cast line_cast = {{"agent"},  {"landmark"},
                                          {0},        {1},
                                          {MPE_BLUE}, NULL,
                                          NULL,       "sum over the episode of minus the mean distance to the places on the line",
                                          NULL,       0};
static const char *const line_names[] = {MPE_NAMES("simple_line", "simple_line_v1")};

static void line_script(const struct mpe *w, const struct mpe_rules *rules, int32_t *const act_int[], float *const act_real[])
{
    mpe_script_places(w, rules, line_places, act_int, act_real);
}

MPE_TASK(mpe_simple_line, line, LINE_COUNTS, PLACES_INFOS, 1, .id = "mpe/simple_line",
         .summary = "N agents stand evenly on the line between two landmarks", .source = "mpe2 1.1 (simple_line_v1)", .version = 1);

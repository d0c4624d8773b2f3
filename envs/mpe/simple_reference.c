/* mpe/simple_reference: its rules are in simple_reference.h. */
#include "envs/mpe/simple_reference.h"
#include "envs/mpe/suite.h"

static const struct mappo_option reference_options[] = {
    MPE_OPTIONS, MPE_LOCAL_RATIO("fraction of the agent's own reward in what it is paid; the rest is the mean of both"), MPE_NO_OPTION};
static const struct mappo_info reference_infos[REFERENCE_INFOS] = {{"distance", "field", "from an agent to its goal, mean of both", 0},
                                                                   {"arrived", "agents", "agents within 0.1 of their goal", 0}};
static const struct mpe_cast reference_cast = {
    {"agent"},
    {"landmark"},
    {0},
    {0},
    {MPE_BLUE},
    NULL,
    mpe_red_green_blue,
    "sum over the episode of an agent's reward (mean over agents): minus the distances to the goals, its own share weighted by local_ratio",
    "sum over the episode of minus both agents' squared distances to their goals",
    0};
static const char *const reference_names[] = {MPE_NAMES("simple_reference", "simple_reference_v3")};

/* Each says the number of the other's goal, and goes where it was told to. */
static void reference_script(const struct mpe *w, const struct mpe_rules *rules, int32_t *const act_int[], float *const act_real[])
{
    const rule_real *landmark = mpe_landmark(w, rules);
    for (int i = 0; i < 2; i++) {
        const rule_real *word = mpe_utterance(w, rules) + (1 - i) * rules->words, *told = NULL;
        for (int l = 0; l < rules->landmarks; l++)
            if (word[l] > 0.5f) told = &landmark[2 * l];
        mpe_script_agent(w, rules, i, told, w->goal[i], act_int, act_real);
    }
}

MPE_TASK(mpe_simple_reference, reference, REFERENCE_COUNTS, REFERENCE_INFOS, 1, .id = "mpe/simple_reference",
         .summary = "two agents tell each other where to go",
         .source = "Lowe et al. 2017; mpe2 1.1 (simple_reference_v3); marlbenchmark/on-policy, onpolicy/envs/mpe", .version = 1);

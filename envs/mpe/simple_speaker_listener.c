/* mpe/simple_speaker_listener: its rules are in simple_speaker_listener.h. */
#include "envs/mpe/simple_speaker_listener.h"
#include "envs/mpe/suite.h"

static const struct mappo_option speaker_options[] = {MPE_OPTIONS, MPE_NO_OPTION};
static const struct mappo_info speaker_infos[SPEAKER_INFOS] = {
    {"distance", "field", "from the listener to the goal", 0},
    {"arrived", "episodes", "1 while the listener is within 0.1 of the goal", 0}};
static const struct mpe_cast speaker_cast = {{"speaker", "listener"},
                                             {"landmark"},
                                             {0, 0},
                                             {1, 1},
                                             {MPE_GREEN, MPE_BLUE},
                                             NULL,
                                             mpe_red_green_blue,
                                             "sum over the episode of minus the square of the listener's distance to the goal",
                                             "sum over the episode of minus twice the square of the listener's distance to the goal",
                                             0};
static const char *const speaker_names[] = {MPE_NAMES("simple_speaker_listener", "simple_speaker_listener_v4")};

/* The speaker says the number of the goal; the listener goes where it was told to. */
static void speaker_script(const struct mpe *w, const struct mpe_rules *rules, int32_t *const act_int[], float *const act_real[])
{
    const rule_real *word = mpe_utterance(w, rules), *told = NULL;
    for (int l = 0; l < rules->landmarks; l++)
        if (word[l] > 0.5f) told = mpe_landmark(w, rules) + 2 * l;
    mpe_script_agent(w, rules, 0, NULL, w->goal[0], act_int, act_real);
    mpe_script_agent(w, rules, 1, told, 0, act_int, act_real);
}

MPE_TASK(mpe_simple_speaker_listener, speaker, SPEAKER_COUNTS, SPEAKER_INFOS, 2, .id = "mpe/simple_speaker_listener",
         .summary = "a speaker tells a listener where to go",
         .source = "Lowe et al. 2017; mpe2 1.1 (simple_speaker_listener_v4); marlbenchmark/on-policy, onpolicy/envs/mpe", .version = 1);

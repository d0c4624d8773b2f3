/* mpe/simple_push: its rules are in simple_push.h. */
#include "envs/mpe/simple_push.h"
#include "envs/mpe/suite.h"

static const struct mappo_option push_options[] = {MPE_OPTIONS, MPE_NO_OPTION};
static const struct mappo_info push_infos[PUSH_INFOS] = {{"agent_distance", "field", "from the goal to the agent", 0},
                                                         {"adversary_distance", "field", "from the goal to the adversary", 0}};
static const char *const push_teams[] = {"agents", "adversaries"};
static const struct mpe_cast push_cast = {
    {"adversary", "agent"},
    {"landmark"},
    {1, 0},
    {1, 1},
    {MPE_RED, MPE_BLUE},
    push_teams,
    mpe_red_green_blue,
    "sum over the episode of minus the agent's distance to the goal; of the adversary: how much nearer it is than the agent",
    NULL,
    0};
static const char *const push_names[] = {MPE_NAMES("simple_push", "simple_push_v3")};

/* The agent goes to the goal, and the adversary to the agent. */
static void push_script(const struct mpe *w, const struct mpe_rules *rules, int32_t *const act_int[], float *const act_real[])
{
    mpe_script_agent(w, rules, 0, mpe_position(w, rules) + 2, 0, act_int, act_real);
    mpe_script_agent(w, rules, 1, mpe_landmark(w, rules) + 2 * w->goal[0], 0, act_int, act_real);
}

MPE_TASK(mpe_simple_push, push, PUSH_COUNTS, PUSH_INFOS, 2, .id = "mpe/simple_push",
         .summary = "an adversary pushes an agent away from its goal", .source = "Lowe et al. 2017; mpe2 1.1 (simple_push_v3)",
         .version = 1);

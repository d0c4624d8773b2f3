/* mpe/simple_world_comm: its rules are in simple_world_comm.h. */
#include "envs/mpe/simple_world_comm.h"
#include "envs/mpe/suite.h"

static const struct mappo_option comm_options[] = {
    MPE_OPTIONS,
    {"num_good", MAPPO_OPTION_INT, "2", 1, 24, NULL, "prey"},
    {"num_adversaries", MAPPO_OPTION_INT, "4", 1, 40, NULL, "predators, their leader among them"},
    {"num_obstacles", MAPPO_OPTION_INT, "1", 0, 16, NULL, "obstacles"},
    {"num_food", MAPPO_OPTION_INT, "2", 1, 24, NULL, "places of food"},
    {"num_forests", MAPPO_OPTION_INT, "2", 0, 24, NULL, "forests"},
    MPE_NO_OPTION};
static const struct mappo_info comm_infos[COMM_INFOS] = {{"touches", "pairs", "pairs of a predator and a prey that touch after a step", 0},
                                                         {"caught", "agents", "prey that a predator touches", 0},
                                                         {"eaten", "pairs", "pairs of a prey and food that touch", 0}};
static const char *const comm_teams[] = {"adversaries", "agents"};
static const struct mpe_cast comm_cast = {{"leadadversary", "adversary", "agent"},
                                          {"obstacle", "food", "forest"},
                                          {0, 0, 1},
                                          {0, 0, 0},
                                          {MPE_DARK_RED, MPE_RED, MPE_BLUE},
                                          comm_teams,
                                          NULL,
                                          "sum over the episode of 5 for each touch minus a tenth of the distance to the nearest prey; of "
                                          "prey: 2 for each bite, minus 5 for each "
                                          "touch of its own, distance to food, and what it pays outside the field",
                                          NULL,
                                          0};
static const char *const comm_names[] = {MPE_NAMES("simple_world_comm", "simple_world_comm_v3")};

/* Predators as in simple_tag, silent; prey flee from what is near, and otherwise eat. */
static void comm_script(const struct mpe *w, const struct mpe_rules *rules, int32_t *const act_int[], float *const act_real[])
{
    const rule_real *position = mpe_position(w, rules), *food = mpe_landmark(w, rules) + 2 * rules->landmark[0].count;
    const int hunters = rules->agents - rules->agent[2].count;
    for (int i = 0; i < hunters; i++) mpe_script_hunter(w, rules, i, hunters, act_int, act_real);
    for (int i = hunters; i < rules->agents; i++) {
        int order[MPE_MAX_LANDMARKS];
        mpe_nearest(food, rules->landmark[1].count, -1, &position[2 * i], order);
        if (mpe_least_distance(position, hunters, &position[2 * i]) < 0.4f)
            mpe_script_prey(w, rules, i, hunters, act_int, act_real);
        else
            mpe_script_agent(w, rules, i, &food[2 * order[0]], 0, act_int, act_real);
    }
}

MPE_TASK(mpe_simple_world_comm, comm, COMM_COUNTS, COMM_INFOS, 3, .id = "mpe/simple_world_comm",
         .summary = "predators with a leader chase prey among food, obstacles and forests",
         .source = "Lowe et al. 2017; mpe2 1.1 (simple_world_comm_v3); marlbenchmark/on-policy, onpolicy/envs/mpe", .version = 1);

/* matrix/climbing: the largest payoff stands beside the largest loss, so agents that try it alone are punished for it. */
#include "envs/matrix/game.h"

static const struct mappo_option options[] = {MATRIX_OPTION_ROWS, {NULL, 0, NULL, 0, 0, NULL, NULL}};

static int matrix_configure(struct matrix_rules *rules, const struct mappo_value *value, struct mappo_env_error *error)
{
    static const float payoff[MATRIX_ACTIONS][MATRIX_ACTIONS] = {{11, -30, 0}, {-30, 7, 0}, {0, 6, 5}};
    (void)error;
    memcpy(rules->payoff, payoff, sizeof payoff);
    matrix_take_options(rules, value);
    return 0;
}

static const char *const aliases[] = {"climbing-nostate-v0", NULL};

LANE_ENV(matrix_climbing, matrix, 1, (observe, sound, script, draw), .id = "matrix/climbing", .alias = aliases,
         .summary = "two agents choose a row and a column; both fear what lies beside the best entry",
         .source = "Claus and Boutilier 1998; uoe-agents/matrix-games", .version = 1, .option = options);

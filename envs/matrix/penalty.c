/* matrix/penalty: two largest payoffs, and a penalty of k for not agreeing on which; the safe choice pays 2. */
#include "envs/matrix/game.h"

enum { OPTION_K = MATRIX_OPTIONS };
static const struct mappo_option options[] = {
    MATRIX_OPTION_ROWS,
    {"k", MAPPO_OPTION_REAL, "100", 0, 1e6, NULL, "what it costs to choose different ones of the two best"},
    {NULL, 0, NULL, 0, 0, NULL, NULL}};

static int matrix_configure(struct matrix_rules *rules, const struct mappo_value *value, struct mappo_env_error *error)
{
    const float k = (float)value[OPTION_K].r;
    const float payoff[MATRIX_ACTIONS][MATRIX_ACTIONS] = {{-k, 0, 10}, {0, 2, 0}, {10, 0, -k}};
    (void)error;
    memcpy(rules->payoff, payoff, sizeof payoff);
    matrix_take_options(rules, value);
    return 0;
}

static const char *const aliases[] = {"penalty-100-nostate-v0", NULL};

LANE_ENV(matrix_penalty, matrix, 1, (observe, sound, script, draw), .id = "matrix/penalty", .alias = aliases,
         .summary = "two agents must agree on one of two best entries; disagreeing costs k",
         .source = "Claus and Boutilier 1998; uoe-agents/matrix-games", .version = 1, .option = options);

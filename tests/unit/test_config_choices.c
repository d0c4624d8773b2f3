/* A key's choices are numbers in the order of config.def; whoever has names for them has them in that order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "algo/ppo.h"
#include "algo/schedule.h"
#include "backend/kernels/gae.h"
#include "config/choices.h"
#include "config/config.h"
#include "env/vecenv.h"
#include "nn/policies.h"
#include "run/evaluate.h"
#include "run/learning.h"

static void names_of_choices_have_the_order_of_the_table(void **state)
{
    (void)state;
    static const struct {
        int key;
        const char *choice;
        int number;
    } known[] = {{KEY_rollout_unit, "steps", UNIT_STEPS},
                 {KEY_rollout_unit, "episodes", UNIT_EPISODES},
                 {KEY_happo_order, "random", ORDER_RANDOM},
                 {KEY_happo_order, "fixed", ORDER_FIXED},
                 {KEY_policy_share, "auto", SHARE_AUTO},
                 {KEY_policy_share, "true", SHARE_TRUE},
                 {KEY_critic_share, "true", SHARE_TRUE},
                 {KEY_critic_share, "false", SHARE_FALSE},
                 {KEY_critic_state, "environment", STATE_ENVIRONMENT},
                 {KEY_critic_state, "concat", STATE_CONCAT},
                 {KEY_norm_reward, "running", REWARD_RUNNING},
                 {KEY_policy_kind, "gru", KIND_GRU},
                 {KEY_policy_conv_padding, "same", PADDING_SAME},
                 {KEY_policy_conv_padding, "valid", PADDING_VALID},
                 {KEY_policy_squash, "none", SQUASH_NONE},
                 {KEY_policy_squash, "tanh", SQUASH_TANH},
                 {KEY_policy_std, "shared", STD_SHARED},
                 {KEY_policy_std, "state", STD_STATE},
                 {KEY_policy_std, "fixed", STD_FIXED},
                 {KEY_ppo_minibatch_unit, "step", UNIT_STEP},
                 {KEY_ppo_minibatch_unit, "row", UNIT_ROW},
                 {KEY_ppo_ratio, "joint", RATIO_JOINT},
                 {KEY_ppo_ratio, "per_head", RATIO_PER_HEAD},
                 {KEY_ppo_grad_clip, "separate", GRAD_CLIP_SEPARATE},
                 {KEY_ppo_grad_clip, "joint", GRAD_CLIP_JOINT},
                 {KEY_coppo_double_clip, "a2po", DOUBLE_CLIP_A2PO},
                 {KEY_coppo_double_clip, "official", DOUBLE_CLIP_OFFICIAL},
                 {KEY_gae_time_limit, "bootstrap", TIME_LIMIT_BOOTSTRAP},
                 {KEY_gae_time_limit, "terminal", TIME_LIMIT_TERMINAL},
                 {KEY_maddpg_actor, "tanh", ACTOR_TANH},
                 {KEY_maddpg_actor, "softmax", ACTOR_SOFTMAX},
                 {KEY_maddpg_actor, "gaussian", ACTOR_GAUSSIAN},
                 {KEY_checkpoint_best, "eval", BEST_EVAL},
                 {KEY_checkpoint_best, "training", BEST_TRAINING},
                 {KEY_ppo_objective, "clip", OBJECTIVE_CLIP},
                 {KEY_ppo_objective, "kl", OBJECTIVE_KL},
                 {KEY_ppo_objective, "clip_kl", OBJECTIVE_CLIP_KL},
                 {KEY_ppo_clip_value, "off", CLIP_VALUE_OFF},
                 {KEY_ppo_clip_value, "max", CLIP_VALUE_MAX},
                 {KEY_ppo_clip_value, "only", CLIP_VALUE_ONLY},
                 {KEY_gae_advantage, "td0", ESTIMATE_TD0},
                 {KEY_gae_target, "gae", ESTIMATE_GAE},
                 {KEY_gae_target, "reward_to_go", ESTIMATE_REWARD_TO_GO},
                 {KEY_adam_schedule, "constant", SCHEDULE_CONSTANT},
                 {KEY_ppo_clip_schedule, "linear", SCHEDULE_LINEAR},
                 {KEY_replay_beta_schedule, "linear", SCHEDULE_LINEAR},
                 {KEY_ppo_entropy_schedule, "cosine", SCHEDULE_COSINE},
                 {KEY_policy_init, "orthogonal", INIT_ORTHOGONAL},
                 {KEY_policy_init, "torch", INIT_TORCH},
                 {KEY_policy_activation, "relu", ACTIVATION_RELU},
                 {KEY_policy_activation, "tanh", ACTIVATION_TANH},
                 {KEY_norm_value, "none", NORMALIZER_NONE},
                 {KEY_norm_value, "valuenorm", NORMALIZER_VALUENORM},
                 {KEY_norm_value, "popart", NORMALIZER_POPART},
                 {KEY_norm_obs, "auto", OBS_AUTO},
                 {KEY_norm_obs, "running", OBS_RUNNING},
                 {KEY_wrap_team_reward, "sum", TEAM_SUM},
                 {KEY_wrap_team_reward, "mean", TEAM_MEAN},
                 {KEY_metrics_return, "mean", RETURN_MEAN},
                 {KEY_metrics_return, "sum", RETURN_SUM},
                 {KEY_backend_name, "cpu", BACKEND_CPU},
                 {KEY_backend_name, "cuda", BACKEND_CUDA}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (config_choice(known[i].key, known[i].choice) != known[i].number)
            fail_msg("%s.%s=%s is choice %d, its name says %d", config_keys[known[i].key].section, config_keys[known[i].key].name,
                     known[i].choice, config_choice(known[i].key, known[i].choice), known[i].number);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(names_of_choices_have_the_order_of_the_table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

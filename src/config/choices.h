/* Names for the choices of keys that no enumeration elsewhere stands for, in the order of config.def; tests/unit/test_config_choices.c compares
 * these and the others with it. */
#ifndef MAPPO_CONFIG_CHOICES_H
#define MAPPO_CONFIG_CHOICES_H

enum { UNIT_STEPS, UNIT_EPISODES };                   /* rollout.unit */
enum { SHARE_AUTO, SHARE_TRUE, SHARE_FALSE };         /* policy.share, critic.share */
enum { STATE_AUTO, STATE_ENVIRONMENT, STATE_CONCAT }; /* critic.state */
enum { REWARD_NONE, REWARD_RUNNING };                 /* norm.reward */
enum { SQUASH_NONE, SQUASH_TANH };                    /* policy.squash */
enum { PADDING_SAME, PADDING_VALID };                 /* policy.conv_padding */
enum { STD_SHARED, STD_STATE, STD_FIXED };            /* policy.std */
enum { UNIT_STEP, UNIT_ROW };                         /* ppo.minibatch_unit */
enum { RATIO_JOINT, RATIO_PER_HEAD };                 /* ppo.ratio */
enum { GRAD_CLIP_SEPARATE, GRAD_CLIP_JOINT };         /* ppo.grad_clip */
enum { DOUBLE_CLIP_A2PO, DOUBLE_CLIP_OFFICIAL };      /* coppo.double_clip */
enum { ORDER_RANDOM, ORDER_FIXED };                   /* happo.order */
enum { TIME_LIMIT_BOOTSTRAP, TIME_LIMIT_TERMINAL };   /* gae.time_limit */
enum { ACTOR_TANH, ACTOR_SOFTMAX, ACTOR_GAUSSIAN };   /* maddpg.actor */
enum { BEST_EVAL, BEST_TRAINING };                    /* checkpoint.best */

#endif

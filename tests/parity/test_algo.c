/* The reference implementations' numbers, in the precision of this build: forward passes, returns, losses, gradients, optimiser, whole
 * updates. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include "parity/parity_algo.h"
#include "parity/parity_maddpg.h"

static void compare(const char *name, int at_least)
{
    char path[128];
    struct parity_report report;
    snprintf(path, sizeof path, "tests/data/algo/algo_%s.h5", name);
    enum parity_result result = parity_maddpg_file(path, "cpu", &report);
    if (result == PARITY_UNKNOWN) result = parity_algo(path, NULL, &report);
    if (result == PARITY_FAILED) print_message("%s: %d of %d tensors differ\n%s", name, report.differing, report.checked, report.text);
    if (result == PARITY_UNKNOWN) print_message("%s can't be read\n", path);
    assert_int_equal(result, PARITY_PASSED);
    assert_true(report.checked >= at_least); /* a file that lost its contents must not pass */
}

static void whole_update_of_ten_epochs_matches_reference(void **state)
{
    (void)state;
    compare("mlp_relu_discrete", 140);
}

static void masks_dead_agents_and_minibatches_match_reference(void **state)
{
    (void)state;
    compare("mlp_relu_masks", 180);
}

static void gaussian_update_from_empty_normaliser_matches_reference(void **state)
{
    (void)state;
    compare("mlp_box", 145);
}

static void bernoulli_update_matches_reference(void **state)
{
    (void)state;
    compare("multi_binary", 140);
}

/* Statistics, head, v_old and their order; the actor's numbers do not depend on them. */
static void popart_rescales_first_and_matches_its_formulas(void **state)
{
    (void)state;
    compare("mlp_tanh_popart", 117);
}

static void returns_match_reference_under_every_rule(void **state)
{
    (void)state;
    compare("gae", 12);
}

static void schedules_match_reference(void **state)
{
    (void)state;
    compare("schedules", 3);
}

static void ratios_of_each_head_match_reference(void **state)
{
    (void)state;
    compare("multi_discrete", 230);
}

static void an_adaptive_penalty_matches_its_formulas(void **state)
{
    (void)state;
    compare("kl_ppo", 270);
    compare("kl_ppo_box", 280);
}

static void recurrent_updates_match_reference(void **state)
{
    (void)state;
    compare("gru_discrete_mb1", 190);
    compare("gru_discrete_mb2", 190);
}

/* Dead agents' ratios included. */
static void joint_ratios_match_both_forms(void **state)
{
    (void)state;
    compare("coppo", 160);
}

/* Minibatches by size, advantages normalised in them, one norm of both gradients, the clipped value alone, an end by target_kl. */
static void stable_baselines_update_matches(void **state)
{
    (void)state;
    compare("ppo_single", 70);
    compare("ppo_single_box", 55);
}

/* Three agents of one group, and each a group of its own; the paper's and openai's forms; one group whose critic sees itself alone. */
static void maddpg_updates_match_in_every_form(void **state)
{
    (void)state;
    compare("maddpg_spread", 370);
    compare("maddpg_speaker_listener", 235);
    compare("maddpg_continuous", 128);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_update_of_ten_epochs_matches_reference),
        cmocka_unit_test(masks_dead_agents_and_minibatches_match_reference),
        cmocka_unit_test(gaussian_update_from_empty_normaliser_matches_reference),
        cmocka_unit_test(bernoulli_update_matches_reference),
        cmocka_unit_test(popart_rescales_first_and_matches_its_formulas),
        cmocka_unit_test(returns_match_reference_under_every_rule),
        cmocka_unit_test(schedules_match_reference),
        cmocka_unit_test(ratios_of_each_head_match_reference),
        cmocka_unit_test(an_adaptive_penalty_matches_its_formulas),
        cmocka_unit_test(stable_baselines_update_matches),
        cmocka_unit_test(joint_ratios_match_both_forms),
        cmocka_unit_test(recurrent_updates_match_reference),
        cmocka_unit_test(maddpg_updates_match_in_every_form),
    };
    return cmocka_run_group_tests_name(REAL_IS_DOUBLE ? "algo_double" : "algo", tests, NULL, NULL);
}

/* `mappo check`: every environment that is built in is sound, and every fault that is planted in one is named, and nothing else. */
// timeout: 600
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "check/check.h"
#include "env/registry.h"

enum { STEPS = 60 };

static struct check_report report;

static void check_steps(const char *name, const struct env_option *option, int options, double seconds, int64_t steps)
{
    struct error err = {0};
    const struct check_config config = {
        .name = name, .option = option, .options = options, .seed = 3, .steps = steps, .call_seconds = seconds};
    if (check_environment(&config, &report, &err)) fail_msg("%s: %s", name, err.text);
}

static void check_or_fail(const char *name, const struct env_option *option, int options, double seconds)
{
    check_steps(name, option, options, seconds, STEPS);
}

static void say_all(const char *about)
{
    print_message("%s: %d faults, %d warnings\n", about, report.faults, report.warnings);
    for (int i = 0; i < report.findings; i++)
        print_message("    %s: %s\n", report.finding[i].is_warning ? "warning" : "fault", report.finding[i].text);
}

/* ---- sound ones ------------------------------------------------------------------------------------------------------------------------ */

static void every_environment_that_is_built_in_keeps_its_promises(void **state)
{
    (void)state;
    for (int i = 0; i < registry_count(); i++) {
        check_or_fail(registry_at(i)->id, NULL, 0, 10);
        assert_int_equal(report.steps, STEPS);
        if (report.episodes == 0) check_steps(registry_at(i)->id, NULL, 0, 10, 0); /* as many as two episodes take */
        assert_true(report.episodes > 0);
        if (report.faults) say_all(registry_at(i)->id);
        assert_int_equal(report.faults, 0);
    }
}

static void so_does_every_variant(void **state)
{
    (void)state;
    const struct env_variant *variant;
    int variants = 0;
    for (; (variant = registry_variant_at(variants)); variants++) {
        check_or_fail(variant->base, variant->option, variant->options, 10);
        if (report.faults) say_all(variant->name);
        assert_int_equal(report.faults, 0);
    }
    assert_true(variants > 0);
}

static void other_options_are_sound_too(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        struct env_option option[3];
        int options;
    } kinds[] = {
        {"mpe/simple_spread", {{"rules", "on-policy"}, {"N", "2"}}, 2},
        {"mpe/simple_spread", {{"continuous_actions", "1"}, {"N", "1"}, {"terminate_on_success", "1"}}, 3},
        {"mpe/simple_spread", {{"num_agent_neighbors", "2"}, {"num_landmark_neighbors", "1"}, {"N", "4"}}, 3},
        {"classic/CartPole-v1", {{"sutton_barto_reward", "1"}, {"low", "-0.2"}, {"high", "0.2"}}, 3},
        {"classic/Acrobot-v1", {{"low", "-3"}, {"high", "3"}}, 2},
        {"classic/MountainCar-v0", {{"low", "-1.2"}, {"high", "0.6"}, {"goal_velocity", "0.05"}}, 3},
        {"classic/MountainCarContinuous-v0", {{"low", "-1.2"}, {"high", "0.6"}, {"max_episode_steps", "20"}}, 3},
        {"classic/Pendulum-v1", {{"x_init", "10"}, {"y_init", "8"}, {"g", "100"}}, 3},
        {"lbf/foraging", {{"grid_observation", "1"}, {"sight", "2"}, {"mask", "0"}}, 3},
        {"lbf/foraging", {{"players", "1"}, {"observe_agent_levels", "0"}, {"penalty", "0.1"}}, 3},
        {"riddle/switch", {{"num_agents", "30"}, {"limit", "truncate"}}, 2},
        {"rware/warehouse", {{"msg_bits", "2"}, {"sensor_range", "3"}, {"max_inactivity_steps", "15"}}, 3},
        {"rware/warehouse", {{"reward_type", "global"}, {"max_steps", "20"}, {"normalised_coordinates", "1"}}, 3},
        {"matrix/climbing", {{"last_action_state", "1"}, {"limit", "upstream"}}, 2},
        {"mpe/simple_reference", {{"rules", "openai"}}, 1}, /* two choices an agent */
        {"mpe/simple_reference", {{"soft_actions", "1"}}, 1},
        {"mpe/simple_crypto", {{"continuous_actions", "1"}}, 1},
        {"mpe/simple_adversary", {{"N", "4"}, {"num_agent_neighbors", "2"}, {"num_landmark_neighbors", "5"}}, 3},
        {"mpe/simple_tag", {{"num_good", "3"}, {"num_obstacles", "0"}, {"num_agent_neighbors", "7"}}, 3},
        {"mpe/simple_world_comm", {{"num_adversaries", "1"}, {"num_forests", "0"}, {"num_obstacles", "0"}}, 3},
        {"mpe/simple_world_comm", {{"num_adversaries", "6"}, {"num_good", "3"}, {"rules", "on-policy"}}, 3},
        {"mpe/collect_treasure", {{"num_collectors", "2"}, {"num_deposits", "6"}, {"continuous_actions", "1"}}, 3},
        {"test/kitchen_sink", {{"scene", "single"}}, 1},
        {"test/kitchen_sink", {{"mortal", "0"}}, 1},
    };
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        check_or_fail(kinds[k].name, kinds[k].option, kinds[k].options, 10);
        if (report.faults) say_all(report.options);
        assert_int_equal(report.faults, 0);
    }
}

/* ---- planted faults -------------------------------------------------------------------------------------------------------------------- */

struct planted {
    const char *name, *line;
    bool is_warning;
};
#define FAULT(name, line)   {#name, line, false},
#define WARNING(name, line) {#name, line, true},
static const struct planted planted[] = {
#include "plugins/planted_faults.h"
};
static const struct planted planted_in_rules[] = {
#include "plugins/planted_rule_faults.h"
};
enum { PLANTED = sizeof planted / sizeof *planted, PLANTED_IN_RULES = sizeof planted_in_rules / sizeof *planted_in_rules };

static void check_planted(const char *plugin, const char *fault)
{
    char path[512];
    const char *build = getenv("BUILD");
    const struct env_option option = {"fault", fault};
    text_format(path, sizeof path, "%s/tests/%s.so", build ? build : "build", plugin);
    if (!strchr(path, '/')) fail();
    check_or_fail(path, &option, 1, strcmp(fault, "never_returns") ? 10 : 0.5); /* a busy machine may hold up any of the others */
}

/* Of these sanitizers speak themselves, or they hide them: memory that they hand out is never fresh and never counted. */
#ifdef __SANITIZE_ADDRESS__
static const char of_sanitizers[] = "writes_unwanted crashes uses_fresh_memory grows leaks";
#else
static const char of_sanitizers[] = "";
#endif

static void is_sound_without_a_fault(const char *plugin)
{
    check_planted(plugin, "none");
    if (report.findings) say_all(plugin);
    assert_int_equal(report.findings, 0);
}

static void the_plugins_are_sound_without_a_fault(void **state)
{
    (void)state;
    is_sound_without_a_fault("plugin_with_faults");
    is_sound_without_a_fault("plugin_of_rules");
}

static void all_are_named_alone(const char *plugin, const struct planted *fault, int faults)
{
    int wrong = 0;
    for (int i = 0; i < faults; i++) {
        const struct planted *p = &fault[i];
        if (text_lists(of_sanitizers, p->name)) continue;
        check_planted(plugin, p->name);
        const bool right = report.faults == !p->is_warning && report.warnings == p->is_warning && strstr(report.finding[0].text, p->line);
        if (right) continue;
        say_all(p->name);
        print_message("    expected only: %s\n", p->line);
        wrong++;
    }
    if (wrong) fail_msg("%d of %d planted faults are not named, or not alone", wrong, faults);
}

static void every_planted_fault_is_named_and_nothing_else(void **state)
{
    (void)state;
    all_are_named_alone("plugin_with_faults", planted, PLANTED);
}

static void faults_of_rules_are_named_by_the_words_of_their_author(void **state)
{
    (void)state;
    all_are_named_alone("plugin_of_rules", planted_in_rules, PLANTED_IN_RULES);
}

static void options_that_it_refuses_are_the_mistake_of_who_gave_them(void **state)
{
    (void)state;
    char path[512];
    struct error err = {0};
    const char *build = getenv("BUILD");
    const struct env_option option = {"fault", "configure_refuses"};
    text_format(path, sizeof path, "%s/tests/plugin_of_rules.so", build ? build : "build");
    const struct check_config config = {.name = path, .option = &option, .options = 1, .seed = 3, .steps = STEPS, .call_seconds = 10};
    assert_int_equal(check_environment(&config, &report, &err), EXIT_USAGE);
    assert_string_equal(err.text, "environment \"test/rules\": not today");
}

/* Damage to the file is nobody's fault, but one word more would keep it out. */
static void a_look_at_what_is_read_back_is_advised_where_its_lack_does_harm(void **state)
{
    (void)state;
    check_planted("plugin_of_rules_without_sound", "none");
    if (report.warnings != 1) say_all("without sound");
    assert_int_equal(report.faults, 0);
    assert_int_equal(report.warnings, 1);
    assert_non_null(strstr(report.finding[0].text, "struct rover is taken from a damaged file"));
    assert_non_null(strstr(report.finding[0].text, "write the word sound"));
    assert_non_null(strstr(report.finding[0].text, "and then it: "));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_environment_that_is_built_in_keeps_its_promises),
        cmocka_unit_test(so_does_every_variant),
        cmocka_unit_test(other_options_are_sound_too),
        cmocka_unit_test(the_plugins_are_sound_without_a_fault),
        cmocka_unit_test(every_planted_fault_is_named_and_nothing_else),
        cmocka_unit_test(options_that_it_refuses_are_the_mistake_of_who_gave_them),
        cmocka_unit_test(a_look_at_what_is_read_back_is_advised_where_its_lack_does_harm),
        cmocka_unit_test(faults_of_rules_are_named_by_the_words_of_their_author),
    };
    return cmocka_run_group_tests_name("env_check", tests, NULL, NULL);
}

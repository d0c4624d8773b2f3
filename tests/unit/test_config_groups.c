/* config/: settings of one group of agents, group.NAME.KEY. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"
#include "config/config.h"
#include "config_lines.h"

static struct config config, other;

static void build(const char *line)
{
    if (parse(line) || config_build(&config, &args, NULL, &err)) fail_msg("%s: %s", line, err.text);
}

static void expect_refused(const char *line, const char *part)
{
    expect_error(parse(line) ? EXIT_USAGE : config_build(&other, &args, NULL, &err), part);
}

static void a_group_has_its_own_value_or_the_default(void **state)
{
    (void)state;
    build("algo=coppo group.wolf.algo=ippo group.sheep.algo=auto group.an-odd.name.algo=mappo");
    assert_string_equal(config_group(&config, "wolf", GROUP_algo), "ippo");
    assert_string_equal(config_group(&config, "dog", GROUP_algo), "auto");
    assert_string_equal(config_group(&config, "an-odd.name", GROUP_algo), "mappo");
    assert_string_equal(config_option(&config, "group.wolf.algo"), "ippo");
    int names[3];
    const char *const of[] = {"wolf", "sheep", "dog"};
    for (int i = 0; i < 3; i++) names[i] = config_group_algo(&config, of[i]);
    assert_int_equal(names[0], 1);
    assert_int_equal(names[1], config.algo_name);
    assert_int_equal(names[2], config.algo_name);
    config_defaults(&other);
    assert_int_equal(config_load_text(&other,
                                      "[group.wolf]\nalgo = ippo\n[group]\ngroup.sheep.algo = mappo\ndog.algo = coppo\nppo.clip = 0.25\n",
                                      "my.ini", ORIGIN_FILE, &err),
                     0);
    assert_string_equal(config_group(&other, "wolf", GROUP_algo), "ippo");
    assert_string_equal(config_group(&other, "sheep", GROUP_algo), "mappo");
    assert_string_equal(config_group(&other, "dog", GROUP_algo), "coppo");
    assert_true(other.ppo_clip == 0.25);
}

static void what_is_no_setting_of_a_group_is_refused(void **state)
{
    (void)state;
    const char *const names[] = {"adversary", "agent"};
    expect_refused("group.wolf.ago=ippo", "unknown key \"group.wolf.ago\" on the command line; did you mean \"group.wolf.algo\"?");
    expect_refused("group.algo=ippo", "did you mean \"group.NAME.algo\"?");
    expect_refused("group.wolf.nonsense=1", "settings of one group are group.NAME.KEY: mappo train --help group");
    expect_refused("group=1", "write group.NAME.KEY=VALUE");
    expect_refused("group.wolf.algo=ipo", "group.wolf.algo=ipo on the command line is none of auto, mappo, ippo");
    expect_refused("group.wo?lf.algo=ippo", "letters, digits and");
    build("env=mpe/simple_tag group.agent.algo=ippo group.wolf.algo=ippo");
    expect_error(
        config_check_groups(&config, names, 2, &err),
        "environment \"mpe/simple_tag\" has no group \"wolf\" (group.wolf.algo on the command line); its groups are: adversary, agent");
    build("group.agent.algo=ippo");
    assert_int_equal(config_check_groups(&config, names, 2, &err), 0);
    expect_error(config_check_groups(&config, names, 1, &err), "its group is: adversary");
}

static void settings_of_groups_come_back_from_config_ini_and_name_the_run(void **state)
{
    (void)state;
    char *text, first[300], second[300];
    size_t size;
    build("group.wolf.algo=ippo group.a-name-of-sixty-three-letters-is-as-long-as-the-name-of-a-grou.algo=mappo");
    FILE *out = open_memstream(&text, &size);
    assert_int_equal(config_write(&config, out, &err), 0);
    fclose(out);
    config_defaults(&other);
    if (config_load_text(&other, text, "config.ini", ORIGIN_FILE, &err)) fail_msg("%s", err.text);
    free(text);
    assert_true(config_hash(&config) == config_hash(&other));
    config_run_folder(&config, first, sizeof first);
    build("group.wolf.algo=auto");
    config_run_folder(&config, second, sizeof second);
    assert_string_equal(second, "runs/mpe-simple_spread-mappo-s1"); /* what it is anyway */
    assert_string_not_equal(first, second);
}

static void differences_name_settings_of_groups(void **state)
{
    (void)state;
    char text[256];
    build("group.wolf.algo=ippo");
    other = config;
    build("");
    assert_int_equal(config_differences(&config, &other, &config_continuing, text, sizeof text), 0); /* not given now: comes from the run */
    assert_int_equal(config_differences(&config, &other, &config_meaning, text, sizeof text), 1);
    assert_string_equal(text, "group.wolf.algo=ippo (here auto)");
    assert_int_equal(config_differences(&config, &other, &config_everything, text, sizeof text), 1);
    build("group.wolf.algo=mappo");
    assert_int_equal(config_differences(&config, &other, &config_continuing, text, sizeof text), 1);
    assert_string_equal(text, "group.wolf.algo (now mappo, before ippo)");
    assert_int_equal(config_differences(&config, &other, &config_everything, text, sizeof text), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_group_has_its_own_value_or_the_default),
                                       cmocka_unit_test(what_is_no_setting_of_a_group_is_refused),
                                       cmocka_unit_test(settings_of_groups_come_back_from_config_ini_and_name_the_run),
                                       cmocka_unit_test(differences_name_settings_of_groups)};
    return cmocka_run_group_tests_name("settings of groups", tests, NULL, NULL);
}

/* What people are told who wrote something wrong: the key, value or option that they meant. Followed literally it must be right, or it
 * isn't said. */
#include <math.h>
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
#include "config/suggest.h"
#include "config_lines.h"

static struct config config;

static void aliases_and_foreign_names_lead_to_keys(void **state)
{
    (void)state;
    for (int i = 0; i < config_alias_count(); i++) {
        int k;
        const char *alias = config_alias(i, &k);
        assert_int_equal(config_find(alias), k);
    }
    static const struct {
        const char *foreign, *key;
    } foreign[] = {
#define FOREIGN(foreign, key)       {foreign, key},
#define FOREIGN_OTHER(foreign, key) {foreign, key},
#include "config/config.def"
    };
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        struct suggested found;
        if (config_find(foreign[i].key) < 0 && strncmp(foreign[i].key, "env.", 4) != 0)
            fail_msg("%s leads to %s, which is no key", foreign[i].foreign, foreign[i].key);
        suggest_keys(foreign[i].foreign, &found);
        assert_int_equal(found.keys, 1);
        assert_string_equal(found.key[0], foreign[i].key);
    }
}

static void settings_for_what_others_call_a_choice_are_taken(void **state)
{
    (void)state;
    static const char *const foreign[] = {
#define FOREIGN_VALUE(section, name, foreign, settings) settings,
#define FOREIGN_NEAR(section, name, foreign, settings)  settings,
#include "config/config.def"
    };
    for (size_t i = 0; i < sizeof foreign / sizeof *foreign; i++) {
        char settings[128], *left = settings, *setting;
        text_format(settings, sizeof settings, "%s", foreign[i]);
        config_defaults(&config);
        while ((setting = strtok_r(left, " ", &left))) {
            char *value = strchr(setting, '=');
            struct error why = {0};
            assert_non_null(value);
            *value = '\0';
            if (config_set(&config, setting, value + 1, ORIGIN_COMMAND_LINE, "here", &why)) fail_msg("%s: %s", foreign[i], why.text);
        }
    }
}

static void unknown_key_names_nearest(void **state)
{
    (void)state;
    static const struct {
        const char *written, *said;
    } cases[] = {
        {"eval.games", "did you mean \"eval.episodes\"?"},
        {"ppo.cliprange", "unknown key \"ppo.cliprange\" here; did you mean \"ppo.clip\"? (mappo train --help ppo lists the section)"},
        {"ppo.entorpy", "did you mean \"ppo.entropy\"?"},
        {"pop.clip", "did you mean \"ppo.clip\"?"},
        {"lr", "did you mean \"adam.lr\"?"},
        {"ppo.lr", "did you mean \"adam.lr\"?"},
        {"eval.intervall", "did you mean \"eval.interval\"?"},
        {"checkpoint.Interval", "did you mean \"checkpoint.interval\"?"},
        {"sead", "did you mean \"seed\"?"},
        {"n_rollout_threads", "did you mean \"rollout.envs\"?"},
        {"total_timesteps", "did you mean \"train.env_steps\"?"},
        {"train.steps", "did you mean \"train.env_steps\"?"},
        {"eval.steps", "did you mean \"eval.env_steps\"?"},
        {"policy.foo", "unknown key \"policy.foo\" here (mappo train --help policy lists the section)"},
        {"zzzz.qqqq", "unknown key \"zzzz.qqqq\" here (mappo --help lists the sections)"},
        {"", "unknown key \"\" here"},
        {".", "unknown key \".\" here"},
        {"env.", "unknown key \"env.\" here"},
        {"env.a b", "unknown key \"env.a b\" here"},
        {"ppo.seed", "did you mean \"seed\"?"}, /* not eval.seed */
        {"PPO.Clip", "did you mean \"ppo.clip\"?"},
        {"env steps", "did you mean \"train.env_steps\" or \"eval.env_steps\"?"},
        {"interval", "did you mean \"eval.interval\" or \"checkpoint.interval\"?"},
        {"NUM_ENVS", "did you mean \"rollout.envs\"?"},
        {"layer_N", "did you mean \"policy.layers\"? (its values are others: mappo --help policy)"},
        {"N", "unknown key \"N\" here (mappo --help lists the sections)"}, /* not env.name */
        {"x", "unknown key \"x\" here (mappo --help lists the sections)"},
        {"ppo", "\"ppo\" here is a section, not a key: write ppo.NAME=VALUE, or in a file NAME = VALUE below [ppo]"},
    };
    config_defaults(&config);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_error(config_set(&config, cases[i].written, "1", ORIGIN_FILE, "here", &err), cases[i].said);
}

static void wrong_values_are_told_how_to_be_written(void **state)
{
    (void)state;
    static const struct {
        const char *key, *value, *said;
    } cases[] = {
        {"train.env_steps", "20M", "train.env_steps=20M here is not a whole number: write 20e6"},
        {"train.env_steps", "1.5k", "write 1.5e3"},
        {"train.env_steps", "1_000_000", "write 1000000"},
        {"rollout.envs", "many", "rollout.envs=many here is not a whole number (1 .. 1e7)"},
        {"rollout.envs", "99999999999999999999999", "is out of range 1 .. 1e7"},
        {"ppo.clip", "7", "ppo.clip=7 here is out of range 0 .. 1"},
        {"seed", "-1", "seed=-1 here is out of range 0 .. 9e15"},
        {"policy.activation", "sigmoid", "policy.activation=sigmoid here is none of relu, tanh"},
        {"policy.kind", "lstm", "policy.kind=lstm here is none of mlp, gru: here that is policy=gru"},
        {"algo", "TD3", "ddpg: here that is algo=ddpg maddpg.twin=1"},
        {"algo", "r_mappo", "ddpg: here that is algo=mappo policy=gru"},
        {"adam.lr", "0,001", "adam.lr=0,001 here is not a number: write 0.001"},
        {"train.env_steps", "1,000", "is not a whole number: a decimal point is written as a point, thousands without a mark"},
        {"train.env_steps", "1.000", "is not a whole number: a decimal point is written as a point, thousands without a mark"},
        {"ppo.epochs", "2.5", "ppo.epochs=2.5 here is not a whole number (1 .. 1000)"},
        {"train.max_seconds", "30m", "train.max_seconds=30m here is not a number: write 1800"},
        {"checkpoint.interval", "1h", "checkpoint.interval=1h here is not a whole number (0 .. 1e9; 0 = by checkpoint.seconds"},
        {"train.max_seconds", "inf", "train.max_seconds=inf here is not a number (0 .. 1e9; 0 = no limit)"},
        {"ppo.max_grad_norm", "off", "ppo.max_grad_norm=off here is not a number (0 .. 1e9; 0 = off)"},
        {"adam.lr", "1e400", "adam.lr=1e400 here is out of range 0 .. 10"},
        {"ppo.epochs", "1e400", "ppo.epochs=1e400 here is out of range 1 .. 1000"},
        {"policy.activation", "Tanh", "policy.activation=Tanh here is none of relu, tanh: write tanh"},
        {"cpu.level", "AVX-512", "write avx512"},
        {"backend", "gpu", "backend=gpu here is none of auto, cpu, cuda"}, /* and not: did you mean cpu? */
        {"adam.lr", "\"7e-4\"", "adam.lr=\"7e-4\" here: values stand without quotes: write 7e-4"},
        {"env", "'mpe/simple_spread'", "values stand without quotes: write mpe/simple_spread"},
        {"env.rules", "\u201cmpe2\u201d", "values stand without quotes: write mpe2"},
        {"run", "\"\"", "values stand without quotes: write nothing behind the ="},
        {"train.init", "a.h5\u00a0", "here holds a no-break space (U+00A0), which is no blank and no quote here: take it away"},
        {"env.rules", "\u201cmpe2", "here holds a typographic quote"},
        {"train.init", "a #b", "can't be kept in a configuration file"},
        {"run", "$HOME/x", "run=$HOME/x here: variables are replaced by a shell only"},
        {"picture", "~no-such-user/x", "there is no user \"no-such-user\""},
    };
    config_defaults(&config);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_error(config_set(&config, cases[i].key, cases[i].value, ORIGIN_FILE, "here", &err), cases[i].said);
}

/* What 32 bits can't tell from 0 would be "off", or "learned", or nothing at all. */
static void no_number_silently_becomes_a_special_one(void **state)
{
    (void)state;
    char name[128], value[CONFIG_TEXT];
    static const char *const small[] = {"1e-300", "1e-50", "1e-400", "0.000000000000000000000000000000000000000001"};
    for (int k = 0; k < CONFIG_KEYS; k++) {
        if (config_keys[k].type != KEY_IS_REAL) continue;
        config_full_name(k, name, sizeof name);
        for (size_t i = 0; i < sizeof small / sizeof *small; i++) {
            config_defaults(&config);
            expect_error(config_set(&config, name, small[i], ORIGIN_COMMAND_LINE, "here", &err), "is too small to be told from 0");
        }
        if (!(config_keys[k].flags & SINGLE)) continue;
        text_format(value, sizeof value, "%.17g", nextafter(config_keys[k].high, 0));
        expect_error(config_set(&config, name, value, ORIGIN_COMMAND_LINE, "here", &err), "to be told from it in 32 bits");
    }
    expect_error(config_set(&config, "ppo.max_grad_norm", "1e-300", ORIGIN_COMMAND_LINE, "here", &err),
                 "told from 0 (0 = off): write 0, or");
    expect_error(config_set(&config, "policy.fixed_std", "1e-50", ORIGIN_COMMAND_LINE, "here", &err), "(0 = learned)");
    assert_int_equal(config_set(&config, "norm.beta", "0.999999999", ORIGIN_COMMAND_LINE, "here", &err), 0); /* kept in 64 bits */
    assert_int_equal(config_set(&config, "ppo.max_grad_norm", "1.2e-38", ORIGIN_COMMAND_LINE, "here", &err), 0);
    assert_int_equal(config_set(&config, "ppo.max_grad_norm", "-0", ORIGIN_COMMAND_LINE, "here", &err), 0);
    config_value(&config, KEY_ppo_max_grad_norm, value, sizeof value);
    assert_string_equal(value, "0");
    /* A run that older versions took can be continued. */
    assert_int_equal(config_set(&config, "ppo.max_grad_norm", "1e-300", ORIGIN_CHECKPOINT, "here", &err), 0);
    assert_int_equal(config_set(&config, "train.init", "\"a #b\"", ORIGIN_CHECKPOINT, "here", &err), 0);
    assert_string_equal(config.train_init, "\"a #b\"");
}

static void wrong_options_are_told_how_to_be_written(void **state)
{
    (void)state;
    static const struct {
        const char *line, *said;
    } cases[] = {
        /* settings with dashes, their values behind = or as the next word */
        {"--seed=3", "unknown option \"--seed=3\": settings are written without dashes: seed=3"},
        {"--seed 3", "settings are written without dashes: seed=3"},
        {"-seed 3", "settings are written without dashes: seed=3"},
        {"--ppo-clip=0.1", "settings are written without dashes: ppo.clip=0.1"},
        {"--ppo_clip 0.1", "settings are written without dashes: ppo.clip=0.1"},
        {"--train-env-steps 1e6", "settings are written without dashes: train.env_steps=1e6"},
        {"--ppo.clip 0.1", "settings are written without dashes: ppo.clip=0.1"},
        {"--policy.log_std -1", "settings are written without dashes: policy.log_std=-1"},
        {"train --lr 1e-3", "did you mean adam.lr=1e-3?"},
        {"--lr=1e-3", "did you mean adam.lr=1e-3?"},
        {"--lr", "did you mean adam.lr=VALUE?"},
        {"--lr seed=3", "did you mean adam.lr=VALUE?"},
        {"--lr --json", "did you mean adam.lr=VALUE?"},
        {"--lr fast", "did you mean adam.lr=VALUE?"}, /* it would not be taken */
        {"--clip 0.1", "did you mean ppo.clip=0.1?"},
        {"--env-steps 5", "did you mean train.env_steps=5 or eval.env_steps=5?"},
        {"--entorpy 0.1", "did you mean ppo.entropy=0.1?"},
        {"\u2014lr", "unknown command"}, /* commands.c knows more of it */
        /* what other programs call it */
        {"--n_rollout_threads 3", "did you mean rollout.envs=3?"},
        {"--num-envs 8", "did you mean rollout.envs=8?"},
        {"--total-timesteps 1000000", "did you mean train.env_steps=1000000?"},
        {"--learning-rate 1e-3", "did you mean adam.lr=1e-3?"},
        {"--device cuda", "did you mean backend=cuda?"},
        {"--device 0", "did you mean backend=VALUE?"},
        {"--gpu 0", "did you mean backend=VALUE?"},
        {"--layer_N 1", "did you mean policy.layers=VALUE?"}, /* ours is layer_N + 1 */
        {"--use_eval 1", "did you mean eval.interval=VALUE?"},
        {"--use_ReLU", "did you mean policy.activation=VALUE?"},
        {"--output here", "did you mean run=here?"},
        {"-c a.ini", "what is meant here is --config FILE"},
        {"--cfg a.ini", "what is meant here is --config FILE"},
        {"-v", "what is meant here is --version"},
        {"--silent", "what is meant here is --quiet"},
        {"--resume", "the same command again continues a run"},
        /* misspelt options; never one that sets a run aside */
        {"--jsn", "did you mean \"--json\"?"},
        {"--quite", "did you mean \"--quiet\"?"},
        {"--versoin", "did you mean \"--version\"?"},
        {"--fressh", "unknown option \"--fressh\"; settings are written key=value"},
        {"--refresh", "unknown option"},
        {"--fresh=1", "--fresh takes no value, but \"--fresh=1\" was given"},
        {"--json=yes", "--json takes no value"},
        {"--config", "--config needs a file"},
        {"--config=", "--config needs a file"},
        {"--N 5", "options of the environment env.NAME=value"},
        {"--env.N 5", "settings are written without dashes: env.N=5"},
        {"--", "unknown option \"--\""},
        {"---", "unknown option \"---\""},
        {"=3", "has no key before the =: write key=value without blanks"},
        {"a-very-long-word-that-is-no-command-at-all", "unknown command"},
        {"eval ~no-such-user/run", "~no-such-user/run on the command line: there is no user \"no-such-user\""},
        {"--config=~no-such-user/x.ini", "there is no user"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int code = parse(cases[i].line);
        if (!code && strstr(cases[i].said, "unknown command")) continue; /* found out when the command is looked up */
        if (strstr(err.text, "mean \"--fresh") || strstr(err.text, "is --fresh")) fail_msg("%s: %s", cases[i].line, err.text);
        expect_error(code, cases[i].said);
    }
    setenv("HOME", "/people/me", 1);
    assert_int_equal(parse("eval ~/run --config=~/a.ini --config ~ x~/y"), 0);
    assert_string_equal(args.operand[0], "/people/me/run");
    assert_string_equal(args.operand[1], "x~/y");
    assert_string_equal(args.file[0], "/people/me/a.ini");
    assert_string_equal(args.file[1], "/people/me");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_for_what_others_call_a_choice_are_taken),
        cmocka_unit_test(aliases_and_foreign_names_lead_to_keys),
        cmocka_unit_test(unknown_key_names_nearest),
        cmocka_unit_test(wrong_values_are_told_how_to_be_written),
        cmocka_unit_test(no_number_silently_becomes_a_special_one),
        cmocka_unit_test(wrong_options_are_told_how_to_be_written),
    };
    return cmocka_run_group_tests_name("config advice", tests, NULL, NULL);
}

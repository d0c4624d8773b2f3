/* policy.std and policy.fixed_std say the same thing in two keys, of which older runs have the second alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/choices.h"
#include "config_lines.h"
#include "run/checkpoint.h"
#include "run/saved_run.h"

static struct config config;
static char file_path[64];

static void write_file(const char *text)
{
    text_format(file_path, sizeof file_path, "/tmp/mappo-test-config-std-%d.ini", (int)getpid());
    FILE *out = fopen(file_path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

/* Of the command line; "%s" stands for the file. */
static void expect(const char *format, const char *std, double fixed_std)
{
    char line[256], value[CONFIG_TEXT];
    snprintf(line, sizeof line, format, file_path);
    if (parse(line) || config_build(&config, &args, NULL, &err)) fail_msg("%s: %s", line, err.text);
    config_value(&config, KEY_policy_std, value, sizeof value);
    if (strcmp(value, std) != 0 || config.policy_fixed_std != fixed_std)
        fail_msg("%s: policy.std=%s policy.fixed_std=%g, expected %s and %g", line, value, config.policy_fixed_std, std, fixed_std);
}

static void a_constant_alone_says_all(void **state)
{
    (void)state;
    char folder[2][CONFIG_TEXT + 64];
    expect("", "shared", 0);
    expect("policy.std=state", "state", 0);
    expect("policy.fixed_std=0.5", "fixed", 0.5);
    config_run_folder(&config, folder[0], sizeof folder[0]);
    expect("policy.std=fixed policy.fixed_std=0.5", "fixed", 0.5);
    config_run_folder(&config, folder[1], sizeof folder[1]);
    assert_string_equal(folder[0], folder[1]); /* the name that older runs have */
    write_file("[policy]\nfixed_std = 0.5\n");
    expect("--config %s", "fixed", 0.5);
    expect_error(config_set(&config, "policy.std", "learned", ORIGIN_FILE, "here", &err), "is none of shared, state, fixed");
}

static void the_stronger_source_decides(void **state)
{
    (void)state;
    write_file("[policy]\nfixed_std = 0.5\n");
    expect("--config %s policy.std=state", "state", 0);
    expect("--config %s policy.fixed_std=0", "shared", 0);
    write_file("[policy]\nstd = state\nfixed_std = 0\n");
    expect("--config %s", "state", 0);
    expect("--config %s policy.fixed_std=0.3", "fixed", 0.3);
    write_file("[policy]\nstd = fixed\nfixed_std = 0.5\n");
    expect("--config %s", "fixed", 0.5);
    expect("--config %s policy.fixed_std=0.3", "fixed", 0.3);
    expect("--config %s policy.fixed_std=0", "shared", 0);
    expect("--config %s policy.std=shared", "shared", 0);
}

static void a_checkpoint_of_before_means_what_it_meant(void **state)
{
    (void)state;
    static const char *const value[] = {"0.5", "0"};
    static const int std[] = {STD_FIXED, STD_SHARED};
    char path[128];
    text_format(path, sizeof path, "/tmp/mappo-test-config-std-%d.h5", (int)getpid());
    for (int i = 0; i < 2; i++) {
        int64_t updates = 3;
        struct checkpoint *file;
        struct checkpoint_attribute attribute = {"config/policy.fixed_std", value[i]};
        struct checkpoint_content content = {.attribute = &attribute, .attributes = 1};
        field_add(&content.fields, "/counters/update", FIELD_INT64, &updates, "updates", "updates so far", 0);
        assert_int_equal(checkpoint_write(path, &content, &err), 0);
        assert_int_equal(checkpoint_open(&file, path, &err), 0);
        assert_int_equal(saved_run_config(&config, file, path, &err), 0);
        assert_int_equal(config.policy_std, std[i]);
        checkpoint_close(file);
        free(content.fields.field);
    }
    unlink(path);
}

/* And is refused where networks are built: faults/test_bad_input. */
static void what_a_source_says_against_itself_stays(void **state)
{
    (void)state;
    expect("policy.std=fixed", "fixed", 0);
    expect("policy.std=state policy.fixed_std=0.5", "state", 0.5);
    write_file("[policy]\nstd = shared\nfixed_std = 0.5\n");
    expect("--config %s", "shared", 0.5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(a_constant_alone_says_all), cmocka_unit_test(the_stronger_source_decides),
                                       cmocka_unit_test(a_checkpoint_of_before_means_what_it_meant),
                                       cmocka_unit_test(what_a_source_says_against_itself_stays)};
    const int failed = cmocka_run_group_tests_name("config_std", tests, NULL, NULL);
    unlink(file_path);
    return failed;
}

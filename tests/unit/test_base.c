/* base/: errors, memory, time, text. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/check.h"
#include "base/clock.h"
#include "base/pooled.h"
#include "base/finite.h"
#include "base/number.h"
#include "base/philox.h"
#include "base/text.h"

/* Runs `body` in a child; returns its exit code and what it wrote to stderr. */
static int in_child(void (*body)(void), char *said, size_t size)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        dup2(ends[1], STDERR_FILENO);
        close(ends[0]);
        body();
        fflush(NULL);
        _exit(0);
    }
    close(ends[1]);
    size_t used = 0;
    for (ssize_t n; used + 1 < size && (n = read(ends[0], said + used, size - 1 - used)) > 0;) used += (size_t)n;
    said[used] = '\0';
    close(ends[0]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* ---- errors ------------------------------------------------------------------------------------------------------------------------ */

static void error_text_is_one_clean_line(void **state)
{
    (void)state;
    struct error err = {0};
    assert_int_equal(error_set(&err, EXIT_USAGE, "key \"%s\"", "a\nb\033[31m"), EXIT_USAGE);
    assert_int_equal(err.code, EXIT_USAGE);
    assert_string_equal(err.text, "key \"a?b?[31m\"");
    assert_int_equal(error_prefix(&err, "file %d", 3), EXIT_USAGE);
    assert_string_equal(err.text, "file 3: key \"a?b?[31m\"");
    assert_int_equal(error_set(NULL, EXIT_CHECKPOINT, "nobody listens"), EXIT_CHECKPOINT);
}

static void long_error_text_ends_with_dots_and_whole_characters(void **state)
{
    (void)state;
    struct error err = {0};
    char longer[3000];
    for (size_t i = 0; i + 2 < sizeof longer; i += 2) memcpy(longer + i, "\xc3\xa4", 3); /* ä */
    error_set(&err, EXIT_INTERNAL, "x%s", longer);
    size_t length = strlen(err.text);
    assert_true(length < sizeof err.text);
    assert_string_equal(err.text + length - 3, "...");
    assert_int_equal((length - 3 - 1) % 2, 0); /* x, then whole characters of two bytes */
    error_prefix(&err, "somewhere");
    assert_true(strlen(err.text) < sizeof err.text);
    assert_int_equal(strncmp(err.text, "somewhere: x", 12), 0);
}

static void error_may_be_made_of_its_own_text(void **state)
{
    (void)state;
    struct error err = {0};
    error_set(&err, EXIT_USAGE, "inner");
    error_set(&err, EXIT_USAGE, "outer (%s)", err.text);
    assert_string_equal(err.text, "outer (inner)");
}

static void hook(int code)
{
    _exit(code + 100);
}
static void die_alone(void)
{
    check_identify(0, 1, NULL);
    die(EXIT_NUMERICAL, "loss is %s", "nan");
}
static void die_among_ranks(void)
{
    check_identify(3, 8, hook);
    die(EXIT_CHECKPOINT, "gone");
}
static void fail_check(void)
{
    CHECK(1 == 1, "never");
    CHECK(1 == 2, "x is %d", 7);
}
static void report_on_rank_0(void)
{
    struct error err = {EXIT_USAGE, "wrong"};
    check_identify(0, 2, NULL);
    _exit(error_report(&err));
}
static void report_on_rank_1(void)
{
    struct error err = {EXIT_USAGE, "wrong"};
    check_identify(1, 2, NULL);
    _exit(error_report(&err));
}

static void die_says_who_speaks_and_ends_through_the_hook(void **state)
{
    (void)state;
    char said[2048];
    assert_int_equal(in_child(die_alone, said, sizeof said), EXIT_NUMERICAL);
    assert_string_equal(said, "mappo: loss is nan\n");
    assert_int_equal(in_child(die_among_ranks, said, sizeof said), 100 + EXIT_CHECKPOINT);
    assert_string_equal(said, "mappo: rank 3 of 8: gone\n");
    assert_int_equal(in_child(fail_check, said, sizeof said), EXIT_INTERNAL);
    assert_non_null(strstr(said, "test_base.c:"));
    assert_non_null(strstr(said, "x is 7"));
}

static void agreed_error_is_printed_by_rank_0_only(void **state)
{
    (void)state;
    char said[2048];
    assert_int_equal(in_child(report_on_rank_0, said, sizeof said), EXIT_USAGE);
    assert_string_equal(said, "mappo: wrong\n");
    assert_int_equal(in_child(report_on_rank_1, said, sizeof said), EXIT_USAGE);
    assert_string_equal(said, "");
}

static char *log_text;
static void warn_with_log(void)
{
    size_t size;
    FILE *log = open_memstream(&log_text, &size);
    check_identify(1, 2, NULL);
    check_log(log);
    warn("first");
    check_log(NULL);
    warn("second");
    fclose(log);
    _exit(strcmp(log_text, "mappo: rank 1 of 2: first\n") == 0 ? 0 : 1);
}

static void warnings_also_go_to_the_log_while_it_is_set(void **state)
{
    (void)state;
    char said[2048];
    assert_int_equal(in_child(warn_with_log, said, sizeof said), 0);
    assert_string_equal(said, "mappo: rank 1 of 2: first\nmappo: rank 1 of 2: second\n");
}

/* ---- memory ------------------------------------------------------------------------------------------------------------------------ */

static void arena_blocks_are_aligned_zeroed_and_apart(void **state)
{
    (void)state;
    struct arena *arena = arena_create("test");
    unsigned char *block[50];
    for (size_t i = 0; i < 50; i++) {
        block[i] = arena_take(arena, "block", i, 7);
        assert_int_equal((uintptr_t)block[i] % 64, 0);
        for (size_t j = 0; j < i * 7; j++) assert_int_equal(block[i][j], 0);
        memset(block[i], (int)i, i * 7);
    }
    for (size_t i = 0; i < 50; i++)
        for (size_t j = 0; j < i * 7; j++) assert_int_equal(block[i][j], i);
    assert_int_equal(arena_bytes(arena), 7 * 49 * 50 / 2);
    assert_string_equal(arena_text(arena, "kept"), "kept");
    arena_destroy(arena);
    arena_destroy(NULL);
}

static void take_from_sealed(void)
{
    struct arena *arena = arena_create("rollout");
    arena_seal(arena);
    ARENA_NEW(arena, float, 3);
}
static void take_too_much(void)
{
    struct arena *arena = arena_create("rollout");
    arena_take(arena, "observations", SIZE_MAX / 2, 16);
}

static void arena_refuses_what_it_cannot_give(void **state)
{
    (void)state;
    char said[2048];
    assert_int_equal(in_child(take_from_sealed, said, sizeof said), EXIT_INTERNAL);
    assert_non_null(strstr(said, "rollout"));
    assert_non_null(strstr(said, "float[3]"));
    assert_int_equal(in_child(take_too_much, said, sizeof said), EXIT_USAGE);
    assert_non_null(strstr(said, "not enough memory: rollout"));
}

/* ---- time -------------------------------------------------------------------------------------------------------------------------- */

static void durations_read_well_and_never_say_sixty(void **state)
{
    (void)state;
    static const struct {
        double seconds;
        const char *text;
    } cases[] = {{0, "0.0 s"},          {12.34, "12.3 s"},      {59.94, "59.9 s"},    {59.96, "1 min 00 s"},
                 {119.6, "2 min 00 s"}, {3599.6, "1 h 00 min"}, {3720, "1 h 02 min"}, {86399, "1 d 00 h"},
                 {90000, "1 d 01 h"},   {-61, "-1 min 01 s"},   {HUGE_VAL, "?"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[64];
        clock_duration(text, sizeof text, cases[i].seconds);
        assert_string_equal(text, cases[i].text);
    }
}

static void clocks_go_forward_and_utc_has_its_form(void **state)
{
    (void)state;
    double before = clock_seconds();
    for (int i = 0; i < 1000; i++) {
        double now = clock_seconds();
        assert_true(now >= before);
        before = now;
    }
    char utc[32];
    int year, month, day, hour, minute, second, end = 0;
    clock_utc(utc, sizeof utc);
    assert_int_equal(sscanf(utc, "%4d-%2d-%2dT%2d:%2d:%2dZ%n", &year, &month, &day, &hour, &minute, &second, &end), 6);
    assert_int_equal(end, 20);
}

/* ---- text -------------------------------------------------------------------------------------------------------------------------- */

static void integers_are_exact_decimals(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {{"0", 0},
                {"-5", -5},
                {"+7", 7},
                {"20e6", 20000000},
                {"2.5e3", 2500},
                {"1.50e2", 150},
                {"0.01e2", 1},
                {"100", 100},
                {"1e18", 1000000000000000000},
                {"00012", 12},
                {"10.0", 10},
                {"0e99", 0},
                {"9223372036854775807", INT64_MAX},
                {"-9223372036854775808", INT64_MIN},
                {"1e+2", 100}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        int64_t value = -1;
        if (!text_to_int(good[i].text, &value) || value != good[i].value)
            fail_msg("\"%s\" read as %lld, expected %lld", good[i].text, (long long)value, (long long)good[i].value);
    }
    static const char *const bad[] = {"",
                                      "-",
                                      "+",
                                      ".",
                                      "e5",
                                      "1.5",
                                      "1e-1",
                                      "20M",
                                      "4k",
                                      "1_000",
                                      "1,000",
                                      "1.000", /* a thousand to half of the world */
                                      "-20.000",
                                      " 1",
                                      "1 ",
                                      "0x10",
                                      "nan",
                                      "inf",
                                      "1e",
                                      "1e+",
                                      "9223372036854775808",
                                      "1e19",
                                      "1e99999999999999999999",
                                      "1..0",
                                      "--1",
                                      "1e5x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t value = 77;
        if (text_to_int(bad[i], &value)) fail_msg("\"%s\" was taken as %lld", bad[i], (long long)value);
        assert_int_equal(value, 77);
    }
}

static void one_number_that_is_none_is_found_wherever_it_stands(void **state)
{
    (void)state;
    enum { MOST = 70 };
    static const float sound[] = {0, -0.0f, 1e-45f, -3.4028235e38f, 3.4028235e38f, 1}, wrong[] = {NAN, -NAN, INFINITY, -INFINITY};
    for (size_t n = 0; n < MOST; n++) {
        float x[MOST];
        for (size_t i = 0; i < n; i++) x[i] = sound[i % 6];
        assert_true(all_finite(x, n));
        for (size_t i = 0; i < n; i++) {
            const float was = x[i];
            x[i] = wrong[i % 4];
            if (all_finite(x, n)) fail_msg("%g at %zu of %zu was not found", (double)x[i], i, n);
            assert_true(all_finite(x, i));
            x[i] = was;
        }
    }
}

static void reals_are_finite_decimals(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } good[] = {{"7e-4", 7e-4}, {"0.99999", 0.99999}, {"-1", -1}, {"+2.", 2}, {".5", .5}, {"1E3", 1000}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        double value;
        assert_true(text_to_real(good[i].text, &value));
        assert_true(value == good[i].value);
    }
    static const char *const bad[] = {"", "nan", "inf", "1e400", "1e-400", "-0.3e-999", "0x1p3", "1,5", "1.0f", " 1", "1 ", "-", "1e", "."};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        double value = 77;
        if (text_to_real(bad[i], &value)) fail_msg("\"%s\" was taken as %g", bad[i], value);
    }
    bool yes;
    assert_true(text_to_bool("Yes", &yes) && yes);
    assert_true(text_to_bool("off", &yes) && !yes);
    assert_false(text_to_bool("2", &yes));
    assert_false(text_to_bool("", &yes));
}

static void shortest_real_reads_back_identically(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } pretty[] = {{600, "600"},       {7e-4, "0.0007"}, {1e-5, "1e-5"}, {1e15, "1e15"},
                  {20e6, "20000000"}, {0.1, "0.1"},     {-2.5, "-2.5"}, {1e300, "1e300"}};
    char text[64];
    for (size_t i = 0; i < sizeof pretty / sizeof *pretty; i++) {
        text_short_real(text, sizeof text, pretty[i].value);
        assert_string_equal(text, pretty[i].text);
    }
    struct philox rng;
    philox_start(&rng, 7, 0, 0);
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = (uint64_t)philox_next(&rng) << 32 | philox_next(&rng);
        double value, read;
        memcpy(&value, &bits, sizeof value);
        if (value != value || value - value != 0) continue;
        text_short_real(text, sizeof text, value);
        if (!text_to_real(text, &read) || memcmp(&read, &value, sizeof value) != 0) fail_msg("%.17g was written as %s", value, text);
    }
}

static void a_small_number_keeps_its_digits_and_a_zero_has_no_sign(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } shown[] = {{-24.4, "-24.40"},          {0, "0.00"},           {-0.0, "0.00"},        {-0.004, "-0.00400"},
                 {0.0123456, "0.0123"},      {0.1, "0.10"},         {-0.09999, "-0.1000"}, {1e-30, "0.000000000000"},
                 {-1e-30, "0.000000000000"}, {1e9, "1000000000.00"}};
    char text[64];
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        text_fixed(text, sizeof text, shown[i].value, text_decimals(shown[i].value));
        assert_string_equal(text, shown[i].text);
    }
    text_fixed(text, sizeof text, -0.004, 2); /* beside a standard error of 1, say */
    assert_string_equal(text, "0.00");
}

static void nearest_word_is_the_one_that_was_meant(void **state)
{
    (void)state;
    static const char *const words[] = {"clip", "clip_value", "epochs", "minibatches", "entropy", "seed", "env"};
    static const struct {
        const char *written, *meant;
    } cases[] = {{"cliprange", "clip"},
                 {"clipvalue", "clip_value"},
                 {"epoch", "epochs"},
                 {"ecpohs", "epochs"},
                 {"entorpy", "entropy"},
                 {"sede", "seed"},
                 {"evn", "env"},
                 {"SEED", "seed"},
                 {"mini_batches", "minibatches"},
                 {"xyz", NULL},
                 {"learning", NULL},
                 {"value", "clip_value"}, /* a word of it */
                 {"val", "clip_value"},
                 {"", NULL}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *found = text_nearest(cases[i].written, words, 7);
        if ((found == NULL) != (cases[i].meant == NULL) || (found && strcmp(found, cases[i].meant) != 0))
            fail_msg("\"%s\" was taken for %s, expected %s", cases[i].written, found ? found : "nothing",
                     cases[i].meant ? cases[i].meant : "nothing");
    }
    char longest[4000];
    memset(longest, 'a', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_null(text_nearest(longest, words, 7));
    assert_null(text_nearest("seed", words, 0));
}

/* Names are made of words, and who leaves some out means those that have the others. */
static void words_that_were_left_out_are_named(void **state)
{
    (void)state;
    static const char *const names[] = {"mpe/simple",   "mpe/simple_spread", "simple_spread_v3",      "num_adversaries", "num_good",
                                        "max_num_food", "max_food_level",    "overcooked/coord_ring", "overcooked",      "smax/3m"};
    static const struct {
        const char *written, *said;
    } cases[] = {{"mpe/spread", "; did you mean \"mpe/simple_spread\"?"},
                 {"spread_v3", "; did you mean \"simple_spread_v3\"?"},
                 {"overcooked/ring", "; did you mean \"overcooked/coord_ring\"?"},
                 {"max_food", "; did you mean \"max_num_food\" or \"max_food_level\"?"},
                 {"MAX_FOOD_LEV", "; did you mean \"max_food_level\"?"},
                 {"num_god", "; did you mean \"num_good\"?"}, /* by its letters */
                 {"smax/4m", "; did you mean \"smax/3m\"?"},
                 {"num_prey", ""}, /* shares no more than a beginning */
                 {"m", ""},
                 {"_", ""}};
    char text[256];
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        text_suggestion(text, sizeof text, cases[i].written, "", names, sizeof names / sizeof *names);
        if (strcmp(text, cases[i].said) != 0) fail_msg("\"%s\": \"%s\", expected \"%s\"", cases[i].written, text, cases[i].said);
    }
    text_suggestion(text, sizeof text, "num_god", "env.", names, sizeof names / sizeof *names);
    assert_string_equal(text, "; did you mean \"env.num_good\"?");
}

static void advice_on_numbers_is_right_or_absent(void **state)
{
    (void)state;
    static const struct number_kind counts = {.whole = true, .low = 1, .high = 1e15}, rates = {.low = 0, .high = 1e9},
                                    times = {.seconds = true, .low = 0, .high = 1e9}, fractions = {.low = 0, .high = 1};
    static const char either[] = ": a decimal point is written as a point, thousands without a mark";
    static const struct {
        const struct number_kind *kind;
        const char *written, *advice;
    } cases[] = {
        /* decimal commas, and marks of thousands */
        {&rates, "0,001", ": write 0.001"},
        {&rates, "0,5", ": write 0.5"},
        {&rates, "-0,5", ""}, /* out of range */
        {&rates, "3,14", ": write 3.14"},
        {&rates, "1,000", either},
        {&rates, "12,345", either},
        {&rates, "1,2345", ": write 1.2345"},
        {&rates, "1,234,567", ": write 1234567"},
        {&rates, "1.234.567", ": write 1234567"},
        {&rates, "1,234.5", ": write 1234.5"},
        {&rates, "1.234,5", ": write 1234.5"},
        {&rates, "1,23,456", ""},
        {&rates, "1.2.3", ""},
        {&rates, "1,2,3", ""},
        {&counts, "1,000", either},
        {&counts, "1.000", either},
        {&counts, "1.500", either},
        {&counts, "1,5", ""},
        {&counts, "20.000.000", ": write 20000000"},
        {&counts, "1,000,000", ": write 1000000"},
        {&counts, "1_000", ": write 1000"},
        {&counts, "_1", ""},
        {&counts, "1 000 000", ": write 1000000"},
        {&counts, "1\u00a0000\u00a0000", ": write 1000000"},
        {&counts, "1'000'000", ": write 1000000"},
        {&counts, "1 5", ""},
        /* suffixes */
        {&counts, "20M", ": write 20e6"},
        {&counts, "20m", ": write 20e6"},
        {&counts, "1.5k", ": write 1.5e3"},
        {&counts, "1,5M", ": write 1.5e6"},
        {&counts, "1.2345k", ""}, /* is not whole */
        {&counts, "2 G", ": write 2e9"},
        {&counts, "20MB", ""},
        {&rates, "20M", ": write 20e6"},
        {&rates, "20m", ""},     /* a thousandth? */
        {&fractions, "20M", ""}, /* out of range */
        {&times, "30m", ": write 1800"},
        {&times, "1h", ": write 3600"},
        {&times, "1,5 h", ": write 5400"},
        {&times, "90s", ": write 90"},
        {&times, "2d", ": write 172800"},
        {&times, "30M", ""},
        {&times, "01:30:00", ": write 5400"},
        {&times, "1:30", ""}, /* minutes and seconds, or hours and minutes? */
        /* other notations */
        {&fractions, "10%", ": write 0.1"},
        {&fractions, "12,5%", ": write 0.125"},
        {&fractions, "200%", ""},
        {&counts, "10%", ""},
        {&fractions, "1/4", ": write 0.25"},
        {&fractions, "1/0", ""},
        {&counts, "4/2", ": write 2"},
        {&counts, "1/3", ""},
        {&counts, "0x10", ": write 16"},
        {&counts, "0xg", ""},
        {&fractions, "7e\u22124", ": write 7e-4"},
        {&fractions, "7e-4,", ": write 7e-4"},
        {&fractions, " 0.5 ", ": write 0.5"},
        {&fractions, "7,5e-4", ": write 7.5e-4"},
        /* no number of this kind, and nothing to be done about it */
        {&counts, "2.5", ""},
        {&counts, "5e-1", ""},
        {&counts, "true", ""},
        {&rates, "inf", ""},
        {&rates, "nan", ""},
        {&rates, "1e400", ""},
        {&rates, "", ""},
        {&rates, "-", ""},
        {&rates, ",", ""},
        {&rates, "%", ""},
        {&rates, "e5", ""},
        {&rates, "1234567890123456789012345678901234567890123456789012345678901234567890,5", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char advice[160];
        number_advice(cases[i].written, cases[i].kind, advice, sizeof advice);
        if (strcmp(advice, cases[i].advice) != 0)
            fail_msg("case %zu, \"%s\": \"%s\", expected \"%s\"", i, cases[i].written, advice, cases[i].advice);
        /* Followed literally it must be taken. */
        double number;
        int64_t whole;
        if (strncmp(advice, ": write ", 8) != 0) continue;
        assert_true(text_to_real(advice + 8, &number) && number >= cases[i].kind->low && number <= cases[i].kind->high);
        assert_true(!cases[i].kind->whole || text_to_int(advice + 8, &whole));
    }
}

static void words_are_compared_without_marks_dashes_and_quotes(void **state)
{
    (void)state;
    assert_true(text_same_letters("ppo-clip", "PPO.clip") && text_same_letters("a_b", "ab") && text_same_letters("", "-."));
    assert_false(text_same_letters("ppo.clip", "ppo.clips") || text_same_letters("a", ""));
    assert_string_equal(text_behind_dashes("--lr"), "lr");
    assert_string_equal(text_behind_dashes("\u2014lr"), "lr");
    assert_string_equal(text_behind_dashes("\u2013-l-r"), "l-r");
    assert_true(text_lists("show compare diff", "show") && text_lists("show compare diff", "diff"));
    assert_false(text_lists("show compare diff", "sho") || text_lists("show compare diff", "iff") || text_lists("a b", ""));
    static const char *const quoted[] = {"\"a b\"",         "'a b'",           "`a b`",          "\u201ca b\u201d",
                                         "\u201ea b\u201c", "\u2018a b\u2019", "\u00aba b\u00bb"};
    size_t length;
    for (size_t i = 0; i < sizeof quoted / sizeof *quoted; i++) {
        const char *inner = text_unquoted(quoted[i], &length);
        if (!inner || length != 3 || strncmp(inner, "a b", 3) != 0) fail_msg("%s was not unquoted", quoted[i]);
    }
    assert_true(text_unquoted("\"\"", &length) && length == 0);
    assert_null(text_unquoted("\"", &length));
    assert_null(text_unquoted("\"a", &length));
    assert_null(text_unquoted("a\"", &length));
    assert_true(text_is_decimal("-1.5e+400") && text_is_decimal(".5") && text_is_decimal("5."));
    assert_false(text_is_decimal("") || text_is_decimal(".") || text_is_decimal("1e") || text_is_decimal("+-1") || text_is_decimal("0x1"));
}

static void json_is_escaped_and_has_no_nan(void **state)
{
    (void)state;
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    text_json_string(out, "a\"b\\c\n\t\001\x7f/ä");
    text_json_real(out, NAN);
    fputc(' ', out);
    text_json_real(out, HUGE_VAL);
    fputc(' ', out);
    text_json_real(out, 0.25);
    fclose(out);
    assert_string_equal(text, "\"a\\\"b\\\\c\\n\\t\\u0001\\u007f/ä\"null null 0.25");
    free(text);
}

static void format_tells_when_it_cut(void **state)
{
    (void)state;
    char text[4];
    assert_true(text_format(text, sizeof text, "%d", 123));
    assert_false(text_format(text, sizeof text, "%d", 1234));
    assert_string_equal(text, "123");
}

static void what_a_few_values_say_together(void **state)
{
    (void)state;
    /* scipy.stats.trim_mean(x, 0.25) = 4.5; the interval of the mean by NumPy, 500,000 draws: 3.0 .. 40.4 */
    const double value[] = {1, 2, NAN, 3, 4, 5, 6, 7, 100};
    const struct pooled all = pooled_of(value, 9), again = pooled_of(value, 9);
    assert_float_equal(all.mean, 16, 1e-12);
    assert_float_equal(all.middle, 4.5, 1e-12);
    assert_true(all.low >= 2.8 && all.low <= 3.2);
    assert_true(all.high > 39.8 && all.high < 40.8);
    assert_memory_equal(&all, &again, sizeof all);
    const struct pooled one = pooled_of(&value[1], 1), none = pooled_of(&value[2], 1);
    assert_true(one.mean == 2 && one.middle == 2 && isnan(one.low) && isnan(one.high));
    assert_true(isnan(none.mean) && isnan(none.middle) && isnan(none.low) && isnan(none.high));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_text_is_one_clean_line),
        cmocka_unit_test(long_error_text_ends_with_dots_and_whole_characters),
        cmocka_unit_test(error_may_be_made_of_its_own_text),
        cmocka_unit_test(die_says_who_speaks_and_ends_through_the_hook),
        cmocka_unit_test(agreed_error_is_printed_by_rank_0_only),
        cmocka_unit_test(warnings_also_go_to_the_log_while_it_is_set),
        cmocka_unit_test(arena_blocks_are_aligned_zeroed_and_apart),
        cmocka_unit_test(arena_refuses_what_it_cannot_give),
        cmocka_unit_test(durations_read_well_and_never_say_sixty),
        cmocka_unit_test(clocks_go_forward_and_utc_has_its_form),
        cmocka_unit_test(integers_are_exact_decimals),
        cmocka_unit_test(one_number_that_is_none_is_found_wherever_it_stands),
        cmocka_unit_test(reals_are_finite_decimals),
        cmocka_unit_test(shortest_real_reads_back_identically),
        cmocka_unit_test(a_small_number_keeps_its_digits_and_a_zero_has_no_sign),
        cmocka_unit_test(nearest_word_is_the_one_that_was_meant),
        cmocka_unit_test(words_that_were_left_out_are_named),
        cmocka_unit_test(advice_on_numbers_is_right_or_absent),
        cmocka_unit_test(words_are_compared_without_marks_dashes_and_quotes),
        cmocka_unit_test(json_is_escaped_and_has_no_nan),
        cmocka_unit_test(format_tells_when_it_cut),
        cmocka_unit_test(what_a_few_values_say_together),
    };
    return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}

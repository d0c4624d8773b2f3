/* The functions of env/float_math.h against those of the C library in double. */
// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <float.h>
#include <math.h>

#include "env/float_math.h"

/* The distance of `got` from the true value, in units of a float's last place there. */
static double last_places(float got, double want)
{
    int exponent;
    if (isnan(want) || isinf((float)want) || isinf(got)) return (isnan(want) && isnan(got)) || got == (float)want ? 0 : INFINITY;
    frexp(want, &exponent);
    return fabs((double)got - want) / ldexp(1, (exponent < -125 ? -125 : exponent) - 24);
}

/* Every 1009th of all floats; all of them were tried once: the worst are 0.897 and 0.841. */
static void exp_and_log1p_of_rules_are_right_everywhere(void **state)
{
    (void)state;
    for (uint64_t bits = 0; bits <= UINT32_MAX; bits += 1009) {
        const float x = float_of_word((uint32_t)bits);
        const double e = last_places(float_exp(x), exp((double)x)), l = last_places(float_log1p(x), log1p((double)x));
        if (!(e < 0.9)) fail_msg("exp(%.9g) is %.9g, wrong by %.3g units in the last place", (double)x, (double)float_exp(x), e);
        if (!(l < 0.9)) fail_msg("log1p(%.9g) is %.9g, wrong by %.3g units in the last place", (double)x, (double)float_log1p(x), l);
    }
    assert_true(float_exp(0) == 1 && float_exp(-0.0f) == 1 && float_exp(-INFINITY) == 0 && float_exp(INFINITY) == INFINITY);
    assert_true(float_exp(88.72283f) < INFINITY && float_exp(88.72284f) == INFINITY);      /* of 2^128 (1 - 2^-25) */
    assert_true(float_exp(-103.97207f) == ldexpf(1, -149) && float_exp(-103.97209f) == 0); /* of 2^-150 */
    assert_true(float_exp(-87.5f) > 0 && float_exp(-87.5f) < FLT_MIN && isnan(float_exp(NAN)) && isnan(float_log1p(NAN)));
    assert_true(float_log1p(0) == 0 && !signbit(float_log1p(0)) && float_log1p(-0.0f) == 0 && signbit(float_log1p(-0.0f)));
    assert_true(float_log1p(-1) == -INFINITY && isnan(float_log1p(-1.5f)) && isnan(float_log1p(-INFINITY)));
    assert_true(float_log1p(INFINITY) == INFINITY && float_log1p(1e-30f) == 1e-30f && float_log1p(FLT_MAX) < 89);
}

/* Every 1009th float of the range; all of them were tried once: the worst is 0.50104 for both. */
static void sin_and_cos_of_rules_are_right_for_every_angle_of_theirs(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits <= word_of_float(FLOAT_ANGLE_MOST); bits += 1009) {
        const float x = float_of_word(bits);
        const double s = last_places(float_sin(x), sin((double)x)), c = last_places(float_cos(x), cos((double)x));
        if (!(s < 0.502)) fail_msg("sin(%.9g) is %.9g, wrong by %.3g units in the last place", (double)x, (double)float_sin(x), s);
        if (!(c < 0.502)) fail_msg("cos(%.9g) is %.9g, wrong by %.3g units in the last place", (double)x, (double)float_cos(x), c);
        assert_true(float_sin(-x) == -float_sin(x) && float_cos(-x) == float_cos(x));
    }
    /* the floats nearest to multiples of a quarter turn, where all but a trifle is taken off */
    for (int k = 1; k < 600000; k++) {
        const float x = (float)(k * 1.5707963267948966);
        const double s = last_places(float_sin(x), sin((double)x)), c = last_places(float_cos(x), cos((double)x));
        if (!(s < 0.502 && c < 0.502)) fail_msg("sin or cos of %.9g is wrong by %.3g or %.3g units in the last place", (double)x, s, c);
    }
    assert_true(float_sin(0) == 0 && !signbit(float_sin(0)) && float_sin(-0.0f) == 0 && signbit(float_sin(-0.0f)) && float_cos(0) == 1);
    assert_true(float_sin(1e-42f) == 1e-42f && float_sin(1e-10f) == 1e-10f && float_cos(1e-10f) == 1);
    assert_true(isnan(float_sin(2 * FLOAT_ANGLE_MOST)) && isnan(float_cos(-INFINITY)) && isnan(float_sin(INFINITY)) &&
                isnan(float_cos(NAN)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exp_and_log1p_of_rules_are_right_everywhere),
        cmocka_unit_test(sin_and_cos_of_rules_are_right_for_every_angle_of_theirs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

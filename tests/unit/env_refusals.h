/* What is said of environments that can't be opened, for tests with cmocka. */
#ifndef TESTS_UNIT_ENV_REFUSALS_H
#define TESTS_UNIT_ENV_REFUSALS_H

#include <string.h>

#include "base/check.h"
#include "env_batch.h"

static inline void assert_says(const struct error *err, const char *part)
{
    if (!strstr(err->text, part)) fail_msg("\"%s\" does not say \"%s\"", err->text, part);
}

/* Opens two copies with one option, and closes them. */
static inline int open_with(const char *env, const char *name, const char *value, struct error *err)
{
    const struct env_option option[] = {{name, value}};
    const struct vecenv_config config = {
        .name = env, .option = option, .options = 1, .envs = 2, .threads = 1, .stream = PHILOX_ENVIRONMENT};
    struct vecenv *opened;
    const int rc = vecenv_open(&opened, &config, err);
    vecenv_close(opened);
    return rc;
}

#endif

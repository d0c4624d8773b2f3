#include "env/identity.h"

#include <string.h>

#include "base/digest.h"
#include "base/text.h"
#include "env/options.h"
#include "env/spec.h"
#include "env/wrap.h"

static uint64_t hash_version(const struct mappo_env *env)
{
    return hash_bytes(hash_text(HASH_START, env->id), &env->version, sizeof env->version);
}

/* Added up, so that the order of an environment's table doesn't matter. */
static uint64_t hash_pair(const char *name, const char *value)
{
    return hash_text(hash_text(HASH_START, name), value);
}

uint64_t identity_of(const struct mappo_env *env, const struct vecenv_config *config)
{
    struct mappo_value value[OPTIONS_MAX];
    char text[OPTIONS_TEXT], one[OPTION_TEXT];
    uint64_t changed = 0;
    /* They were read before, when the instance was made. */
    if (options_read(env, config->option, config->options, value, text, sizeof text, NULL)) return 0;
    for (int k = 0, count = options_count(env); k < count; k++)
        if (!options_changeable(env, k) && options_differs(env, k, &value[k], one, sizeof one))
            changed += hash_pair(env->option[k].name, one);
    /* Their defaults are those of the section "wrap" in config.def. */
    const int64_t limit = config->time_limit;
    if (limit) changed += hash_bytes(hash_text(HASH_START, "wrap.time_limit"), &limit, sizeof limit);
    if (config->rescale_action) changed += hash_pair("wrap.rescale_action", "true");
    if (config->squash_action) changed += hash_pair("policy.squash", "tanh");
    if (!config->clip_action) changed += hash_pair("wrap.clip_action", "false");
    changed += wrap_hash(config);
    return hash_bytes(hash_version(env), &changed, sizeof changed);
}

/* Without an option that version 0.1 didn't have, where it changes nothing. */
static uint64_t hash_old_options(uint64_t hash, const char *options)
{
    static const char later[] = " soft_actions=0";
    const size_t kept = strlen(options), length = sizeof later - 1;
    const char *end = kept >= length ? options + kept - length : options;
    char text[OPTIONS_TEXT];
    text_format(text, sizeof text, "%.*s", strcmp(end, later) == 0 ? (int)(kept - length) : (int)kept, options);
    return hash_text(hash, text);
}

uint64_t identity_whole(const struct mappo_env *env, const char *options, const struct mappo_env_spec *spec,
                        const struct vecenv_config *config)
{
    const int64_t wrappers[3] = {config->time_limit, config->rescale_action + 2 * config->squash_action, config->clip_action};
    const uint64_t hash = spec_hash(hash_old_options(hash_version(env), options), spec), others = wrap_hash(config);
    return hash_bytes(hash_bytes(hash, wrappers, sizeof wrappers), &others, others ? sizeof others : 0);
}

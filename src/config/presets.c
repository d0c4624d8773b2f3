/* Settings by name. Each lists every key that matters, so that it means the same whatever the environment's own preset says. */
#include "config/config.h"

#include <string.h>

static const struct {
    const char *name, *help, *text;
} presets[] = {
    {"on-policy",
     "the reference's feed-forward setting (marlbenchmark/on-policy, its MPE recipe): its rules, time limits taken as terminal, ReLU",
     "[env]\n"
     "rules = on-policy\n"
     "[rollout]\n"
     "envs = 128\n"
     "steps = 25\n"
     "[policy]\n"
     "kind = mlp\n"
     "share = true\n"
     "hidden = 64\n"
     "layers = 2\n"
     "activation = relu\n"
     "feature_norm = true\n"
     "layer_norm = true\n"
     "gain = 0.01\n"
     "[ppo]\n"
     "clip = 0.2\n"
     "epochs = 10\n"
     "minibatches = 1\n"
     "entropy = 0.01\n"
     "value_coef = 1\n"
     "max_grad_norm = 10\n"
     "clip_value = true\n"
     "huber_delta = 10\n"
     "policy_active_masks = true\n"
     "value_active_masks = true\n"
     "[gae]\n"
     "gamma = 0.99\n"
     "lambda = 0.95\n"
     "time_limit = terminal\n"
     "[norm]\n"
     "value = valuenorm\n"
     "beta = 0.99999\n"
     "[adam]\n"
     "lr = 7e-4\n"
     "critic_lr = 7e-4\n"
     "eps = 1e-5\n"
     "schedule = constant\n"},
};
enum { PRESETS = sizeof presets / sizeof *presets };

const char *config_preset(const char *name)
{
    for (int i = 0; i < PRESETS; i++)
        if (strcmp(presets[i].name, name) == 0) return presets[i].text;
    return NULL;
}

int config_preset_names(const char **names, const char **help, int max)
{
    int count = 0;
    for (; count < PRESETS && count < max; count++) {
        names[count] = presets[count].name;
        if (help) help[count] = presets[count].help;
    }
    return count;
}

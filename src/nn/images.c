#include "nn/images.h"

#include <stdio.h>
#include <string.h>

#include "backend/kernels/layer.h"
#include "base/text.h"
#include "env/slices.h"
#include "env/vecenv.h"

/* Features of a convolution and weights of one, at most: their counts times what a tile or a matrix is wide stay within 32 bits. */
enum { MOST_FEATURES = 1 << 24, MOST_WEIGHTS = 1 << 28 };

/* "18 numbers", "4 x 5 x 26 and 3 numbers": a group's observation as people see it. */
static void observation_text(const struct mappo_group *group, char *text, size_t size)
{
    text[0] = '\0';
    for (int h = 0; h < group->obs_heads; h++) {
        const struct mappo_space *s = &group->obs[h];
        const size_t used = strlen(text);
        const char *before = h ? " and " : "";
        if (s->shape[0])
            text_format(text + used, size - used, "%s%d x %d x %d", before, s->shape[0], s->shape[1], s->shape[2]);
        else
            text_format(text + used, size - used, "%s%d numbers", before, slice_space_width(s));
    }
}

/* The one image of a group's observation. */
static int find_image(struct convolutions *conv, const struct mappo_group *group, struct error *err)
{
    char text[128];
    int images = 0;
    observation_text(group, text, sizeof text);
    for (int h = 0, at = 0; h < group->obs_heads; at += slice_space_width(&group->obs[h++])) {
        const int32_t *shape = group->obs[h].shape;
        if (shape[0] == 0) continue;
        images++;
        conv->first = at;
        conv->height = shape[0];
        conv->width = shape[1];
        conv->channels = shape[2];
    }
    if (images == 1) return 0;
    return error_set(err, EXIT_USAGE,
                     "policy.conv convolves one image, height x width x channels, and what group \"%s\" observes is %s: policy.conv=none",
                     group->name, text);
}

/* Does every convolution leave something, and not too much? */
static int check_sizes(const struct convolutions *conv, const char *group, struct error *err)
{
    const struct network net = {.conv = *conv};
    for (int i = 0; i < conv->layers; i++) {
        const struct conv_layer c = conv_layer_of(&net, i);
        if (c.to_height < 1 || c.to_width < 1)
            return error_set(
                err, EXIT_USAGE,
                "policy.conv_padding=valid: of the image of group \"%s\", %d x %d, %d x %d are left for a kernel of %d x %d in "
                "convolution %d: policy.conv_padding=same keeps its size",
                group, conv->height, conv->width, c.height, c.width, c.kernel, c.kernel, i + 1);
        if ((double)c.to_height * c.to_width * c.outputs > MOST_FEATURES ||
            (double)c.images * c.channels * c.kernel * c.kernel * c.outputs > MOST_WEIGHTS)
            return error_set(
                err, EXIT_USAGE,
                "policy.conv: convolution %d of group \"%s\" would have %d x %d x %d features and %.0f weights; at most %d and %d", i + 1,
                group, c.to_height, c.to_width, c.outputs, (double)c.images * c.channels * c.kernel * c.kernel * c.outputs, MOST_FEATURES,
                MOST_WEIGHTS);
    }
    return 0;
}

int images_of_agent(struct convolutions *conv, const struct mappo_env_spec *spec, int g, struct error *err)
{
    const struct mappo_group *group = &spec->group[g];
    if (conv->layers == 0) return 0;
    if (find_image(conv, group, err)) return err->code;
    conv->images = 1;
    conv->stride = group_sizes(group).obs;
    return check_sizes(conv, group->name, err);
}

/* The images of all agents of all groups, one observation after the other. */
static int find_all(struct convolutions *conv, const struct mappo_env_spec *spec, struct error *err)
{
    for (int g = 0; g < spec->groups; g++) {
        struct convolutions other = *conv;
        if (find_image(&other, &spec->group[g], err)) return err->code;
        other.stride = group_sizes(&spec->group[g]).obs;
        other.images = spec->group[g].agents;
        if (g == 0) {
            *conv = other;
            continue;
        }
        if (conv->stride != other.stride || conv->first != other.first || conv->height != other.height || conv->width != other.width ||
            conv->channels != other.channels)
            return error_set(
                err, EXIT_USAGE,
                "policy.conv: a central critic would see images of groups \"%s\" and \"%s\", whose observations differ: algo=ippo, "
                "whose critics see their agent's own",
                spec->group[0].name, spec->group[g].name);
        conv->images += other.images;
    }
    return 0;
}

int images_of_critic(struct convolutions *conv, const struct mappo_env_spec *spec, int g, const struct critic_view *view, struct error *err)
{
    if (conv->layers == 0) return 0;
    if (view->input == CRITIC_OBS) return images_of_agent(conv, spec, g, err);
    if (view->input == CRITIC_AGENT_STATE || (!view->concatenate && !spec->state_is_all_obs))
        return error_set(err, EXIT_USAGE,
                         "policy.conv: the environment's state, which the critic sees, is no image: critic.state=concat, which is all "
                         "observations, or algo=ippo");
    if (find_all(conv, spec, err)) return err->code;
    return check_sizes(conv, spec->group[g].name, err);
}

/* Where the images lie that the convolutions of a network see (policy.conv): an observation of shape (height, width, channels) is the image of
 * its agent, and a central critic that sees all observations sees the images of all agents, their channels side by side. Nothing else is taken
 * for an image. */
#ifndef MAPPO_NN_IMAGES_H
#define MAPPO_NN_IMAGES_H

#include "backend/backend.h"
#include "base/check.h"
#include "env/mappo_env.h"
#include "nn/critic_input.h"

/* Fill in what `conv` leaves open, `images` to `channels`; nothing where conv->layers is 0. EXIT_USAGE where there is no image, or kernels and
 * image do not fit. */
int images_of_agent(struct convolutions *conv, const struct mappo_env_spec *spec, int group, struct error *err);
int images_of_critic(struct convolutions *conv, const struct mappo_env_spec *spec, int group, const struct critic_view *view,
                     struct error *err);

#endif

/* What a reader of a checkpoint needs to know of the environment to play its policies: JSON in the root's attribute `spaces`. */
#ifndef MAPPO_RUN_SPACES_H
#define MAPPO_RUN_SPACES_H

#include "env/vecenv.h"

/* {"agent":{"agents":3,"masks":false,"obs":[…],"act":[…]}} by group: heads of the observation as networks see it (wrappers applied), and of
 * the action as the environment takes it (before any), each {"kind":"box","size":2} with "low" and "high" of actions (lists; null = none) and
 * "shape" of images (height, width, channels), {"kind":"discrete","n":[5],"start":[0]}, the same of "multi_discrete", or
 * {"kind":"multi_binary","size":3}. Groups of Python's environments also have "layout": how an observation, as the environment gives it, becomes
 * numbers, before wrappers: its parts in their order, each {"key":["goal"],"kind":"box","shape":[2]}. "key" leads to it through Dicts and Tuples;
 * "bytes": divided by 255; "channels_first": its axes are moved so that channels are last; "n" and "start" as above: one-hot rows.
 * From malloc. */
char *spaces_json(const struct vecenv *env);

#endif

/* What a worker says of its first environment, line by line, becomes a spec. Fields of a line
 * stand a tab apart:
 *
 *     env id version · rules text · return_help text · max_steps n · state size · info name at_end help · cannot text
 *     group name agents team flags state_size      (flags: enum mappo_group_flags)
 *     agent name                                   (one a slot of the last group; or none at all)
 *     obs kind size height width channels          (kind: box discrete multi_discrete multi_binary; the shape may be left out)
 *     act kind size height width channels
 *     n … · start … · low … · high …               (of the last head; one number stands for all)
 *     meaning name                                 (of its next number or choice)
 *     layout JSON                                  (of the last group: run/spaces.h) */
#ifndef MAPPO_ENV_PYTHON_DESCRIPTION_H
#define MAPPO_ENV_PYTHON_DESCRIPTION_H

#include "env/describe.h"

enum { PYTHON_CANNOT = 16 };

struct python_description {
    struct description d;                 /* its spec is what an instance tells */
    struct mappo_space *head;             /* the last; NULL = none of this group */
    int32_t named;                        /* agents of the last group */
    const char *layout[MAPPO_MAX_GROUPS]; /* how its observation becomes numbers; NULL = not told */
    int cannots;
    const char *cannot[PYTHON_CANNOT]; /* what users are told once: d's own texts */
};

/* One line, which is changed. -1 and *error: it is not as it should be, which is said with the line. The lines come in their order; after the
 * last (before "end") description_close. */
int description_line(struct python_description *description, char *line, struct mappo_env_error *error);
int description_close(struct python_description *description, struct mappo_env_error *error);

#endif

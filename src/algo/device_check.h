/* What environments on a device wrote, looked at once after each call of collect_steps: the host looks at what environments wrote there
 * while it is in the cache (env/verify.h), a device at everything at once. Results stay on the device until somebody asks for them. */
#ifndef MAPPO_ALGO_DEVICE_CHECK_H
#define MAPPO_ALGO_DEVICE_CHECK_H

#include "algo/transitions.h"
#include "env/vecenv.h"
#include "nn/policy.h"

struct device_check { /* all zeros where environments are not on a device */
    const struct transitions *transitions;
    const struct mappo_env_spec *spec;
    struct policy *const *policy;
    struct backend *backend;
    int steps;      /* of a call */
    uint64_t *bad;  /* [bads] the first fault that each look has found, the backend's */
    uint64_t *host; /* [bads] what device_check_wait reads */
    int bads;
};

void device_check_create(struct device_check *check, const struct transitions *transitions, int steps, const struct mappo_env_spec *spec,
                         struct policy *const *policy, struct backend_memory *memory);
/* Looks at the next `steps` steps, whose arrays are being written. May be recorded for a rollout, whose places are always the same. */
void device_check_run(const struct device_check *check, struct vecenv *env);
/* Says what was wrong first, with environment (global index), agent and step, given what `bad` then held and what the transitions' step was
 * after the call. 0 where nothing was. */
int device_check_fault(const struct device_check *check, const uint64_t *bad /* host [bads] */, uint64_t step, const struct vecenv *env,
                       struct error *err);
/* The same of the last call, for a learner that does not mind waiting for the device. */
int device_check_wait(const struct device_check *check, const struct vecenv *env, struct error *err);

#endif

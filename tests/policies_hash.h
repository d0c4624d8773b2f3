/* Whether networks are the same to the bit. */
#ifndef TESTS_POLICIES_HASH_H
#define TESTS_POLICIES_HASH_H

#include "base/digest.h"
#include "nn/policies.h"

/* Of parameters and running statistics. */
static uint64_t policies_hash(struct policies *policies)
{
    uint64_t h = HASH_START;
    policies_pull(policies);
    for (int g = 0; g < policies->groups; g++) {
        const struct policy *policy = policies->group[g];
        h = hash_bytes(h, policy->host.parameters, policy->size * sizeof(real));
        for (int i = 0; i < POLICY_RUNNING; i++) {
            const struct running *running = &policy->host.running[i];
            if (running->width) h = hash_bytes(h, running->moments, (size_t)running_moments(running->width) * sizeof(double));
        }
    }
    return h;
}

#endif

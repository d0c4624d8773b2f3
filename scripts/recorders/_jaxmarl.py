"""What the suites of JaxMARL share: versions, and the speed of its fastest form."""


def versions():
    from importlib.metadata import version

    return {"jaxmarl": version("jaxmarl"), "jax": version("jax")}


def steps_a_second(env, choose, also=None):
    """512 environments under vmap and scan, with new episodes. choose(key, states, envs) draws actions, an array for each agent; also(states) is
    what is computed besides observations and rewards."""
    import time

    import jax

    envs, steps = 512, 20

    def step(carry, _):
        key, state = carry
        key, act_key, step_key = jax.random.split(key, 3)
        actions = choose(act_key, state, envs)
        seen, state, reward, _, _ = jax.vmap(env.step)(jax.random.split(step_key, envs), state, dict(zip(env.agents, actions)))
        made = [seen, [reward[agent] for agent in env.agents], also(state) if also else []]
        return (key, state), sum(x.sum() for x in jax.tree.leaves(made))  # all of it is needed

    play = jax.jit(lambda carry: jax.lax.scan(step, carry, None, steps))
    _, state = jax.vmap(env.reset)(jax.random.split(jax.random.PRNGKey(0), envs))
    carry, _ = jax.block_until_ready(play((jax.random.PRNGKey(1), state)))  # compiled here
    best = 0.0
    for _ in range(3):
        begin = time.perf_counter()
        carry, _ = jax.block_until_ready(play(carry))
        best = max(best, envs * steps / (time.perf_counter() - begin))
    return best

"""The packages that environments come from, opened and stepped as their users do: for scripts/compare_speed.py.

An original is made by a function of this file and has versions (a dict), copies (environments stepped at once) and play(), which takes some
steps with random actions, new episodes included, and returns how many environment steps they were. Python's are drawn before, XLA's are
made of random numbers that were drawn before."""

DRAWN = 4096  # actions, taken in turn


class Original:
    def __init__(self, packages, copies, play):
        from importlib.metadata import version

        self.versions = {name: version(name) for name in packages}
        self.copies, self.play = copies, play
        play()  # what happens once, happens now (XLA compiles for what a first call returns again)


def gymnasium(name):
    """One environment of Gymnasium."""
    import gymnasium

    env = gymnasium.make(name)
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(DRAWN)]

    def play():
        for action in actions:
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()
        return DRAWN

    return Original(["gymnasium", "numpy"], 1, play)


def gymnasium_vector(name):
    """The fastest of Gymnasium's vector forms: NumPy over all copies where it has that (CartPole), else copies one after the other."""
    import gymnasium

    written = bool(gymnasium.spec(name).vector_entry_point)
    copies, steps = (512, 64) if written else (16, 128)
    env = gymnasium.make_vec(name, copies, vectorization_mode="vector_entry_point" if written else "sync")
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(steps)]

    def play():
        for action in actions:
            env.step(action)
        return steps * copies

    return Original(["gymnasium", "numpy"], copies, play)


def mpe2(name, **options):
    """A task of mpe2 through its parallel interface."""
    import importlib

    env = importlib.import_module("mpe2." + name).parallel_env(**options)
    env.reset(seed=0)
    agents = list(env.agents)
    actions = [{agent: env.action_space(agent).sample() for agent in agents} for _ in range(512)]

    def play():
        for action in actions:
            env.step(action)
            if not env.agents:
                env.reset()
        return len(actions)

    return Original(["mpe2", "pettingzoo", "numpy"], 1, play)


def lists(package, name):
    """An environment of lbforaging or rware: a list of actions in, lists of observations and rewards out."""
    import importlib

    import gymnasium

    importlib.import_module(package)
    env = gymnasium.make(name, disable_env_checker=True)  # which doubts lists
    env.reset(seed=0)
    env.action_space.seed(0)
    actions = [env.action_space.sample() for _ in range(1024)]

    def play():
        for action in actions:
            _, _, terminated, truncated, _ = env.step(action)
            if terminated or truncated:
                env.reset()
        return len(actions)

    return Original([package, "gymnasium", "numpy"], 1, play)


def lbforaging(name):
    return lists("lbforaging", name)


def rware(name):
    return lists("rware", name)


def jax_steps(env, choices, legal, copies, steps):
    """`copies` of a JaxMARL environment under vmap, jit and scan. legal(states): allowed choices of every agent; None: all are."""
    import jax

    numpy, agents = jax.numpy, len(env.agents)

    def choose(state, uniform):
        if legal is None:
            return list((uniform * choices).astype(int))
        allowed = jax.vmap(legal)(state)
        chosen = []
        for agent, u in zip(env.agents, uniform):
            count = numpy.cumsum(allowed[agent] > 0, axis=1)
            chosen.append(numpy.argmax(count > numpy.floor(u * count[:, -1])[:, None], axis=1))
        return chosen

    def step(state, drawn):
        key, uniform = drawn
        actions = dict(zip(env.agents, choose(state, uniform)))
        seen, state, reward, _, _ = jax.vmap(env.step)(jax.random.split(key, copies), state, actions)
        made = [seen, [reward[agent] for agent in env.agents]]
        return state, sum(x.sum() for x in jax.tree.leaves(made))  # all of it is needed

    run = jax.jit(lambda state, drawn: jax.lax.scan(step, state, drawn))
    drawn = (jax.random.split(jax.random.PRNGKey(1), steps), jax.random.uniform(jax.random.PRNGKey(2), (steps, agents, copies)))
    _, state = jax.jit(jax.vmap(env.reset))(jax.random.split(jax.random.PRNGKey(0), copies))
    holder = [jax.block_until_ready(run(state, drawn))[0]]  # compiled here

    def play():
        holder[0] = jax.block_until_ready(run(holder[0], drawn))[0]
        return copies * steps

    return Original(["jaxmarl", "jax", "jaxlib"], copies, play)


def smax(name, copies):
    from jaxmarl.environments.smax import HeuristicEnemySMAX, map_name_to_scenario

    env = HeuristicEnemySMAX(scenario=map_name_to_scenario(name))
    return jax_steps(env, None, env.get_avail_actions, copies, 4)


def overcooked(name, copies):
    import warnings

    warnings.simplefilter("ignore", DeprecationWarning)
    from jaxmarl.environments.overcooked import Overcooked, overcooked_layouts

    env = Overcooked(layout=overcooked_layouts[name], random_reset=False, max_steps=400)
    return jax_steps(env, 6, None, copies, 16)


def hanabi(copies, **options):
    from jaxmarl.environments.hanabi.hanabi import HanabiEnv

    env = HanabiEnv(**options)
    return jax_steps(env, None, env.get_legal_moves, copies, 2)

"""Which environment a name means, and what kind of environment it is: Gymnasium's, PettingZoo's or SMAC's, told in one way (docs/python.md).
gymnasium and pettingzoo are imported only where a name asks for them."""
import difflib
import functools
import importlib
import importlib.util
import inspect
import os
import pkgutil
import platform
import re
import sys

import numpy as np

from mappo_spaces import PlainSpace, Refusal, kind_of

# ---- sources ---------------------------------------------------------------------------------------------------------------------------


PACKAGES = ("gymnasium", "pettingzoo", "mpe2", "ale_py", "shimmy", "supersuit")  # whose names at the registry are those of their modules


def module_of(name, install=None):
    """The module, or None where its package has none of that name."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        missing, top = error.name or "", name.split(".")[0]
        if missing != top and (name + ".").startswith(missing + "."):
            return None
        python = "%s (Python %s)" % (sys.executable, platform.python_version())
        if missing == top:
            close = "" if top in PACKAGES else nearest(top, PACKAGES + tuple(one.name for one in pkgutil.iter_modules()))
            where = "pip install %s there" % (install or top) if install or top in PACKAGES else "install what has it there"
            raise Refusal('there is no Python module "%s" for %s%s' % (top, python, close or ": %s, or say which Python has it (env.python)" % where)) from None
        raise Refusal('%s needs the module "%s", which is not installed for %s' % (name, missing, python)) from None


def nearest(word, words):
    close = difflib.get_close_matches(word, list(words), 1, 0.6)
    return '; did you mean "%s"?' % close[0] if close else ""


def call(function, args, draw, seed):
    """function(**args), with render_mode where there will be pictures, and with a seed where it has none of its own."""
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        return function(**args)
    takes = signature.parameters
    if not any(one.kind == one.VAR_KEYWORD for one in takes.values()):
        for name in args:
            if name not in takes:
                raise Refusal('%s has no argument "%s"%s (env.args)' % (getattr(function, "__name__", "it"), name, nearest(name, takes)))
    if "seed" in takes and takes["seed"].default in (None, takes["seed"].empty):
        args = dict({"seed": seed}, **args)
    try:
        signature.bind(**args)
    except TypeError as error:
        raise Refusal("%s is called without arguments but those of env.args: %s" % (getattr(function, "__name__", "it"), error)) from None
    if draw and "render_mode" not in args and ("render_mode" in takes or any(one.kind == one.VAR_KEYWORD for one in takes.values())):
        return with_pictures(function, args)
    return function(**args)


def with_pictures(function, args):
    """function(**args) with a render_mode that gives pictures; without one where that fails, and drawing will say so."""
    try:
        return function(render_mode="rgb_array", **args)
    except Exception:
        return function(**args)


def gymnasium_maker(name):
    gymnasium = module_of("gymnasium")
    tail = name.rpartition("/")[2]
    if name.startswith("gymnasium/") and name not in gymnasium.registry and tail in gymnasium.registry:
        raise Refusal('Gymnasium %s has no environment "%s"; did you mean py:gymnasium:%s?' % (gymnasium.__version__, name, tail))
    if ":" in name and module_of(name.partition(":")[0]) is None:
        raise Refusal('there is no module "%s"' % name.partition(":")[0])
    if name.startswith("ALE/"):
        gymnasium.register_envs(module_of("ale_py", '"gymnasium[atari]"'))

    def make(args, draw, seed):
        options = dict({"id": name, "disable_env_checker": True}, **args)
        try:
            return with_pictures(gymnasium.make, options) if draw and "render_mode" not in args else gymnasium.make(**options)
        except (gymnasium.error.NameNotFound, gymnasium.error.NamespaceNotFound, gymnasium.error.VersionNotFound) as error:
            raise Refusal('Gymnasium %s has no environment "%s"%s' % (gymnasium.__version__, name, nearest(name, gymnasium.registry) or ": %s" % error)) from None
        except gymnasium.error.Error as error:
            raise Refusal("Gymnasium %s makes no %s: %s" % (gymnasium.__version__, name, error)) from None
    return make


def pettingzoo_maker(name):
    family, _, task = name.replace(".", "/").partition("/")
    task = re.sub(r"-v(\d+)$", r"_v\1", task)
    if not task:
        raise Refusal('"py:pettingzoo:%s" lacks the task: py:pettingzoo:butterfly/knights_archers_zombies_v11' % name)
    if family == "mpe":
        return module_maker(module_of("mpe2." + task, "mpe2"), "mpe2", task)
    return module_maker(module_of("pettingzoo.%s.%s" % (family, task), "pettingzoo"), "pettingzoo." + family, task)


def module_maker(module, package, task):
    """The environment of a module in PettingZoo's style: the parallel one where there are both."""
    if module is None:
        folder = module_of(package)
        there = [] if folder is None else sorted({entry.split(".")[0] for path in getattr(folder, "__path__", []) for entry in os.listdir(path) if "_v" in entry})
        if folder is None:
            raise Refusal("there is no %s" % package)
        raise Refusal("%s has no %s%s" % (package, task, nearest(task, there) or (": it has " + ", ".join(there) if there else "")))
    for entry in ("parallel_env", "env", "raw_env"):
        if hasattr(module, entry):
            return lambda *asked: call(getattr(module, entry), *asked)
    raise Refusal("%s.%s has neither parallel_env nor env" % (package, task))


@functools.lru_cache(None)  # it is run once, however often environments are asked for
def module_of_file(path):
    if not os.path.isfile(path):
        raise Refusal("there is no file %s" % path)
    sys.path.insert(0, os.path.dirname(path))  # for what stands beside it
    title = os.path.splitext(os.path.basename(path))[0]
    spec = importlib.util.spec_from_file_location(title, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[title] = module  # as an import would: pickling and dataclasses look there
    spec.loader.exec_module(module)
    return module


def function_maker(module, name, where):
    if not name:
        own = [key for key, one in vars(module).items() if inspect.isclass(one) and one.__module__ == module.__name__ and hasattr(one, "reset") and hasattr(one, "step")]
        for entry in ["make", "make_env", "parallel_env", "env"] + (own if len(own) == 1 else []):
            if callable(getattr(module, entry, None)):
                name = entry
                break
        else:
            there = "it has %s: " % " and ".join(own) if own else ""
            raise Refusal("%s has no function make(): %sname what makes the environment, py:%s:%s" % (where, there, where, own[0] if own else "FUNCTION"))
    function = getattr(module, name, None)
    if inspect.ismodule(function):
        return module_maker(function, module.__name__, name)
    if not callable(function):
        raise Refusal('%s has no function or class "%s"%s' % (where, name, nearest(name, [key for key, one in vars(module).items() if callable(one)])))
    return lambda *asked: call(function, *asked)


def maker_of(source):
    """The function (args, draw, seed) → environment that a SOURCE of py:SOURCE means."""
    first, colon, rest = source.partition(":")
    if first == "gymnasium" and rest:
        return gymnasium_maker(rest)
    if first == "pettingzoo" and rest:
        return pettingzoo_maker(rest)
    path, _, name = source.rpartition(":") if re.search(r"\.py:[^/]*$", source) else (source, "", "")
    if first == "gym":
        raise Refusal("environments of the old Gym are not read: py:gymnasium:%s, or make a Gymnasium environment of it with shimmy" % (rest or "ID"))
    forgotten = os.path.expanduser(first) + ".py"
    if not path.endswith(".py") and re.search(r"[/~]", first) and os.path.isfile(forgotten):
        raise Refusal('"py:%s" is no file; did you mean "py:%s.py%s"?' % (source, first, colon + rest))
    if path.endswith(".py"):
        path = os.path.abspath(os.path.expanduser(path))
        return function_maker(module_of_file(path), name, path)
    if not colon or re.search(r"-v\d+$", rest):  # also MODULE:ID, Gymnasium's own way to say which module registers it
        return gymnasium_maker(source)
    module = module_of(first)
    if module is None:
        raise Refusal('there is no module "%s"' % first)
    if rest and not hasattr(module, rest) and re.match(r"\w+$", rest):
        inner = module_of("%s.%s" % (first, rest))
        if inner is not None:
            return module_maker(inner, first, rest)
        if re.search(r"_v\d+$", rest):
            return module_maker(None, first, rest)
    return function_maker(module, rest, first)


# ---- kinds of environments -------------------------------------------------------------------------------------------------------------
#
# Each kind tells, in the same way: `names` of agents, their spaces, `reset(seed)` → (what is seen by agent, info by agent), `step(actions by
# agent)` → (seen, rewards, terminated, truncated, info, each by agent); then `alive`, who is still in the episode, and `acting`, whose
# actions the next step wants. `seeds`: its reset takes a seed. `team_reward`: all get the same reward, always.


def attribute(env, name, default=None):
    """Of the environment or, where wrappers hide it, of what they wrap."""
    one = env
    while one is not None:
        if name in getattr(one, "__dict__", ()) or hasattr(type(one), name):
            return getattr(one, name)
        one = getattr(one, "__dict__", {}).get("env")
    return default


def mask_of(seen, info, inside):
    if inside:
        return seen["action_mask"]
    return info.get("action_mask") if info else None


class Alone:
    """Gymnasium's Env: one agent."""

    names, seeds, team_reward = ("agent",), True, False
    step_returns, reset_returns = "observation, reward, terminated, truncated, info", "observation, info"

    def __init__(self, env):
        self.env, self.infos, self.has_state = env, (), False
        masks = attribute(env, "action_masks")  # as MaskablePPO asks for them
        self.masks = masks if callable(masks) else None

    def spaces(self, name):
        return self.env.observation_space, self.env.action_space

    def info(self, info):
        return dict(info, action_mask=self.masks()) if self.masks else info

    def reset(self, seed):
        result = self.env.reset() if seed is None else self.env.reset(seed=seed)
        if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[1], dict):
            raise Refusal("reset() must return (observation, info), as Gymnasium's environments do (those of the old Gym return the observation alone)")
        self.alive = self.acting = self.names
        return {"agent": result[0]}, {"agent": self.info(result[1])}

    def step(self, actions):
        result = self.env.step(actions["agent"])
        seen, reward, terminated, truncated, info = result
        if terminated or truncated:
            self.alive = ()
        return {"agent": seen}, {"agent": reward}, {"agent": terminated}, {"agent": truncated}, {"agent": self.info(info)}

    def max_steps(self):
        one = self.env
        while one is not None:
            inside = getattr(one, "__dict__", {})
            if type(one).__name__ == "TimeLimit" and isinstance(inside.get("_max_episode_steps"), int):
                return inside["_max_episode_steps"]
            one = inside.get("env")
        return 0


class Together(Alone):
    """A Gymnasium environment whose spaces are a Tuple with one part an agent and whose reward is a list (lbforaging, rware)."""

    def __init__(self, env, agents):
        super().__init__(env)
        self.names = tuple("agent_%d" % i for i in range(agents))

    def spaces(self, name):
        at = self.names.index(name)
        return self.env.observation_space.spaces[at], self.env.action_space.spaces[at]

    def reset(self, seed):
        seen, info = super().reset(seed)
        return dict(zip(self.names, seen["agent"])), {"": info["agent"]}

    def step(self, actions):
        result = self.env.step(tuple(actions[name] for name in self.names))
        seen, reward, terminated, truncated, info = result
        terminated, truncated = bool(np.all(terminated)), bool(np.all(truncated))
        if terminated or truncated:
            self.alive = ()
        rewards = np.broadcast_to(np.ravel(reward), len(self.names)).tolist()
        each = dict.fromkeys
        return dict(zip(self.names, seen)), dict(zip(self.names, rewards)), each(self.names, terminated), each(self.names, truncated), {"": info}


class Parallel:
    """PettingZoo's ParallelEnv. Who left `agents`, or was said to be done, stays away until the next reset."""

    seeds, team_reward = True, False
    step_returns = "observations, rewards, terminations, truncations, infos, a dict by agent each"

    def __init__(self, env):
        self.env, self.infos, self.has_state = env, (), callable(getattr(env, "state", None))
        self.names = tuple(getattr(env, "possible_agents", None) or ())
        if not self.names:
            env.reset(seed=0)
            self.names = tuple(env.agents)

    def spaces(self, name):
        def of(what):
            function = getattr(self.env, what, None)
            if callable(function):
                return function(name)
            return (getattr(self.env, what + "s") if function is None else function)[name]
        return of("observation_space"), of("action_space")

    def state(self):
        return self.env.state()

    def max_steps(self):
        """max_cycles of the packages, which keep it; of an environment of one's own it may mean something else."""
        inner = getattr(self.env, "unwrapped", None)
        cycles = getattr(inner, "max_cycles", 0) if type(inner).__module__.split(".")[0] in ("pettingzoo", "mpe2") else 0
        return cycles * self.steps_of_cycle() if isinstance(cycles, int) else 0

    def steps_of_cycle(self):
        return 1

    def reset(self, seed):
        result = self.env.reset() if seed is None else self.env.reset(seed=seed)
        if not isinstance(result, tuple) or len(result) != 2 or not isinstance(result[0], dict):
            raise Refusal("reset() must return (observations, infos), a dict by agent each, as PettingZoo's parallel environments do")
        self.gone = set()
        self.alive = self.acting = tuple(self.env.agents)
        self.known(self.alive)
        return result

    def known(self, agents):
        for name in agents:
            if name not in self.names:
                raise Refusal("agent %s is not among possible_agents (%s)" % (name, ", ".join(map(str, self.names))))

    def step(self, actions):
        before = self.alive
        result = self.env.step(actions)
        _, _, terminated, truncated, _ = result
        self.gone.update(name for name in before if terminated.get(name) or truncated.get(name))
        agents = tuple(self.env.agents)
        if agents != before or self.gone:
            self.known(agents)
            agents = tuple(name for name in agents if name not in self.gone)
        self.alive = self.acting = agents
        return result


class Turns(Parallel):
    """PettingZoo's AECEnv: a step is one agent's turn. The reward of an agent comes when its next turn begins, or it is gone, as last() has it:
    the sum since its last action. Turns of agents that are gone are passed here."""

    def steps_of_cycle(self):
        return len(self.names)

    def seen(self):
        """What those see who are there."""
        return {name: self.env.observe(name) for name in self.alive}

    def reset(self, seed):
        self.env.reset() if seed is None else self.env.reset(seed=seed)
        self.gone = set()
        self.alive = tuple(self.env.agents)
        self.known(self.alive)
        self.pass_turns({}, {}, {}, {})
        return self.seen(), dict(self.env.infos)

    def pass_turns(self, seen, rewards, terminated, truncated):
        """To the next turn of one who is still there; what was due to those on the way."""
        self.acting = ()
        while self.env.agents:
            name = self.env.agent_selection
            what, reward, ends, cut, _ = self.env.last()
            rewards[name] = rewards.get(name, 0) + reward
            if not (ends or cut):
                self.acting = (name,)
                break
            seen[name], terminated[name], truncated[name] = what, ends, cut
            self.gone.add(name)
            self.env.step(None)
        self.alive = tuple(name for name in self.env.agents if name not in self.gone)

    def step(self, actions):
        (action,) = actions.values()
        seen, rewards, terminated, truncated = {}, {}, {}, {}
        self.env.step(action)
        self.pass_turns(seen, rewards, terminated, truncated)
        seen.update(self.seen())
        return seen, rewards, terminated, truncated, self.env.infos


class Smac:
    """get_obs(), get_state(), get_avail_actions() and one reward for all, as SMAC's. Whoever may only do nothing (action 0) does not act."""

    def __init__(self, env):
        self.env, self.has_state = env, callable(getattr(env, "get_state", None))
        info = env.get_env_info()
        self.names = tuple("agent_%d" % i for i in range(info["n_agents"]))
        self.limit, self.actions = int(info.get("episode_limit") or 0), int(info["n_actions"])
        self.size = int(np.prod(info["obs_shape"]))
        self.seeds = "seed" in inspect.signature(env.reset).parameters
        self.team_reward = bool(attribute(env, "common_reward", True))
        self.infos = (("battle_won", 1), ("dead_allies", 1), ("dead_enemies", 1)) if hasattr(attribute(env, "unwrapped", env), "death_tracker_ally") else ()

    def spaces(self, name):
        return PlainSpace("Box", (self.size,)), PlainSpace("Discrete", (), self.actions)

    def state(self):
        return self.env.get_state()

    def max_steps(self):
        return self.limit

    def look(self):
        masks = [np.asarray(mask) for mask in self.env.get_avail_actions()]
        self.acting = tuple(name for name, mask in zip(self.names, masks) if self.actions == 1 or not mask[0] or mask[1:].any())
        return dict(zip(self.names, map(np.ravel, self.env.get_obs()))), {name: {"action_mask": mask} for name, mask in zip(self.names, masks)}

    def reset(self, seed):
        self.env.reset(seed=seed) if seed is not None and self.seeds else self.env.reset()
        self.alive = self.names
        return self.look()

    def step(self, actions):
        result = self.env.step([actions.get(name, 0) for name in self.names])
        reward, ends, *more = result[1:] if len(result) == 5 else result
        cut, info = more if len(more) == 2 else (more[0].get("episode_limit", False), more[0])
        seen, infos = self.look()
        infos[""] = info
        cut, ends = bool(np.all(cut)), bool(np.all(ends))
        if ends or cut:
            self.alive = ()
        rewards = np.broadcast_to(np.ravel(reward), len(self.names)).tolist()
        if self.team_reward and len(set(rewards)) > 1:
            raise Refusal("rewards of agents differ; one reward is expected for all, unless the environment has an attribute common_reward = False")
        return seen, dict(zip(self.names, rewards)), dict.fromkeys(self.names, ends and not cut), dict.fromkeys(self.names, cut), infos


def kind_of_env(env):
    if hasattr(env, "single_observation_space"):
        raise Refusal("%s is a vector of environments: return one environment, of which as many are made as rollout.envs says" % type(env).__name__)
    if hasattr(env, "get_avail_actions") and hasattr(env, "get_obs"):
        return Smac(env)
    if hasattr(env, "agent_iter") and hasattr(env, "last"):
        return Turns(env)
    if getattr(env, "possible_agents", None) is not None or callable(getattr(env, "observation_space", None)):
        return Parallel(env)
    if not (hasattr(env, "reset") and hasattr(env, "step") and hasattr(env, "observation_space") and hasattr(env, "action_space")):
        raise Refusal("%s is no environment: it is neither Gymnasium's (reset, step, observation_space, action_space), nor PettingZoo's, nor SMAC's" % type(env).__name__)
    agents = attribute(env, "n_agents")
    spaces = env.observation_space, env.action_space
    if isinstance(agents, int) and all(kind_of(space) == "Tuple" and len(space.spaces) == agents for space in spaces):
        return Together(env, agents)
    return Alone(env)

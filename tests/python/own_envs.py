"""Environments of every kind and with every space, small enough to know what each step must write."""
import os
import subprocess
import time

import numpy as np
from gymnasium import Env, spaces
from gymnasium.wrappers import TimeLimit


class Counter(Env):
    """What it shows is the number of the step, and what it pays is the action; ends after `length` steps. Everything else is an argument."""

    def __init__(self, length=3, observation=None, action=None, show=None, cut=False, info=None, fail_at=0, failures=99):
        self.observation_space = spaces.Box(0, 10, (2,)) if observation is None else observation
        self.action_space = spaces.Discrete(3) if action is None else action
        self.length, self.show, self.cut, self.info, self.fail_at, self.failures = length, show, cut, info, fail_at, failures
        self.taken, self.resets, self.seeds, self.at = [], 0, [], 0

    def look(self):
        return np.float32([self.at, self.resets]) if self.show is None else self.show(self.at)

    def reset(self, seed=None, options=None):
        self.at, self.resets = 0, self.resets + 1
        self.seeds.append(seed)
        return self.look(), self.info(self.at) if self.info else {}

    def step(self, action):
        self.at += 1
        self.taken.append(action)
        if self.at == self.fail_at and Counter.failed < self.failures:
            Counter.failed += 1
            raise ZeroDivisionError("the counter\nfell over")
        over = self.at == self.length
        reward = 1.0 if isinstance(action, (dict, tuple)) else float(np.ravel(action)[0])
        return self.look(), reward, over and not self.cut, over and self.cut, self.info(self.at) if self.info else {}

    def render(self):
        picture = np.zeros((4, 6, 3), np.uint8)
        picture[0, 0] = self.at, self.resets, 255
        return picture


Counter.failed = 0
made = []  # the environments, so that tests of threads see what they were given


def counter(**args):
    made.append(Counter(**args))
    return made[-1]


def limited():
    return TimeLimit(counter(length=100), 4)


def truncated():
    return counter(cut=True)


def both():
    env = counter()
    step = env.step
    env.step = lambda action: step(action)[:3] + (env.at == env.length, {})
    return env


def inner():
    return spaces.Dict({"far": spaces.Box(-1, 1, (2,)), "kind": spaces.Discrete(3, start=5), "bits": spaces.MultiBinary(2)})


def dictionary():
    return counter(observation=inner(), show=lambda at: {"far": [at, -at], "kind": 5 + at % 3, "bits": [at % 2, 1]},
                   action=spaces.Dict({"go": spaces.Discrete(4, start=-1), "much": spaces.Box(-2, 2, (2,)), "set": spaces.MultiBinary(3), "both": spaces.MultiDiscrete([2, 3])}))


def nested():
    """Five parts: more than there are heads."""
    return counter(observation=spaces.Tuple([inner(), spaces.Box(0, 1, (2, 2)), spaces.MultiDiscrete([2, 2], start=[1, 0])]),
                   show=lambda at: ({"far": [at, 0], "kind": 7, "bits": [0, 1]}, np.full((2, 2), 0.5), [2, at % 2]))


def picture(shape, dtype=np.uint8):
    """Each byte another one, so that a wrong order of axes is seen."""
    values = np.arange(int(np.prod(shape)), dtype=dtype).reshape(shape)
    return counter(observation=spaces.Box(0, 255, shape, dtype), show=lambda at: values)


def channels_first():
    return picture((3, 8, 9))


def channels_last():
    return picture((8, 9, 3))


def grey():
    return picture((8, 9))


def wide():
    return counter(observation=spaces.Box(-np.inf, np.inf, (3,), np.float64), show=lambda at: np.array([1e300, -np.inf, 0.1]), action=spaces.Box(-0.1, 0.1, (1,), np.float64))


def whole():
    return counter(action=spaces.Box(0, 7, (2,), np.int32))


def text():
    return counter(observation=spaces.Dict({"size": spaces.Box(0, 1, (1,)), "word": spaces.Text(5)}))


def no_space():
    env = counter()
    env.action_space = None
    return env


def many_actions():
    return counter(action=spaces.Tuple([spaces.Discrete(2)] * 5))


def wrong_shape():
    return counter(show=lambda at: np.zeros(1 if at == 2 else 2, np.float32))


def outside():
    return counter(observation=spaces.Discrete(3), show=lambda at: at * 2)


def masked_info():
    return counter(info=lambda at: {"action_mask": np.array([at % 2, 1, 0], np.int8)})


def masked_obs():
    return counter(observation=spaces.Dict({"observation": spaces.Box(0, 9, (1,)), "action_mask": spaces.MultiBinary(3)}),
                   show=lambda at: {"observation": [at], "action_mask": [1, at % 2, 0]})


def masked_call():
    env = counter(action=spaces.MultiDiscrete([2, 3]))
    env.action_masks = lambda: ([True, False], [True, True, False])
    return TimeLimit(env, 50)


def short_mask():
    return counter(info=lambda at: {"action_mask": [1, 1]})


def infos():
    return counter(info=lambda at: dict({"speed": at * 2}, **({"won": 1.0} if at == 3 else {})))


def failing(fail_at=2, failures=99):
    return counter(fail_at=fail_at, failures=failures, info=lambda at: {"x": at})


def sometimes():
    """Its first episode is whole; the second one fails."""
    env = counter()
    step = env.step
    env.step = lambda action: step(action) if env.resets - env.spare < 2 else 1 / 0
    env.spare = 0

    def reset(seed=None, options=None):
        env.spare += seed is not None and env.resets > 0  # the reset that followed the description
        return Counter.reset(env, seed=seed)
    env.reset = reset
    return env


def old_gym():
    env = counter()
    env.reset = lambda seed=None: env.look()
    return env


def four_values():
    env = counter()
    env.step = lambda action: (env.look(), 0.0, False, {})
    return env


def beginner(what):
    """What goes wrong first, each in its way."""
    from gymnasium import Env as Base

    class Own(Base):
        observation_space, action_space = spaces.Box(0, 5, (2,)), spaces.Discrete(3)
        at = 0

        def reset(self, seed=None, options=None):
            self.at = 0
            return np.zeros(2, np.float32), {}

        def step(self, action):
            self.at += 1
            seen = "ab" if what == "text" else np.float32([0, 7 if what == "far" else 0])
            return None if what == "nothing" else ({"a": seen} if what == "key" else seen, None if what == "reward" else 0.0, self.at == 3, False, {"distance": 1.0})

    env = Own()
    if what == "seedless":
        Own.reset = lambda self: (np.zeros(2, np.float32), {})
    if what == "key":
        Own.observation_space = spaces.Dict({"a": spaces.Box(0, 5, (2,)), "b": spaces.Box(0, 5, (2,))})
        Own.reset = lambda self, seed=None: ({"a": np.zeros(2), "b": np.zeros(2)}, {})
    if what == "late":
        Own.step = lambda self, action: (np.zeros(2, np.float32), 0.0, False, False, {"action_mask": [1, 1, 0]})
    if what == "endless":
        Own.action_space = spaces.Box(-np.inf, np.inf, (2,))
    made.append(env)
    return env


def masked_once():
    """A mask after reset and after the first two steps."""
    return counter(info=lambda at: {"action_mask": [1, 1, 0]} if at < 3 else {}, length=9)


class Renderless(Counter):
    render = Env.render


def renderless():
    return Renderless()


def needs(size):
    return counter(length=size)


def leaves():
    env = counter()
    env.step = lambda action: os._exit(7)
    return env


def slow(seconds=0.2):
    env = counter()
    step = env.step
    env.step = lambda action: time.sleep(seconds) or step(action)
    return env


def with_child():
    """It starts a process, as simulators do."""
    env = counter()
    env.child = subprocess.Popen(["sleep", "60"])
    print("child", env.child.pid, flush=True)
    return env


def blind():
    env = counter()
    env.render = lambda: None
    return env


def broken_screen():
    def render():
        raise OSError("no screen")
    env = counter()
    env.render = render
    return env


def by_keyword(**options):
    return counter() if options == {"render_mode": "rgb_array"} else blind()


def vector():
    from gymnasium.vector import SyncVectorEnv
    return SyncVectorEnv([counter] * 2)


class Tuples(Env):
    """As lbforaging and rware: Gymnasium's, with a Tuple of agents' spaces and a list of rewards."""

    def __init__(self):
        self.n_agents, self.at = 2, 0
        self.observation_space = spaces.Tuple([spaces.Box(0, 9, (2,))] * 2)
        self.action_space = spaces.Tuple([spaces.Discrete(4)] * 2)

    def reset(self, seed=None, options=None):
        self.at = 0
        return ([0, 10], [0, 20]), {}

    def step(self, action):
        self.at += 1
        return ([self.at, 10], [self.at, 20]), [float(action[0]), -float(action[1])], self.at == 2, False, {"load": self.at}


class Leaving:
    """PettingZoo's parallel: wolf_1 ends at step 2, wolf_2 is cut at step 3, sheep ends (or is cut) at step 5."""

    metadata = {"name": "leaving"}

    def __init__(self, cut=False, keep=False, state=True, last=3, both=False, few=False):
        self.possible_agents, self.cut, self.keep, self.both, self.few, self.episodes = ["wolf_1", "sheep", "wolf_2"], cut, keep, both, few, 0
        self.last = {"wolf_1": 2, "wolf_2": last, "sheep": 5}
        if not state:
            self.state = None

    def observation_space(self, agent):
        return spaces.Box(0, 99, (1,) if agent == "sheep" else (2,))

    def action_space(self, agent):
        return spaces.Discrete(2 if agent == "sheep" else 3)

    def look(self, agents):
        return {agent: np.float32([self.at + 1] if agent == "sheep" else [self.at + 1, 50]) for agent in agents}

    def state(self):
        return np.float64([self.at, 7, 1e300])

    def reset(self, seed=None, options=None):
        self.agents, self.at, self.episodes = list(self.possible_agents), 0, self.episodes + 1
        if self.few and self.episodes > 2:  # few come to the second episode after the one that was described
            self.agents = ["sheep"]
        return self.look(self.agents), {agent: {} for agent in self.agents}

    def step(self, actions):
        self.at += 1
        before = [agent for agent in self.possible_agents if self.at <= self.last[agent]]
        assert sorted(actions) == sorted(before), (actions, before)
        over = {agent: self.at == self.last[agent] for agent in before}
        cut = {agent: over[agent] and (agent == "wolf_2" or self.cut and agent == "sheep") for agent in before}
        ended = {agent: over[agent] and (self.both or not cut[agent]) for agent in before}
        if not self.keep:
            self.agents = [agent for agent in before if not over[agent]]
        return self.look(before), {agent: float(action) for agent, action in actions.items()}, ended, cut, {agent: {"load": self.at} for agent in before}


def three_groups():
    return Leaving()


def leaving_state_less():
    return Leaving(state=False)


def turns(rounds=2, dies=True):
    """PettingZoo's AEC by its own helpers: a, b, c take turns; c dies in its first turn, and pays 3 to a; what a pays goes to b and c."""
    from pettingzoo import AECEnv
    from pettingzoo import utils

    class Table(AECEnv):
        metadata = {"name": "table"}

        def __init__(self):
            self.possible_agents = ["a", "b", "c"]

        def observation_space(self, agent):
            return spaces.Dict({"observation": spaces.Box(0, 99, (2,)), "action_mask": spaces.MultiBinary(3)})

        def action_space(self, agent):
            return spaces.Discrete(3)

        def observe(self, agent):
            return {"observation": np.float32([self.turn, self.possible_agents.index(agent)]), "action_mask": [1, 1, agent == "b"]}

        def reset(self, seed=None, options=None):
            self.agents, self.turn = list(self.possible_agents), 0
            self.rewards = self._cumulative_rewards = {}
            self.rewards, self._cumulative_rewards = ({agent: 0.0 for agent in self.agents} for _ in range(2))
            self.terminations, self.truncations = ({agent: False for agent in self.agents} for _ in range(2))
            self.infos = {agent: {} for agent in self.agents}
            self.selector = (utils.AgentSelector if hasattr(utils, "AgentSelector") else utils.agent_selector)(self.agents)  # its name until 1.24
            self.agent_selection = self.selector.reset()

        def step(self, action):
            agent = self.agent_selection
            if self.terminations[agent] or self.truncations[agent]:
                self._was_dead_step(action)
                return
            self.turn += 1
            self._cumulative_rewards[agent] = 0
            self._clear_rewards()
            if agent == "a":
                self.rewards.update({one: pays * action for one, pays in (("b", 1.0), ("c", 10.0)) if one in self.agents})
            if agent == "c" and dies:
                self.rewards["a"] = 3.0
                self.terminations["c"] = True
            if self.turn >= 3 * rounds - (rounds - 1 if dies else 0):
                self.truncations = {one: not self.terminations[one] for one in self.agents}
            self._accumulate_rewards()
            following = self.agents
            self.agent_selection = self.selector.next()
            while self.agent_selection not in following:
                self.agent_selection = self.selector.next()
            self._deads_step_first()

    return Table()


class Battle:
    """As SMAC's: two soldiers; the first is dead from step 2 on, and may only do nothing."""

    def __init__(self, limit=4, seed=None, rewards=None):
        self.limit, self.given_seed, self.rewards = limit, seed, rewards
        self.death_tracker_ally, self.at, self.taken = np.zeros(2), 0, []

    def get_env_info(self):
        return {"n_agents": 2, "n_actions": 3, "obs_shape": 2, "state_shape": 3, "episode_limit": self.limit}

    def get_obs(self):
        return [np.array([self.at, 1.0]), np.array([self.at, 2.0])]

    def get_state(self):
        return np.array([self.at, self.at, 9.0])

    def get_avail_actions(self):
        return [[1, 0, 0] if self.at >= 2 else [0, 1, 1], [0, 1, self.at % 2]]

    def reset(self):
        self.at = 0
        return self.get_obs(), self.get_state()

    def step(self, actions):
        self.at += 1
        self.taken.append(actions)
        over, info = self.at == 3, {"battle_won": self.at == 3}
        if self.at == self.limit:
            over, info = True, {"battle_won": False, "episode_limit": True}
        return self.rewards or 0.5 * self.at, over, info

    def close(self):
        pass


battles = []


def battle(limit=4, seed=None, rewards=None):
    battles.append(Battle(limit, seed, rewards))
    return battles[-1]


nothing = lambda: None  # noqa: E731
number = 5

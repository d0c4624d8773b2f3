#!/usr/bin/env python3
"""Records the beginnings of episodes of multi-agent particle environments of which there are no golden files, in the layout of those.

    tests/data/record_mpe.py pettingzoo OUT.h5          PettingZoo 1.22.3, installed (pip install --no-deps PettingZoo==1.22.3; gymnasium)
    tests/data/record_mpe.py openai REPOSITORY OUT.h5   a checkout of openai/multiagent-particle-envs
    tests/data/record_mpe.py mpe2 OUT.h5                mpe2 1.1.1, installed (with scipy): two of the tasks that it added
    tests/data/record_mpe.py treasure OUT.h5            the third, collect_treasure: whole episodes of players who know where to go

One episode a case: choices (discrete) and numbers (continuous; for openai soft: points of the simplex) of every task. Needs h5py, NumPy and
gymnasium; what would draw is replaced by nothing."""
import json
import os
import sys
from unittest import mock

import h5py
import numpy

STEPS = 9
TASKS = {"simple": 2, "simple_adversary": 2, "simple_crypto": 2, "simple_push": 2, "simple_reference": 2, "simple_speaker_listener": 3,
         "simple_spread": 2, "simple_tag": 2, "simple_world_comm": 2}  # versions of PettingZoo 1.22
NEWER = {"simple_formation": 1, "simple_line": 1}  # versions of mpe2 1.1
CROWDED = ("simple_push", "simple_spread", "simple_tag", "simple_world_comm")


def goals(task, world):
    def landmark(goal):
        return world.landmarks.index(goal)

    if task in ("simple_adversary", "simple_push"):
        return [landmark(world.agents[0].goal_a)]
    if task == "simple_speaker_listener":
        return [landmark(world.agents[0].goal_b)]
    if task == "simple_reference":
        return [landmark(agent.goal_b) for agent in world.agents]
    if task == "simple_crypto":
        key = [numpy.array_equal(world.agents[2].key, each.color) for each in world.landmarks].index(True)
        return [landmark(world.agents[2].goal_a), key]
    return []


def crowd(world, rng):
    """Everything within 0.4, moving, so that all touch."""
    for entity in world.agents + world.landmarks:
        entity.state.p_pos = rng.uniform(-0.4, 0.4, 2)
    for agent in world.agents:
        agent.state.p_vel = rng.uniform(-1, 1, 2)


class Pettingzoo:
    package, named, tasks = "pettingzoo.mpe", "pettingzoo.mpe {}_v{}", TASKS
    modes = ("discrete", "continuous")

    def __init__(self, task, mode, **kwargs):
        for name in ("pygame", "pygame.freetype"):
            sys.modules[name] = mock.MagicMock()
        module = __import__(f"{self.package}.{task}.{task}", fromlist=["parallel_env"])
        self.env = module.parallel_env(continuous_actions=mode == "continuous", **kwargs)
        self.name = self.named.format(task, self.tasks[task])
        self.world = self.env.unwrapped.world
        self.continuous = mode == "continuous"

    def reset(self, seed=None):
        self.env.reset(seed=seed)

    def observe(self):
        return [self.env.unwrapped.observe(agent) for agent in self.env.possible_agents]

    def play(self, rng):
        agents = self.env.possible_agents
        if self.continuous:
            return [rng.uniform(0, 1, self.env.action_space(a).shape).astype("float32") for a in agents]
        return [int(rng.integers(self.env.action_space(a).n)) for a in agents]

    def step(self, rng):
        """The actions as they are stored, and rewards."""
        agents, action = self.env.possible_agents, self.play(rng)
        stored = numpy.concatenate(action).astype(float) if self.continuous else numpy.array(action)
        _, reward, terminated, truncated, *_ = self.env.step(dict(zip(agents, action)))
        return stored, [reward[a] for a in agents]


class Mpe2(Pettingzoo):
    package, named, tasks = "mpe2", "mpe2.{}_v{}", NEWER


class Treasure(Mpe2):
    tasks = {"collect_treasure": 1}
    named = "mpe2.{}_v{}"
    # seeds under which treasure is delivered; steps of the episode that are kept
    cases = [("discrete", 27, 14, False, {}), ("continuous", 15, 7, False, {}), ("crowded", 7, 6, True, {}),
             ("three", 26, 20, False, {"num_collectors": 3, "num_deposits": 3, "num_treasures": 2}),
             ("one_deposit", 4, 25, False, {"num_collectors": 2, "num_deposits": 1, "num_treasures": 3})]

    def types(self):
        """Of treasure: carried by collectors, taken by deposits, of treasures; -1: none, or gone."""
        return [(-1 if a.holding is None else a.holding) if a.collector else a.d_i for a in self.world.agents] + [
            treasure.type if treasure.alive else -1 for treasure in self.world.landmarks]

    def goal(self, agent):
        """Where an agent should go."""
        world, to = self.world, lambda entity: numpy.linalg.norm(entity.state.p_pos - agent.state.p_pos)
        if not agent.collector:
            carriers = [a for a in world.agents if a.collector and a.holding == agent.d_i]
            return min(carriers, key=to) if carriers else agent
        if agent.holding is not None:
            return next(a for a in world.agents if not a.collector and a.d_i == agent.holding)
        return min([treasure for treasure in world.landmarks if treasure.alive], key=to, default=agent)

    def play(self, rng):
        """Mostly towards the goal."""
        action = super().play(rng)
        for i, agent in enumerate(self.world.agents):
            way = self.goal(agent).state.p_pos - agent.state.p_pos - 0.2 * agent.state.p_vel
            axis = int(abs(way[1]) > abs(way[0]))
            move = 1 + 2 * axis + int(way[axis] > 0)
            if self.continuous:
                action[i] = (0.2 * action[i] + 0.8 * numpy.eye(5)[move]).astype("float32")
            elif rng.uniform() < 0.9:
                action[i] = move
        return action


class Openai:
    tasks = TASKS
    modes = ("discrete", "soft")

    def __init__(self, task, mode):
        import gymnasium

        os.environ["SUPPRESS_MA_PROMPT"] = "1"
        sys.modules["gym"] = gymnasium
        sys.modules["gym.spaces"] = gymnasium.spaces
        sys.modules["gym.envs"] = mock.MagicMock()
        sys.modules["gym.envs.registration"] = mock.MagicMock()
        gymnasium.spaces.prng = None
        from multiagent.environment import MultiAgentEnv
        from multiagent.multi_discrete import MultiDiscrete

        MultiDiscrete.shape = property(lambda space: None)
        scenario = __import__(f"multiagent.scenarios.{task}", fromlist=["Scenario"]).Scenario()
        self.world = scenario.make_world()
        self.world.dim_c = self.world.dim_c or 1  # spaces of nothing are refused today; nobody speaks in simple
        self.env = MultiAgentEnv(self.world, scenario.reset_world, scenario.reward, scenario.observation, shared_viewer=False)
        self.env.discrete_action_input = False
        self.name = f"openai.multiagent {task}"
        self.soft = mode == "soft"

    def reset(self, seed):
        numpy.random.seed(seed)
        self.env.reset()

    def observe(self):
        return [self.env._get_obs(agent) for agent in self.world.agents]

    def step(self, rng):
        stored, action = [], []
        for agent in self.world.agents:
            parts = []
            for n in ([5] if agent.movable else []) + ([] if agent.silent else [self.world.dim_c]):
                parts.append(rng.dirichlet(numpy.ones(n)).astype("float32") if self.soft else numpy.eye(n)[rng.integers(n)])
            action.append(numpy.concatenate(parts))
            pair = [int(parts[0].argmax()) if agent.movable else -1, -1 if agent.silent else int(parts[-1].argmax())]
            stored.append(action[-1].astype(float) if self.soft else pair)
        reward = self.env.step([a.copy() for a in action])[1]
        return numpy.concatenate(stored) if self.soft else numpy.array(stored), reward


def record(group, task, player, seed, crowded, steps=STEPS):
    world, rng = player.world, numpy.random.default_rng(seed)
    speakers = [i for i, agent in enumerate(world.agents) if not agent.silent]
    player.reset(seed)
    if crowded:
        crowd(world, rng)
    treasure = isinstance(player, Treasure)
    data = {name: [] for name in ("agent_pos", "agent_vel", "landmark_pos", "type", "utterance", "obs", "action", "reward")}

    def look():
        data["agent_pos"].append([agent.state.p_pos.copy() for agent in world.agents])
        data["agent_vel"].append([agent.state.p_vel.copy() for agent in world.agents])
        data["utterance"].append([numpy.array(world.agents[i].state.c, dtype=float) for i in speakers])
        data["obs"].append(numpy.concatenate(player.observe()).astype("float32"))
        if treasure:  # which moves
            data["landmark_pos"].append([landmark.state.p_pos for landmark in world.landmarks])
            data["type"].append(player.types())

    look()
    goal = goals(task, world)
    for _ in range(steps):
        action, reward = player.step(rng)
        data["action"].append(action)
        data["reward"].append([float(r) for r in reward])
        look()
    if not treasure:
        data["landmark_pos"] = [landmark.state.p_pos for landmark in world.landmarks]
    data["goal"] = numpy.array(goal, dtype="int32")
    group.attrs["environment"] = numpy.bytes_(player.name)
    group.attrs["steps"] = numpy.int32(25)  # of an episode
    group.attrs["kwargs"] = numpy.bytes_("{}")
    group.attrs["start"] = numpy.bytes_("injected" if crowded or not isinstance(player, Pettingzoo) else "reset(seed)")
    group.attrs["obs_dims"] = numpy.array([len(o) for o in player.observe()], dtype="int32")
    group.create_dataset("seed", data=numpy.array([seed]))
    for name, values in data.items():
        values = numpy.array(values)
        if values.size:
            group.create_dataset(name, data=values[None].astype({"obs": "float32", "type": "int8"}.get(name, values.dtype)))


def record_treasure(file, make):
    """Each case, and how the generator goes on: two more starts after that of the seed."""
    for name, seed, steps, crowded, kwargs in make.cases:
        player = make("collect_treasure", name, **kwargs)
        group = file.create_group(f"collect_treasure/{name}")
        record(group, "collect_treasure", player, seed, crowded, steps)
        group.attrs["kwargs"] = numpy.bytes_(json.dumps(kwargs))
        player.reset(seed)
        starts = []
        for _ in range(2):
            player.reset()
            starts.append([[agent.state.p_pos for agent in player.world.agents], [landmark.state.p_pos for landmark in player.world.landmarks],
                           numpy.concatenate(player.observe()).astype("float32")])
        for k, what in enumerate(("next_agent_pos", "next_landmark_pos", "next_obs")):
            group.create_dataset(what, data=numpy.array([start[k] for start in starts]))


def main():
    kind, out = sys.argv[1], sys.argv[-1]
    if kind == "openai":
        sys.path.insert(0, sys.argv[2])
    make = {"pettingzoo": Pettingzoo, "openai": Openai, "mpe2": Mpe2, "treasure": Treasure}[kind]
    with h5py.File(out, "w", libver=("v108", "v108")) as file:
        source = {"pettingzoo": "PettingZoo 1.22.3", "openai": "openai/multiagent-particle-envs"}
        file.attrs["source"] = numpy.bytes_(source.get(kind, "mpe2 1.1.1"))
        file.attrs["made"] = numpy.bytes_("by tests/data/record_mpe.py")
        file.attrs["numpy"] = numpy.bytes_(numpy.__version__)
        if kind == "treasure":
            record_treasure(file, make)
            return
        for seed, task in enumerate(make.tasks):
            for mode in make.modes:
                record(file.create_group(f"{task}/{mode}"), task, make(task, mode), seed, False)
            if task in CROWDED:
                record(file.create_group(f"{task}_crowded"), task, make(task, "discrete"), 100 + seed, True)


if __name__ == "__main__":
    main()

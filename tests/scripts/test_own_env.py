#!/usr/bin/env python3
"""A Gymnasium environment of one's own, played from a checkpoint: docs/export.md's example as it stands there, and policy.flatten beside what
the program's own worker makes of observations of every kind."""
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
SOURCE = os.path.join(HERE, "..", "..")
sys.path[:0] = [os.path.join(HERE, "..", "faults"), os.path.join(SOURCE, "scripts"), os.path.join(SOURCE, "src", "env", "python")]
try:
    import gymnasium as gym
    import h5py  # noqa: F401  pylint: disable=unused-import
    import numpy as np
except ImportError as missing:
    print(f"ok - own_environments # SKIP {missing}")
    sys.exit(0)
import mappo  # noqa: E402
import mappo_spaces  # noqa: E402
from exporters import c_header  # noqa: E402
from runs import check, keep, mappo as program  # noqa: E402

os.environ["MAPPO_PYTHON"] = sys.executable
TINY = ["threads=1", "rollout.envs=4", "rollout.steps=25", "train.env_steps=100", "eval.env_steps=0", "policy.hidden=8", "wrap.time_limit=9", "--quiet"]

KINDS = '''
import gymnasium as gym
import numpy as np
Box, Dict, Tuple = gym.spaces.Box, gym.spaces.Dict, gym.spaces.Tuple
SPACES = {
    "nested": Dict({"z": Box(-1, 1, (2, 3), np.float64), "inner": Dict({"mode": gym.spaces.Discrete(3, start=2), "bits": gym.spaces.MultiBinary(4)}),
                    "action_mask": Box(0, 1, (2,), np.int8)}),
    "tuple": Tuple((gym.spaces.MultiDiscrete([2, 3]), Box(0, 255, (8, 9), np.uint8), Box(0, 1, (), np.float32))),
    "many": Dict({name: gym.spaces.Discrete(2 + k) for k, name in enumerate("abcdef")}),
    "image": Box(0, 255, (3, 8, 9), np.uint8),
    "choice": gym.spaces.Discrete(5, start=-1),
}


class Sampler(gym.Env):
    action_space = gym.spaces.Discrete(2)

    def __init__(self, kind="nested"):
        self.observation_space = SPACES[kind]
        if kind == "nested":
            self.action_masks = lambda: np.ones(2)

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        return self.look(), {}

    def step(self, action):
        return self.look(), 0.0, False, False, {}

    def look(self):
        obs = self.observation_space.sample()
        if isinstance(obs, dict) and "action_mask" in obs:
            obs["action_mask"] = np.ones(2, np.int8)
        return obs
'''


def blocks(page, heading):
    with open(os.path.join(SOURCE, "docs", page), encoding="utf-8") as file:
        part = file.read().split(f"### {heading}\n")[1].split("\n## ")[0]
    return [block.split("```")[0] for block in part.split("```python\n")[1:]], part


def the_pages_example():
    (environment, play), text = blocks("export.md", "An environment of your own")
    with open("fetch.py", "w") as file:
        file.write(environment)
    with open("play.py", "w") as file:
        file.write(play)
    settings = text.split("`build/mappo ")[1].split("`")[0].split()
    code, out = program(*settings, "threads=2", "eval.env_steps=0", "--quiet")
    check("the_pages_environment_is_trained", code == 0, out[-500:])
    done = subprocess.run([sys.executable, "play.py"], env=dict(os.environ, PYTHONPATH=os.path.join(SOURCE, "scripts")), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    found = float(done.stdout.split()[-1]) if done.stdout.startswith("mean return") else -9
    check("it_plays_by_the_pages_program_as_it_learned", found > 0.6, done.stdout[-600:] + str(found))
    policy = mappo.load("runs/fetch")
    check("parts_have_their_names", [(name, first, end) for name, first, end, _ in policy.layout] == [("cell", 0, 16), ("way", 16, 18)], policy.layout)
    header = c_header.header(policy, "fetch")
    check("the_header_says_where_they_are", "obs[0] to obs[15]: cell, discrete, one-hot: 0 to 15\n" in header and "obs[16] to obs[17]: way, box [2]" in header, header[:1200])
    for name, obs, word in [("a_part_that_is_missing", {"cell": 1}, 'no part "way": it has cell'), ("another_shape", {"cell": 1, "way": [1, 2, 3]}, '"way" has the shape (3,)'),
                            ("a_value_beyond", {"cell": 16, "way": [0, 0]}, "outside of its space"), ("a_number", 3.0, "it is float")]:
        refused(name, lambda obs=obs: policy.flatten(obs), word)
    refused("a_dict_is_told_how", lambda: policy.act({"cell": 1}), "policy.flatten(obs)")


def refused(name, call, word):
    try:
        call()
        told = "nothing"
    except mappo.Problem as problem:
        told = str(problem)
    check(f"{name}_is_refused", word in told, told)


def every_kind():
    with open("kinds.py", "w") as file:
        file.write(KINDS)
    sys.path.insert(0, os.getcwd())
    import kinds  # pylint: disable=import-outside-toplevel,import-error
    for kind, space in kinds.SPACES.items():
        code, out = program("env=py:./kinds.py:Sampler", f'env.args={{"kind": "{kind}"}}', f"run={kind}", *TINY)
        check(f"{kind}_is_trained", code == 0, out[-500:])
        policy, env = mappo.load(kind), kinds.Sampler(kind)
        reader = mappo_spaces.Observation(space, "agent")
        row, far = np.zeros(reader.width, np.float32), 0.0
        write, seen = reader.writer(row), [env.look() for _ in range(20)]
        for obs in seen:
            write(obs)
            far = max(far, float(np.abs(policy.flatten(obs) - row).max()))
        check(f"{kind}_is_flattened_as_the_run_did", far == 0 and policy.flatten(seen[0]).shape == (policy.inputs,), far)
        if kind in ("image", "choice"):
            together = policy.flatten(np.array(seen))
            check(f"batches_of_{kind}_too", together.shape == (20, policy.inputs) and (together[-1] == row).all(), together)
    check("flat_boxes_need_no_comment", "environment's observation:" not in c_header.header(mappo.load("plain"), "plain"))
    refused("who_has_no_layout", lambda: mappo.load("builtin").flatten([0] * 18), "only runs on Python's environments")


def training():
    code, out = program("env=py:CartPole-v1", "run=plain", *TINY)
    code = code or program("env=mpe/simple_spread", "run=builtin", *TINY)[0]
    check("others_are_trained", code == 0, out[-500:])


keep(training, the_pages_example, every_kind)

#!/usr/bin/env python3
"""How fast environments of Python step here (env=py:…), in Gymnasium's AsyncVectorEnv and in PufferLib's multiprocessing, in one run.

    scripts/compare_bridge.py                       about four minutes: be alone on the machine
    scripts/compare_bridge.py cartpole --pairs 3    one of the cases: cartpole, sleeper
    scripts/compare_bridge.py --json FILE           every measurement, too

32 environments (--envs), random actions, nothing learned. `cartpole` is Gymnasium's CartPole-v1, `sleeper` one that sleeps 1 ms a step. PufferLib and
the program have as many worker processes as --workers says (2), and the program once more as many as environments; AsyncVectorEnv always has
a process an environment. Each pair of measurements is one of each, one after the other; medians of pairs, and of what each pair's ratio is.

Needs `make`, and gymnasium beside this Python. PufferLib is compared where it is installed: pip install --no-deps pufferlib-core, and psutil;
its networks, and so PyTorch, are not needed to step."""
import argparse
import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import time
import types

try:
    import gymnasium
    import numpy as np
except ImportError as missing:
    if {"-h", "--help"} & set(sys.argv):
        print(f"compare_bridge.py: {__doc__}")
        sys.exit(0)
    print(f"compare_bridge.py: {missing}: python3 -m pip install gymnasium", file=sys.stderr)
    sys.exit(2)

HERE = os.path.dirname(os.path.abspath(__file__))
MAPPO = os.path.join(os.environ.get("BUILD", os.path.join(HERE, "..", "build")), "mappo")


class Sleeper(gymnasium.Env):
    """What waits: a step takes 1 ms and no processor."""

    observation_space, action_space = gymnasium.spaces.Box(-1, 1, (4,), np.float32), gymnasium.spaces.Discrete(2)

    def __init__(self):
        self.seen, self.steps = np.zeros(4, np.float32), 0

    def reset(self, seed=None, options=None):
        super().reset(seed=seed)
        self.steps = 0
        return self.seen, {}

    def step(self, action):
        time.sleep(0.001)
        self.steps += 1
        return self.seen, 1.0, False, self.steps == 200, {}


def cartpole():
    return gymnasium.make("CartPole-v1", disable_env_checker=True)


CASES = {"cartpole": cartpole, "sleeper": Sleeper}


def timed(step, envs, seconds):
    """Environment steps a second on the clock; step() steps all environments once."""
    for _ in range(5):
        step()
    steps, begin = 0, time.perf_counter()
    while time.perf_counter() - begin < seconds:
        for _ in range(10):
            step()
        steps += 10 * envs
    return steps / (time.perf_counter() - begin)


def ours(case, envs, workers, seconds):
    source = "py:gymnasium:CartPole-v1" if case == "cartpole" else "py:%s:Sleeper" % os.path.abspath(__file__)
    command = [MAPPO, "bench", "env=" + source, "only=env", "rollout.envs=%d" % envs, "env.workers=%d" % workers, "threads=1", "env.python=" + sys.executable, "--json"]
    said = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode().splitlines()
    return json.loads(said[-1])["env_steps_per_second"]


def asynchronous(case, envs, workers, seconds):
    env = gymnasium.vector.AsyncVectorEnv([CASES[case]] * envs)
    env.reset(seed=0)
    actions, at = [np.random.randint(0, 2, envs) for _ in range(64)], iter(range(1 << 60))
    rate = timed(lambda: env.step(actions[next(at) & 63]), envs, seconds)
    env.close()
    return rate


def pufferlib():
    """The parts of PufferLib that step environments. Its package imports its networks first, and those PyTorch."""
    if "pufferlib" not in sys.modules:
        package = types.ModuleType("pufferlib")
        package.__path__ = importlib.util.find_spec("pufferlib").submodule_search_locations
        sys.modules["pufferlib"] = package
        package.spaces = importlib.import_module("pufferlib.spaces")
        core = importlib.import_module("pufferlib.pufferlib")
        for name, one in vars(core).items():
            if not name.startswith("_"):
                setattr(package, name, one)
        package.emulation, package.vector = (importlib.import_module("pufferlib." + name) for name in ("emulation", "vector"))
    return sys.modules["pufferlib"]


def puffer_version():
    """Of whichever distribution brings the package; empty where none says."""
    for name in ("pufferlib-core", "pufferlib"):
        try:
            return " " + importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            pass
    return ""


def puffer_env(case, buf=None, seed=0):
    return pufferlib().emulation.GymnasiumPufferEnv(env=CASES[case](), buf=buf, seed=seed)


def puffer(case, envs, workers, seconds):
    vector = pufferlib().vector
    env = vector.make(puffer_env, env_args=[case], backend=vector.Multiprocessing, num_envs=envs, num_workers=workers, batch_size=envs, overwork=True)
    env.reset(seed=0)
    actions, at = [np.random.randint(0, 2, envs) for _ in range(64)], iter(range(1 << 60))
    rate = timed(lambda: env.step(actions[next(at) & 63]), envs, seconds)
    env.close()
    return rate


def median(numbers):
    return float(np.median(numbers))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", nargs="*", choices=[[], *CASES], help="cartpole, sleeper")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0, help="of each measurement of the others")
    parser.add_argument("--envs", type=int, default=32)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", metavar="FILE")
    given = parser.parse_args()
    if not os.path.exists(MAPPO):
        sys.exit("compare_bridge.py: %s is not there: `make` builds it" % os.path.normpath(MAPPO))
    sides = [("here, %d workers" % given.workers, ours, given.workers), ("here, %d workers" % given.envs, ours, given.envs), ("AsyncVectorEnv %s" % gymnasium.__version__, asynchronous, 0)]
    if importlib.util.find_spec("pufferlib"):
        pufferlib()
        sides.append(("PufferLib" + puffer_version(), puffer, given.workers))
    else:
        print("PufferLib is left out: it is not installed")
    measured = {}
    for case in given.case or CASES:
        rates = {name: [] for name, _, _ in sides}
        for _ in range(given.pairs):
            for name, function, workers in sides:
                rates[name].append(function(case, given.envs, workers, given.seconds))
        measured[case] = rates
        print("%s: %d environments, medians of %d" % (case, given.envs, given.pairs))
        mine = [name for name, function, _ in sides if function is ours]
        for name, numbers in rates.items():
            line = "    %-24s %9.0f env-steps/s" % (name, median(numbers))
            for own in mine if name not in mine else []:
                ratios = sorted(a / b for a, b in zip(rates[own], numbers))
                line += "   %s: %.2f times (%.2f to %.2f)" % (own, median(ratios), ratios[0], ratios[-1])
            print(line, flush=True)
    if given.json:
        with open(given.json, "w") as file:
            json.dump(measured, file, indent=1)


if __name__ == "__main__":
    main()

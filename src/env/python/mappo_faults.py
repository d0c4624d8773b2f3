"""What a worker says where an environment is not as it should be: of an exception one line that names call, cause and cure; of the first steps
of the first environment what would otherwise go on unseen. Nothing here is on the way of a step that goes well."""
import os
import platform
import sys
import traceback

import numpy as np

import mappo_envs
from mappo_spaces import Refusal

OURS = tuple(module + ".py" for module in ("mappo_worker", "mappo_envs", "mappo_spaces", "mappo_faults"))

# ---- exceptions ------------------------------------------------------------------------------------------------------------------------


def is_ours(frame):
    return os.path.basename(frame.f_code.co_filename) in OURS


def tell(error, where="", quiet=False):
    """One line about an exception; its traceback, without the worker's own frames, goes to stderr, unless another worker's stands there."""
    if isinstance(error, Refusal):
        return str(error)
    frames = error.__traceback__
    while frames is not None and is_ours(frames.tb_frame):
        frames = frames.tb_next
    while frames is not None and frames.tb_frame.f_code.co_filename.startswith("<frozen importlib") and frames.tb_next is not None:
        frames = frames.tb_next
    text = ": ".join([type(error).__name__] + ([" ".join(str(error).split())] if str(error).strip() else []))
    if isinstance(error, ModuleNotFoundError):
        text += "; it is not installed for %s (Python %s): install it there, or say which Python has it (env.python)" % (sys.executable, platform.python_version())
    if frames is None or frames.tb_frame.f_code.co_filename.startswith("<frozen importlib"):
        return text if isinstance(error, (ImportError, SyntaxError)) else explain(error, text)
    if not quiet:
        lines = traceback.format_exception(type(error), error, frames)
        sys.stderr.write(where + "".join(line for line in lines if not line.lstrip().startswith('File "<frozen importlib')))
        sys.stderr.flush()
    last = traceback.extract_tb(frames)[-1]
    return "%s (%s:%d)" % (text, os.path.basename(last.filename), last.lineno)


def shown(value):
    text = " ".join(repr(value).split())
    return text if len(text) <= 60 else text[:57] + "..."


def fails(convert, value):
    try:
        convert(value)
    except Exception:
        return True
    return False


def explain(error, text):
    """Of an exception in the worker's own lines, which what the environment returned has caused: which call it was, and what it should return."""
    frames, trace = [], error.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame)
        trace = trace.tb_next
    inside, names = frames[-1].f_locals, [frame.f_code.co_name for frame in frames]
    owners = [frame.f_locals["self"] for frame in frames if "self" in frame.f_locals]
    kind = next((one for one in (getattr(owner, "kind", owner) for owner in reversed(owners)) if hasattr(one, "env")), None)
    call = "reset" if {"reset", "new_episode", "describe"} & set(names) or "first" in frames[-1].f_locals or is_after_end(frames) else "step"
    for found in (wrong_call(error, kind, str(error)), wrong_return(error, kind, call, inside, names), wrong_reward(frames), wrong_observation(error, frames)):
        if found:
            return "%s%s" % (found if found.startswith(("reset()", "step()")) else "%s() %s" % (call, found), place_of(kind, call))
    return "%s() returned something else than its kind of environment does: %s%s" % (call, text, place_of(kind, call))


def is_after_end(frames):
    """Whether what is shown is a new episode's first observation."""
    for frame in frames:
        row = frame.f_locals.get("self")
        if frame.f_code.co_name == "step_all":
            return "show" in [one.f_code.co_name for one in frames] and row.ends[row.row] != 0
        if "first" in frame.f_locals:
            return True
    return False


def place_of(kind, call):
    """Where the function stands."""
    env = getattr(kind, "env", None)
    try:
        code = getattr(type(getattr(env, "unwrapped", env)), call).__code__
        return " (%s() is at %s:%d)" % (call, os.path.basename(code.co_filename), code.co_firstlineno)
    except Exception:
        return ""


def wrong_call(error, kind, text):
    if not isinstance(error, TypeError) or not ("argument" in text and ("takes" in text or "unexpected" in text or "missing" in text)):
        return None
    if "'seed'" in text:
        return "reset() must take a seed: def reset(self, seed=None, options=None)"
    if "reset()" in text:
        return "reset() is called as reset(seed=…) or reset(): def reset(self, seed=None, options=None)"
    if "step()" in text:
        return "step() is called with the action%s alone: def step(self, action)" % ("" if isinstance(kind, mappo_envs.Alone) else "s")
    return None


def wrong_return(error, kind, call, inside, names):
    result = inside.get("first", inside.get("result", inside))
    if result is inside or not kind:
        return None
    must = "it must return %s" % getattr(kind, call + "_returns", "what its kind of environment does")
    if result is None:
        return "returned None: " + must
    count = len(result) if isinstance(result, (tuple, list)) else None
    if count == 4 and call == "step":
        return "returned 4 values, as in the old Gym: %s" % must
    if isinstance(error, ValueError) and "unpack" in str(error) and count is not None:
        return "returned %d values: %s" % (count, must)
    if count is None or isinstance(error, AttributeError) and names[-1] == "step":
        return "returned %s: %s" % (shown(result), must)
    return None


def wrong_reward(frames):
    for frame in frames:
        inside, name = frame.f_locals, frame.f_code.co_name
        reward = inside.get("reward")
        if name == "step_all" and "slot" in inside and "rewards" in inside:
            reward = inside["rewards"].get(inside["slot"].name, 0.0) if hasattr(inside["rewards"], "get") else 0.0
        elif name not in ("step", "pass_turns") or "reward" not in inside:
            continue
        if fails(float, reward):
            return "gave the reward %s, which is no number" % shown(reward)
        for ends in ("terminated", "truncated"):
            if fails(bool, inside.get(ends)):
                return "gave %s = %s, which is neither true nor false" % (ends, shown(inside[ends]))
    return None


def wrong_observation(error, frames):
    here = frames[-1]
    inside, names = here.f_locals, [frame.f_code.co_name for frame in frames]
    if names[-1] == "value_at":
        if isinstance(inside["value"], (dict, tuple, list)):
            return "gave an observation without %s, which its space names" % shown(inside["key"])
        return "gave the observation %s, where its space is a %s" % (shown(inside["value"]), "Dict" if isinstance(inside["key"], str) else "Tuple")
    if names[-1] == "mask_of" or isinstance(error, KeyError) and str(error) == "'action_mask'":
        return 'gave an observation without "action_mask", which its space names'
    if "put" in names and "value" in inside:
        return "gave the observation %s, which is not as its space says: %s" % (shown(inside["value"]), " ".join(str(error).split()))
    return None


# ---- the first steps -------------------------------------------------------------------------------------------------------------------


class Watch:
    """Steps an environment in place of its kind and looks at what comes, until there is nothing to look for any more. `say(text)` tells."""

    STEPS, EPISODES, MOST = 200, 3, 5000

    def __init__(self, kind, groups, infos, say, ended):
        self.kind, self.say, self.ended, self.steps, self.ends = kind, say, ended, 0, 0
        self.group = {agent: group for group in groups for agent in group.agents}
        self.missing, self.seen, self.told = dict(infos), set(), set()

    def __call__(self, actions):
        result = self.kind.step(actions)
        self.steps += 1
        self.ends += not self.kind.alive
        seen, _, _, _, infos = result
        for agent, group in self.group.items():
            if agent in seen and "box" not in self.told:
                self.look_at_box(group, seen[agent])
        self.look_at_infos(infos)
        over = self.steps >= self.STEPS and (self.ends >= self.EPISODES or not any(self.missing.values()))
        if over or self.steps >= self.MOST:
            for name in self.missing:
                self.say('no step gave info "%s"%s (env.infos); info has %s'
                         % (name, mappo_envs.nearest(name, self.seen), ", ".join(sorted(self.seen)) or "nothing"))
            self.ended()
        return result

    def once(self, what, text):
        if what not in self.told:
            self.told.add(what)
            self.say(text)

    def look_at_infos(self, infos):
        each = [infos] + [info for info in infos.values() if isinstance(info, dict)]
        if self.missing:
            self.seen.update(name for info in each for name, value in info.items() if isinstance(name, str) and name not in self.group and name and not isinstance(value, dict))
            self.missing = {name: at_end for name, at_end in self.missing.items() if name not in self.seen}
        if not any(group.masked for group in self.group.values()) and any("action_mask" in info for info in each):
            self.once("mask", "info has an action_mask after step(), and had none after reset(): it is not used; give it after reset() too")

    def look_at_box(self, group, seen):
        for head in group.observation.heads:
            if head.kind != "Box" or head.bytes:
                continue
            try:
                value = np.asarray(value_of(seen, head.path), np.float64)
                low, high = (np.broadcast_to(np.asarray(bound, np.float64), value.shape) for bound in (head.space.low, head.space.high))
            except Exception:  # what is wrong with it is said where it is written
                continue
            outside = np.flatnonzero((value < low - 1e-5 * np.maximum(1, np.abs(low))) | (value > high + 1e-5 * np.maximum(1, np.abs(high))))
            if len(outside):
                at = int(outside[0])
                self.once("box", "the observation%s after step %d is outside of its Box: number %d is %g, the bounds are %g and %g; it is used as it is, but let the space say what can be"
                          % (' "%s"' % head.name if head.name else "", self.steps, at, value.flat[at], low.flat[at], high.flat[at]))
                return


def value_of(value, path):
    for key in path:
        value = value[key]
    return value

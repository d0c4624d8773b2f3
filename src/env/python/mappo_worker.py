"""A worker process of `env=py:…`: steps environments of Python for a rank, which asks through shared memory and reads the results there.

Asked for environments over a socket (lines of text), the worker makes them and describes them in the terms of env/mappo_env.h. The rank then
lays out one window of shared memory for all its workers. To step or reset an environment it writes `want` and rings `bell`; the worker does
what is wanted, writes the results into the window through views of NumPy, sets `done` and wakes the rank by `answer`. Nothing is sent and
nothing is pickled for a step.

In this order: groups of agents, rows (an environment in the window), instances, the window's words, the control socket.
Python 3.8 or later and NumPy; mappo_spaces.py, mappo_envs.py and mappo_faults.py beside it are all else that it needs."""
import ctypes
import gc
import importlib
import json
import mmap
import os
import platform
import random
import re
import select
import signal
import socket
import sys
import time
import warnings

import numpy as np

import mappo_envs
import mappo_faults
import mappo_spaces
from mappo_faults import tell
from mappo_spaces import Refusal

MAX_GROUPS = 8
HAS_MASK, HAS_ACTIVE, SHARED_REWARD = 1, 2, 8
RUNNING, TERMINATED, TRUNCATED = 0, 1, 2
STEP = 2
RETRIES = 3  # times that an environment may fail in a row, without a whole episode between, before the run ends
PATIENCE = 200e-6  # seconds of work after which the rank is told what is done, while more is pending
SOCKET, WINDOW = 3, 4  # descriptors
CONTROL = "[\x00-\x1f\x7f]+"


# ---- groups ----------------------------------------------------------------------------------------------------------------------------


class Group:
    """Agents of equal spaces whose names are equal without the number at their end."""

    def __init__(self, name, observation, action):
        self.name, self.observation, self.action, self.agents, self.team, self.masked = name, observation, action, [], 0, False


def clean(name):
    return re.sub(CONTROL, " ", name).replace("/", "_").replace('"', "'")[:63]


def stem_of(agent):
    return re.sub(r"[_\-. ]*\d*$", "", agent) or "agent"


def groups_of(kind, teams):
    """Teams: names of groups, "adversary+agent/prey"; an agent that is named there is a group of its own."""
    named = {name.strip(): team for team, part in enumerate(teams.split("/")) for name in part.split("+")} if teams else {}
    groups = {}
    for agent in kind.names:
        whose = str(agent)
        observation, action = (make(space, whose) for make, space in zip((mappo_spaces.Observation, mappo_spaces.Action), kind.spaces(agent)))
        stem = clean(whose) if whose in named else stem_of(clean(whose))
        key = stem, json.dumps(observation.lines()), json.dumps(action.lines()), observation.mask_inside
        if key not in groups:
            alike = sum(one.name.rstrip("0123456789").rstrip("_") == stem for one in groups.values())
            groups[key] = Group("%s_%d" % (stem, alike + 1) if alike else stem, observation, action)
        groups[key].agents.append(agent)
    groups = list(groups.values())
    if len(groups) > MAX_GROUPS:
        raise Refusal("its %d agents form %d groups (by spaces and names without their number), more than %d: name agents of equal spaces alike, as player_0, player_1"
                      % (len(kind.names), len(groups), MAX_GROUPS))
    if teams:
        names = [group.name for group in groups]
        agents = [clean(str(agent)) for agent in kind.names]
        whole = [group.name for group in groups_of(kind, "")]  # as they are before teams part them
        for name in named:
            if name not in whole + agents:
                raise Refusal('env.teams names "%s", which is neither a group (%s) nor an agent (%s)%s'
                              % (name, ", ".join(whole), ", ".join(agents[:8]) + (", …" if len(agents) > 8 else ""), mappo_envs.nearest(name, whole + agents)))
        for group in groups:
            if group.name not in named:
                raise Refusal('env.teams says no team of group "%s" (teams: "a+b/c")' % group.name)
            group.team = named[group.name]
    return groups


# ---- rows ------------------------------------------------------------------------------------------------------------------------------


class Slot:
    """An agent's place in a row of the window, with the functions that write and read there."""

    def __init__(self, group, at, arrays, row):
        self.name, self.at, self.inside = group.agents[at], at, group.observation.mask_inside
        one = {name: array[row] for name, array in arrays.items()}
        self.obs, self.final = one["obs"][at], one["final_obs"][at]
        self.put, self.put_final = group.observation.writer(self.obs), group.observation.writer(self.final)
        self.get = group.action.reader(memoryview(one["act_int"][at]) if "act_int" in one else None, one["act_real"][at] if "act_real" in one else None)
        self.reward, self.terminated = memoryview(one["reward"]), memoryview(one["terminated"])
        self.active = memoryview(one["active"]) if "active" in one else None
        self.mask = group.action.mask_writer(one["act_mask"][at]) if "act_mask" in one else None
        self.masked = False  # it had a mask


class Row:
    """One environment and its row of the window. `step` and `reset` do what the rank wants."""

    def __init__(self, instance, number, row, kind):
        self.instance, self.number, self.row = instance, number, row
        self.fails, self.restarts, self.picture = 0, 0, None
        window = instance.window
        self.ends = memoryview(window["-"]["ep_end"])
        self.slots = [Slot(group, at, window[str(g)], row) for g, group in enumerate(instance.groups) for at in range(len(group.agents))]
        self.state, self.final_state = (window["-"][name][row] if name in window["-"] else None for name in ("state", "final_state"))
        self.info = window["-"]["info"][row] if "info" in window["-"] else None
        self.begin(kind)

    def begin(self, kind):
        """With an environment whose first reset is still to come."""
        self.kind, self.fresh, self.take = kind, True, kind.step
        self.choose_step()
        if self.number == 0 and self.instance.stream == 0 and self.restarts == 0:  # one that is looked at closely tells enough
            self.take, self.step = mappo_faults.Watch(kind, self.instance.groups, self.instance.named, lambda text: self.instance.warn(self.number, text), self.watched), self.step_all

    def watched(self):
        self.take = self.kind.step
        self.choose_step()

    def choose_step(self):
        kind = self.kind
        plain = type(kind) is mappo_envs.Alone and self.state is None and self.info is None and self.slots[0].mask is None
        self.step = self.alone() if plain and not self.instance.draw else self.step_all

    def reset(self):
        seed, self.fresh = self.instance.seed_of(self.number, self.restarts) if self.fresh else None, False
        for slot in self.slots:
            slot.terminated[slot.at] = 0  # no sooner: results of a worker that died may not have been taken yet
        self.show(*self.new_episode(seed))

    def new_episode(self, seed=None):
        for slot in self.slots:
            slot.there = True  # whoever is not, is seen to be absent
        return self.kind.reset(seed)

    def alone(self):
        """step_all for one agent without masks, states and infos: the same, and little more than the environment's own step."""
        slot, row, ends, reset_env = self.slots[0], self.row, self.ends, self.kind.env.reset
        step_env, get, put, put_final, rewards = self.kind.env.step, slot.get, slot.put, slot.put_final, slot.reward

        def step():
            result = step_env(get())  # by these names mappo_faults.py knows what was wrong
            seen, reward, terminated, truncated, _ = result
            rewards[0] = reward
            if terminated or truncated:
                put_final(seen)
                ends[row] = TERMINATED if terminated else TRUNCATED
                self.fails = 0
                first = reset_env()
                seen, _ = first
            else:
                ends[row] = RUNNING
            put(seen)
        return step

    def step_all(self):
        kind, slots = self.kind, self.slots
        acting, before = frozenset(kind.acting), frozenset(kind.alive)  # of hundreds of agents a tuple is slow
        actions = {slot.name: slot.get() for slot in slots if slot.name in acting}
        seen, rewards, terminated, truncated, infos = self.take(actions)
        for slot in slots:
            slot.reward[slot.at] = rewards.get(slot.name, 0.0)
        if self.info is not None:
            self.info[:] = [info_value(infos, name) for name, _ in self.instance.infos]
        if kind.alive:
            self.ends[self.row] = RUNNING
            left = before.difference(kind.alive)
            for slot in slots:
                name = slot.name
                slot.terminated[slot.at] = bool(name in left and (terminated.get(name) or not truncated.get(name)))
        else:
            seen, infos = self.end(before, seen, terminated, truncated)
        self.show(seen, infos)

    def end(self, before, seen, terminated, truncated):
        """The episode's last observations, and how it ended; then the first of the next one."""
        cut = any(truncated.get(name) and not terminated.get(name) for name in before)
        for slot in self.slots:
            name = slot.name
            if name in seen and name in before:
                slot.put_final(seen[name])
            else:
                slot.final[:] = slot.obs
            slot.terminated[slot.at] = bool(cut and name in before and terminated.get(name))
        if self.final_state is not None:
            self.put_state(self.final_state)
        self.ends[self.row] = TRUNCATED if cut else TERMINATED
        self.fails = 0
        if self.instance.draw:
            self.picture = self.draw()
        return self.new_episode()

    def show(self, seen, infos):
        """What agents see, who acts, what is allowed. Who was cut off keeps what it saw last, so that its value goes on; who ended sees zeros."""
        alive, acting = frozenset(self.kind.alive), frozenset(self.kind.acting)
        for slot in self.slots:
            name = slot.name
            if name in alive:
                slot.there = True
                try:
                    what = seen[name]
                except KeyError:
                    raise Refusal("there is no observation of agent %s, which is still there" % name) from None
                slot.put(what)
                if slot.mask is not None:
                    mask = mappo_envs.mask_of(what, infos.get(name), slot.inside)
                    if mask is None and name in acting and slot.masked:
                        raise Refusal('agent %s was given no action_mask, although it had one before: info["action_mask"] must be there after each step() and reset()' % name)
                    slot.masked |= mask is not None
                    slot.mask(mask)
                if slot.active is not None:
                    slot.active[slot.at] = name in acting
            elif slot.there:
                slot.there = False
                if slot.terminated[slot.at] or name not in seen:
                    slot.obs[:] = 0
                else:
                    slot.put(seen[name])
                if slot.mask is not None:
                    slot.mask(None)
                slot.active[slot.at] = 0
        if self.state is not None:
            self.put_state(self.state)

    def put_state(self, row):
        state = np.ravel(self.kind.state())
        if len(state) != len(row):
            raise Refusal("its state has %d numbers where it had %d when it was made; env.state=0 does without it" % (len(state), len(row)))
        if state.dtype == np.float32 or state.dtype.kind != "f":
            row[:] = state
        else:
            np.clip(state, -mappo_spaces.FLOAT_MAX, mappo_spaces.FLOAT_MAX, out=row, casting="unsafe")

    def draw(self):
        """A picture, or, as a text, why there is none: who wants to see it hears that, and steps go on."""
        try:
            return picture_of(self.kind.env)
        except Exception as error:
            if isinstance(error, Refusal):
                return str(error)
            inner = getattr(self.kind.env, "unwrapped", self.kind.env)
            if isinstance(error, NotImplementedError) or not hasattr(inner, "render"):
                return '%s has no render(): define one that returns a picture, an array of height, width and 3 colours (docs/python.md)' % type(inner).__name__
            return "render() fails: %s: %s" % (type(error).__name__, error)

    def restart(self):
        """Instead of an environment that failed: another one, in which a new episode begins where the old one is cut off."""
        self.fails += 1
        self.restarts += 1
        close(self.kind)
        for slot in self.slots:
            slot.final[:] = slot.obs
            slot.reward[slot.at] = slot.terminated[slot.at] = 0
        if self.final_state is not None:
            self.final_state[:] = self.state
        if self.info is not None:
            self.info[:] = np.nan
        self.ends[self.row] = TRUNCATED
        self.begin(self.instance.make(self.instance.seed_of(self.number, self.restarts)))
        self.reset()


def info_value(infos, name):
    """A number of info: its own, or the mean over those agents that have it; NaN where there is none. Of an agent's name it is not that agent's dict."""
    own = name in infos and not isinstance(infos[name], dict)
    values = [infos[name]] if own else [info[name] for info in infos.values() if isinstance(info, dict) and name in info]
    try:
        values = [float(value) for value in values if value is not None]
    except (TypeError, ValueError):
        raise Refusal("info %s is no number: %r" % (name, values[0])) from None
    return sum(values) / len(values) if values else np.nan


def picture_of(env):
    picture = env.render()
    picture = picture[-1] if isinstance(picture, list) and picture else picture
    if not isinstance(picture, np.ndarray) or picture.ndim != 3 or picture.shape[2] not in (3, 4):
        raise Refusal('render() gave %s instead of an array of height, width and 3 colours: it must be made with render_mode="rgb_array"'
                      % ("shape %s" % (picture.shape,) if isinstance(picture, np.ndarray) else type(picture).__name__))
    return np.ascontiguousarray(picture[:, :, :3], np.uint8)


def close(kind):
    try:
        kind.env.close()
    except Exception:  # it is given up whatever it says
        pass


# ---- instances -------------------------------------------------------------------------------------------------------------------------


class Instance:
    """What one `open` asks for: environments of one source, their groups, and, once the window is there, their rows."""

    def __init__(self, asked, pool):
        number = lambda name, default=0: int(asked.get(name, default))  # noqa: E731
        self.seed, self.stream, self.again, self.draw = number("seed"), number("stream"), number("again"), number("draw")
        self.first, self.offset, self.stride, self.count = number("first"), number("offset"), number("stride", 1), number("envs", 1)
        self.restarting = asked.get("on_error") == "restart"
        try:
            self.args = json.loads(asked.get("args") or "{}")
        except ValueError as error:
            raise Refusal("env.args is no JSON: %s; write it as '{\"size\": 5}'" % error) from None
        if not isinstance(self.args, dict):
            raise Refusal("env.args must be an object of JSON, '{\"size\": 5}'")
        if self.first or self.offset:
            warnings.simplefilter("ignore")  # the first worker of the first rank shows what packages warn of
        self.maker = mappo_envs.maker_of(asked["source"])
        # Global generators, which an environment should not use: then runs with as many workers are alike.
        words = np.random.SeedSequence([self.seed, self.stream, self.first, self.again]).generate_state(2)
        random.seed(int(words[0]))
        np.random.seed(int(words[1]))
        # One that is seeded as it is made, and never again, serves no other run or purpose than the one that it was made for.
        for one in pool:
            if not one.seeds and one.made_for != (self.seed, self.stream):
                close(one)
        pool[:] = [one for one in pool if one.seeds or one.made_for == (self.seed, self.stream)]
        self.kinds = [one for one in pool if one.drawable >= self.draw][:self.count]
        pool[:] = [one for one in pool if one not in self.kinds]
        while len(self.kinds) < self.count:
            self.kinds.append(self.make(self.seed_of(self.first + len(self.kinds) * self.stride)))
        self.rows, self.window = [], None
        self.describe(asked)

    def seed_of(self, number, restarts=0):
        """A function of seed, stream and number of an environment, and of how often it, or its worker, was made anew."""
        words = [self.seed, self.stream, number] + ([self.again, restarts] if self.again or restarts else [])
        return int(np.random.SeedSequence(words).generate_state(1)[0]) >> 1  # some environments take no more than 31 bits

    def make(self, seed):
        env = self.maker(dict(self.args), self.draw, seed)
        if env is None:
            raise Refusal("what should make the environment returned None")
        kind = mappo_envs.kind_of_env(env)
        kind.drawable, kind.made_for = self.draw, (self.seed, self.stream)
        return kind

    def describe(self, asked):
        kind = self.kinds[0]
        self.groups = groups_of(kind, asked.get("teams", ""))
        seen, infos = kind.reset(self.seed_of(self.first))
        named = [one.strip() for one in asked.get("infos", "").split(",") if one.strip()]
        self.named = [(re.sub("@end$", "", one), int(one.endswith("@end"))) for one in named]
        self.infos = self.named or list(kind.infos)
        said = []
        state = self.state_size(kind, said) if asked.get("state", "1") != "0" and kind.has_state else 0
        file = re.match(r".*?([^/]*\.py)(:|$)", asked["source"])
        env, package, version = identity(kind.env, file.group(1) if file else "")
        lines = [["env", env, version], ["rules", " ".join(filter(None, (package, version))) or "default"], ["max_steps", kind.max_steps()],
                 ["return_help", "sum of the rewards that the environment gives"], ["state", state]]
        for group in self.groups:
            masks = [mappo_envs.mask_of(seen[name], infos.get(name), group.observation.mask_inside) for name in group.agents if name in seen]
            group.masked = group.action.mask > 0 and any(mask is not None for mask in masks)
            absent = not isinstance(kind, mappo_envs.Alone)
            flags = HAS_MASK * group.masked + HAS_ACTIVE * absent + SHARED_REWARD * kind.team_reward
            lines.append(["group", group.name, len(group.agents), group.team, flags, 0])
            lines += [["agent", clean(str(name))] for name in group.agents] + group.observation.lines() + group.action.lines()
            lines += group.observation.layout()
            said += [text for text in group.observation.said + group.action.said if text not in said]
        lines += [["info", name, at_end, "of the environment's info"] for name, at_end in self.infos]
        if not kind.seeds:
            said.append("its reset() takes no seed: runs can't be repeated exactly")
        self.lines = lines + [["cannot", text] for text in said] + [["end"]]

    def state_size(self, kind, said):
        try:
            return int(np.size(kind.state()))
        except NotImplementedError:
            return 0
        except Exception as error:
            said.append("its state() fails (%s: %s) and is not used" % (type(error).__name__, error))
            return 0

    def enter(self, size, arrays):
        """The window: arrays is [(group, name, offset, dtype, dims)]."""
        memory = mmap.mmap(WINDOW, size)
        self.window = {str(g): {} for g in range(len(self.groups))}
        self.window["-"] = {}
        for group, name, offset, dtype, dims in arrays:
            self.window[group][name] = np.frombuffer(memory, dtype, int(np.prod(dims)), offset).reshape(dims)
        if "ep_end" not in self.window["-"]:
            raise Refusal("the window lacks the array ep_end")
        own = [(self.first + k * self.stride, self.offset + k * self.stride, kind) for k, kind in enumerate(self.kinds)]
        self.rows = [Row(self, number, row, kind) for number, row, kind in own]

    def leave(self):
        """The environments, for the next instance."""
        return [row.kind for row in self.rows] or self.kinds


def identity(env, source_file=""):
    """(name, package, version) of an environment; of one in the file that was named, instead of a package the file's name."""
    inner = getattr(env, "unwrapped", env)
    spec = getattr(env, "spec", None)
    metadata = getattr(inner, "metadata", None) or {}
    name = getattr(spec, "id", None) or metadata.get("name") or type(inner).__name__
    package = type(inner).__module__.split(".")[0]
    version = getattr(sys.modules.get(package), "__version__", "")
    file = getattr(sys.modules.get(type(inner).__module__), "__file__", None) or ""
    if file and os.path.basename(file) == source_file:  # a file of its own
        return str(name), source_file, str(version)
    if not version:
        try:
            version = importlib.import_module("importlib.metadata").version(package)
        except Exception:  # a file of its own has none
            version, package = "", ""
    return str(name), package, str(version)


# ---- words of the window ---------------------------------------------------------------------------------------------------------------

FUTEX = {"x86_64": 202, "aarch64": 98, "ppc64le": 221, "riscv64": 98}
FUTEX_WAIT, FUTEX_WAKE = 0, 1
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.argtypes = [ctypes.c_long, ctypes.c_void_p, ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_long]
libc.syscall.restype = ctypes.c_long


class Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long)]


class Word:
    """A number of 32 bits on which another process waits, or rings for this one."""

    SECOND = ctypes.byref(Timespec(1, 0))

    def __init__(self, array):
        self.array, self.address, self.view = array, array.ctypes.data, memoryview(array)
        self.futex = FUTEX.get(platform.machine())
        if self.futex is None:
            raise Refusal("on a processor %s Python can't wait for a word of memory" % platform.machine())

    def add(self):
        self.view[0] = (self.view[0] + 1) & 0xFFFFFFFF

    def ring(self):
        self.add()
        libc.syscall(self.futex, self.address, FUTEX_WAKE, 0x7FFFFFFF, None, None, 0)

    def wait(self, seen):
        """Until it is no longer `seen`, at most a second."""
        libc.syscall(self.futex, self.address, FUTEX_WAIT, seen, self.SECOND, None, 0)


# ---- the control socket ----------------------------------------------------------------------------------------------------------------


class Worker:
    def __init__(self, connection):
        self.socket, self.buffer, self.instance, self.pool = connection, b"", None, []
        self.poll = select.poll()
        self.poll.register(connection, select.POLLIN)

    def line(self):
        """The next line, as its fields."""
        while b"\n" not in self.buffer:
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError:  # with answers that it has not read
                more = b""
            if not more:
                leave()
            self.buffer += more
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.decode("utf-8").split("\t")

    def block(self):
        lines = []
        while not lines or lines[-1] != ["end"]:
            lines.append(self.line())
        return lines[:-1]

    def send(self, *lines):
        text = "".join("\t".join(re.sub(CONTROL, " ", str(field)) for field in line) + "\n" for line in lines)
        self.socket.sendall(text.encode("utf-8", "replace"))

    def handle(self, line):
        word, *rest = line
        if word == "close":
            for kind in self.pool + (self.instance.leave() if self.instance else []):
                close(kind)
            os._exit(0)
        if word == "leave":  # the window will be others': no row of it is looked at any more
            if self.instance:
                self.pool += self.instance.leave()
            self.instance = None
            return self.send(["left"])
        if word in ("draw", "draw_ended"):
            return self.draw(int(rest[0]), word == "draw_ended")
        later = False
        try:
            if word == "open":
                asked = {field: "\t".join(value) for field, *value in self.block()}
                later = asked.get("offset", "0") != "0"  # the first worker of the rank shows what is alike in all
                self.open(asked)
            elif word == "window":
                arrays = [(group, name, int(offset), dtype, [int(dim) for dim in dims]) for _, group, name, offset, dtype, *dims in self.block()]
                self.enter(int(rest[0]), arrays)
        except BaseException as error:
            self.send(["error", tell(error, quiet=later)])

    def open(self, asked):
        if self.instance:
            self.pool += self.instance.leave()
            self.instance = None
            gc.collect()  # views of a window that is left keep its memory
        self.instance = Instance(asked, self.pool)
        self.instance.warn = self.warn
        self.send(*self.instance.lines)

    def enter(self, size, arrays):
        self.instance.enter(size, arrays)
        words = self.instance.window["-"]
        self.rows = [(row.row, row) for row in self.instance.rows]
        self.want, self.done, self.failed = (memoryview(words[name]) for name in ("want", "done", "failed"))
        self.bell, self.answer, self.said = (Word(words[name]) for name in ("bell", "answer", "said"))
        self.send(["ready"])

    def warn(self, number, text):
        self.send(["warned", number, text])
        self.said.add()

    def draw(self, number, ended):
        found = [row for row in self.instance.rows if row.number == number] if self.instance else []
        picture = "no episode of it has ended yet"
        if not found or not ended:
            picture = found[0].draw() if found else "this worker has no environment %d" % number
        elif found[0].picture is not None:
            picture = found[0].picture
        if isinstance(picture, str):
            return self.send(["error", picture])
        self.send(["image", picture.shape[0], picture.shape[1], picture.nbytes])
        self.socket.sendall(picture.tobytes())

    def serve(self):
        while True:
            if self.instance is None or not self.instance.rows:
                self.handle(self.line())
                continue
            seen = self.bell.view[0]
            if not self.work() and not self.lines():
                self.bell.wait(seen)

    def lines(self):
        """Handles what has come over the socket; false where nothing has."""
        if b"\n" not in self.buffer and not self.poll.poll(0):
            return False
        self.handle(self.line())
        return True

    def work(self):
        """Does what is wanted, the oldest first; false where nothing is."""
        want, done = self.want, self.done
        pending = [(want[at], at, row) for at, row in self.rows if want[at] != done[at]]
        if not pending:
            return False
        pending.sort()  # no two are of one row, so rows are not compared
        told = time.perf_counter()
        for wanted, at, row in pending:
            try:
                if wanted & 3 == STEP:
                    row.step()
                else:
                    row.reset()
            except BaseException as error:
                self.failure(row, error)
            if BARRIER:
                BARRIER()
            done[at] = wanted
            now = time.perf_counter()
            if now - told > PATIENCE:
                told = now
                self.answer.ring()
        self.answer.ring()
        return True

    def failure(self, row, error):
        text = tell(error, "environment %d: " % row.number)
        if self.instance.restarting and row.fails < RETRIES:
            try:
                row.restart()
                self.send(["restarted", row.number, text])
                self.said.add()
                return
            except BaseException as another:
                text = tell(another, "environment %d, made anew: " % row.number)
        elif self.instance.restarting:
            text += " (%d times in a row)" % (row.fails + 1)
        self.send(["error", row.number, text])
        self.failed[row.row] = 1
        self.said.add()


def leave():
    """The rank is gone: so are this process and those that environments have started."""
    if os.getpgrp() == os.getpid():
        os.killpg(0, signal.SIGKILL)
    os._exit(0)


def barrier():
    """Results are seen by the rank before `done` is: processors other than x86 may turn stores around, system calls like this one don't."""
    libc.syscall(FUTEX[platform.machine()], barrier_word.ctypes.data, FUTEX_WAKE, 0, None, None, 0)


barrier_word = np.zeros(1, np.uint32)
BARRIER = None if platform.machine() == "x86_64" else barrier


def main():
    Worker(socket.socket(fileno=SOCKET)).serve()


if __name__ == "__main__":
    main()

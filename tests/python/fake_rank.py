"""The rank's side of the Python bridge, for tests: lays out a window as a rank does, asks for steps and resets, looks at what was written.

The worker is a thread of the test, which costs nothing to start, or with process=True a process as a rank starts it."""
import faulthandler
import mmap
import os
import platform
import socket
import subprocess
import sys
import threading
import time

import numpy as np

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "src", "env", "python")
sys.path.insert(0, FOLDER)
import mappo_worker  # noqa: E402

RESET, STEP = 1, 2
HAS_MASK, HAS_ACTIVE, SHARED_REWARD = 1, 2, 8
failures = 0
faulthandler.dump_traceback_later(100, exit=True)  # what hangs shows where


def check(name, holds, shown=""):
    global failures
    failures += not holds
    print("ok - %s" % name if holds else "not ok - %s: %s" % (name, shown), flush=True)


def skipping(module, name):
    """Whether a test cannot run here; says so."""
    try:
        __import__(module)
    except ImportError as missing:
        print("ok - %s # SKIP needs the Python package %s" % (name, missing.name))
        return True
    return False


class Group:
    def __init__(self, name, agents, team, flags):
        self.name, self.agents, self.team, self.flags, self.names, self.heads = name, int(agents), int(team), int(flags), [], []

    def of(self, what):
        return [head for head in self.heads if head["what"] == what]

    def width(self, what):
        width = 0
        for head in self.of(what):
            choices = head["n"] * head["size"] if len(head["n"]) == 1 and head["kind"] == "multi_discrete" else head["n"]
            width += int(sum(choices)) if "discrete" in head["kind"] else head["size"]
        return width

    def integers(self):
        return sum(head["size"] for head in self.of("act") if head["kind"] != "box")

    def reals(self):
        return sum(head["size"] for head in self.of("act") if head["kind"] == "box")

    def mask(self):
        return self.width("act") - self.reals()


class Description:
    def __init__(self, lines):
        self.groups, self.infos, self.cannot, self.one, self.lines = [], [], [], {}, lines
        for word, *rest in lines:
            if word == "group":
                self.groups.append(Group(*rest[:4]))
            elif word == "agent":
                self.groups[-1].names.append(rest[0])
            elif word in ("obs", "act"):
                self.groups[-1].heads.append({"what": word, "kind": rest[0], "size": int(rest[1]), "image": tuple(map(int, rest[2:5])), "n": [], "start": [0.0]})
            elif word in ("n", "start", "low", "high"):
                self.groups[-1].heads[-1][word] = [float(number) for number in rest]
            elif word == "meaning":
                self.groups[-1].heads[-1][word] = rest
            elif word == "info":
                self.infos.append(rest)
            elif word == "cannot":
                self.cannot.append(rest[0])
            else:
                self.one[word] = rest


class Refused(Exception):
    pass


class Rank:
    """One worker and a window of `rows` environments, all or part of which (offset, stride, envs) are the worker's."""

    def __init__(self, source, envs=2, process=False, **asked):
        self.ours, theirs = socket.socketpair()
        self.ours.settimeout(30)
        self.buffer, self.process, self.may_fail = b"", None, False
        self.memory = os.memfd_create("window")
        if process:
            self.process = subprocess.Popen([sys.executable, "-c", BOOT % FOLDER], stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, universal_newlines=True,
                                            preexec_fn=lambda: place(theirs.fileno(), self.memory), close_fds=False, start_new_session=True)
            theirs.close()
        else:
            mappo_worker.WINDOW = self.memory
            self.thread = threading.Thread(target=serve, args=(theirs,), daemon=True)
            self.thread.start()
        self.open(source, envs, **asked)

    def open(self, source, envs, **asked):
        self.envs = envs
        fields = dict({"source": source, "args": "{}", "seed": 1, "stream": 0, "first": 0, "offset": 0, "stride": 1, "envs": envs}, **asked)
        self.mine = range(fields["offset"], fields["offset"] + envs * fields["stride"], fields["stride"])
        self.send(["open"], *[[name, value] for name, value in fields.items()], ["end"])
        self.spec = Description(self.block())
        self.lay_out(self.mine[-1] + 1)

    def lay_out(self, rows):
        at, arrays = 0, []

        def add(group, name, dtype, *dims):
            nonlocal at
            if all(dims):
                arrays.append((group, name, at, dtype, dims))
                at += -(-int(np.prod(dims)) * np.dtype(dtype).itemsize // 64) * 64

        for g, group in enumerate(self.spec.groups):
            agents = (rows, group.agents)
            for name, dtype, width in (("obs", "float32", group.width("obs")), ("final_obs", "float32", group.width("obs")), ("act_int", "int32", group.integers()),
                                       ("act_real", "float32", group.reals()), ("act_mask", "uint8", group.mask() if group.flags & HAS_MASK else 0)):
                add(g, name, dtype, *agents, width)
            add(g, "reward", "float32", *agents)
            add(g, "terminated", "uint8", *agents)
            if group.flags & HAS_ACTIVE:
                add(g, "active", "uint8", *agents)
        size = int(self.spec.one["state"][0])
        for name, dtype, dims in (("state", "float32", (rows, size)), ("final_state", "float32", (rows, size)), ("ep_end", "uint8", (rows,)),
                                  ("info", "float32", (rows, len(self.spec.infos)))) + tuple((name, "uint32", (rows,)) for name in ("want", "done", "failed")) + tuple(
                                      (name, "uint32", (1,)) for name in ("bell", "answer", "said")):
            add("-", name, dtype, *dims)
        os.ftruncate(self.memory, at)
        self.window = mmap.mmap(self.memory, at)
        self.window[:] = bytes(at)
        self.array = {(str(g), name): np.frombuffer(self.window, dtype, int(np.prod(dims)), offset).reshape(dims) for g, name, offset, dtype, dims in arrays}
        for (_, name), array in self.array.items():  # what the worker leaves out is seen
            if array.dtype == np.float32:
                array.fill(np.nan)
        self.send(["window", at], *[["array", g, name, offset, dtype, *dims] for g, name, offset, dtype, dims in arrays], ["end"])
        answer = self.line()
        if answer != ["ready"]:
            raise Refused(answer[-1])

    def __getattr__(self, name):
        """rank.obs: of group 0, [E][A][D]; rank.ep_end: of the environment."""
        array = self.__dict__.get("array", {})
        for group in ("0", "-"):
            if (group, name) in array:
                return array[group, name]
        raise AttributeError(name)

    def send(self, *lines):
        self.ours.sendall("".join("\t".join(map(str, line)) + "\n" for line in lines).encode())
        if "array" in self.__dict__:
            self.ring()

    def line(self):
        while b"\n" not in self.buffer:
            more = self.ours.recv(65536)
            if not more:
                raise Refused("the worker is gone")
            self.buffer += more
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.decode().split("\t")

    def block(self):
        lines = []
        while not lines or lines[-1] != ["end"]:
            lines.append(self.line())
            if lines[-1][0] == "error":
                raise Refused(lines[-1][-1])
        return lines[:-1]

    def ring(self):
        word = self.array["-", "bell"]
        word[0] += 1
        mappo_worker.libc.syscall(mappo_worker.FUTEX[platform.machine()], word.ctypes.data, 1, 0x7FFFFFFF, None, None, 0)

    def ask(self, op, rows=None):
        rows = list(self.mine if rows is None else rows)
        self.want[rows] = (self.want[rows] // 4 + 1) * 4 + op
        self.ring()
        return rows

    def wait(self, rows, seconds=30):
        limit = time.time() + seconds
        while (self.done[rows] != self.want[rows]).any():
            if time.time() > limit:
                raise Refused("no answer in %d s" % seconds)
            time.sleep(0.0002)
        if self.failed.any() and not self.may_fail:
            raise Refused(self.line()[-1])

    def reset(self, rows=None):
        self.wait(self.ask(RESET, rows))

    def step(self, *actions, rows=None):
        """Actions: one array a group, of whatever broadcasts to [E][A][K]."""
        for g, action in enumerate(actions):
            for name in ("act_int", "act_real"):
                if (str(g), name) in self.array:
                    self.array[str(g), name][:] = action
        self.wait(self.ask(STEP, rows))

    def error(self):
        """The text of the environment that failed."""
        word, *rest = self.line()
        return word, rest

    def close(self):
        self.send(["close"])
        if self.process:
            self.process.wait(30)
        else:
            self.thread.join(30)


BOOT = "import sys; sys.path[0] = ''; sys.path.append(%r); import mappo_worker; mappo_worker.main()"


def place(connection, memory):
    """Descriptors of the process that begins: 1 is the errors' too, 3 the socket, 4 the window."""
    os.dup2(2, 1)
    high = os.dup(connection), os.dup(memory)
    os.dup2(high[0], 3)
    os.dup2(high[1], 4)


def serve(connection):
    def leave(code):
        raise SystemExit
    mappo_worker.os = Leaving(leave)
    try:
        mappo_worker.Worker(connection).serve()
    except SystemExit:
        connection.close()


class Leaving:
    """os, whose _exit ends the thread that calls it."""

    def __init__(self, leave):
        self._exit = leave

    def __getattr__(self, name):
        return getattr(os, name)

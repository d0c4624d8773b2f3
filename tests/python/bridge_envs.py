"""Environments for tests of the whole program: they need NumPy alone (spaces are known by the names of their classes) and do as they are told."""
import os
import signal
import subprocess
import time

import numpy as np


class Space:
    """As in Gymnasium, of which no more is needed."""


class Box(Space):
    def __init__(self, low, high, shape):
        self.low, self.high, self.shape, self.dtype = np.full(shape, low, np.float32), np.full(shape, high, np.float32), shape, np.dtype(np.float32)


class Discrete(Space):
    def __init__(self, n):
        self.n, self.start, self.shape, self.dtype = n, 0, (), np.dtype(np.int64)


def note(line):
    """A line of the file that $NOTES names, whole even where several processes write."""
    if os.environ.get("NOTES"):
        with open(os.environ["NOTES"], "a") as file:
            file.write(line + "\n")


class Walk:
    """A walk on a line towards a place that is drawn: 10 steps at most, the reward is minus the distance."""

    made = 0

    def __init__(self, raises=0, dies=0, often=False, slow=0.0, child=False, wide=3):
        Walk.made += 1
        self.number = Walk.made
        self.observation_space, self.action_space = Box(-100, 100, (wide,)), Discrete(3)
        self.raises, self.dies, self.often, self.slow, self.wide = raises, dies, often, slow, wide
        self.random, self.steps = None, 0
        note("made %d" % os.getpid())
        if child and self.number == 1:
            note("child %d" % subprocess.Popen(["sleep", "1000"]).pid)

    def look(self):
        return np.float32([self.place, self.goal, self.at] + [0] * (self.wide - 3))

    def reset(self, seed=None, options=None):
        if seed is not None or self.random is None:
            self.random = np.random.default_rng(seed)
        self.place, self.goal, self.at = 0, int(self.random.integers(-3, 4)), 0
        return self.look(), {}

    def step(self, action):
        self.steps += 1
        self.at += 1
        if self.slow:
            note("steps %d" % os.getpid())
            time.sleep(self.slow)
        once = self.often or not os.path.exists("done-once")
        chosen = once and (self.often or self.number == 1)
        if chosen and self.steps == self.raises:
            open("done-once", "w").close()
            raise ValueError("the line is broken")
        if chosen and self.steps == self.dies:
            open("done-once", "w").close()
            os.kill(os.getpid(), signal.SIGKILL)
        self.place += int(action) - 1
        distance = abs(self.place - self.goal)
        return self.look(), -float(distance), distance == 0 and self.at > 5, self.at == 10, {}

    def render(self):
        note("drawn %d" % os.getpid())
        return np.zeros((4, 4, 3), np.uint8)

    def close(self):
        note("closed %d" % os.getpid())


def walk(**args):
    return Walk(**args)


def nothing():
    return None


def chance():
    """Another one each time."""
    return Walk(wide=3 + os.getpid() % 1000)

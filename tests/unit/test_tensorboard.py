#!/usr/bin/env python3
"""metrics.tensorboard: the package itself reads what metrics.jsonl has, once each, also of a run that was killed and goes on."""

import math
import os
import signal
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../faults"))
from runs import MAPPO, check, finish, lines  # noqa: E402

try:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
except ImportError as missing:
    print(f"ok - tensorboard_reads_it # SKIP {missing} (pip install tensorboard)")
    sys.exit(0)

SETTINGS = "env=mpe/simple_tag threads=1 rollout.envs=4 rollout.steps=25 eval.interval=3 eval.episodes=2 metrics.tensorboard=1 --quiet".split()


def train(*settings, run="run"):
    return [MAPPO, f"run={run}", *SETTINGS, *settings]


def compare(name, run="run"):
    board = EventAccumulator(run)
    board.Reload()
    tags = {
        "return_mean": "rollout/ep_rew_mean",
        "return_mean/agent": "rollout/ep_rew_mean_agent",
        "episode_length": "rollout/ep_len_mean",
        "eval_return": "eval/mean_reward",
        "env_steps_per_second": "time/fps",
        "entropy": "train/entropy",
        "value_loss/agent": "train/value_loss/agent",
    }
    told = lines(run)
    wrong = []
    for key, tag in tags.items():
        wanted = [(line["env_steps"], line[key]) for line in told if line[key] is not None]
        got = [(point.step, point.value) for point in board.Scalars(tag)] if wanted else []
        same = len(wanted) == len(got) and all(a[0] == b[0] and math.isclose(a[1], b[1], rel_tol=1e-6) for a, b in zip(wanted, got))
        wrong += [] if same else [(tag, wanted, got)]
    check(name, not wrong, wrong)
    return board


with tempfile.TemporaryDirectory() as folder:
    os.chdir(folder)
    subprocess.run(train("train.env_steps=1000"), check=True, capture_output=True)
    text = compare("every_number_at_its_step").Tensors("config")[0].tensor_proto.string_val[0].decode()
    check("settings_are_there_as_text", "[ppo]" in text and "name = mpe/simple_tag" in text, text[:200])

    killed = subprocess.Popen(train("train.env_steps=1e9", "checkpoint.seconds=1", "checkpoint.interval=5"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    end = time.monotonic() + 20
    while time.monotonic() < end and sum(1 for _ in open("run/metrics.jsonl")) < 43:
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    steps = lines("run")[-1]["env_steps"]
    subprocess.run(train(f"train.env_steps={steps + 1000}"), check=True, capture_output=True)
    compare("after_a_kill_no_point_is_doubled")

    subprocess.run(train("train.env_steps=1000", "metrics.tensorboard=0", run="without"), check=True, capture_output=True)
    check("without_it_there_is_no_file", not [name for name in os.listdir("without") if name.startswith("events")])
    os.chdir("/")
finish()

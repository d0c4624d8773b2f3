#!/usr/bin/env python3
"""metrics.tensorboard: the package itself reads what metrics.jsonl has, once each, also of a run that was killed and goes on."""

import math
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import types

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../faults"))
from runs import MAPPO, check, finish, lines  # noqa: E402

SETTINGS = "env=mpe/simple_tag threads=1 rollout.envs=4 rollout.steps=25 eval.interval=3 eval.episodes=2 metrics.tensorboard=1 --quiet".split()


def train(*settings, run="run"):
    return [MAPPO, f"run={run}", *SETTINGS, *settings]


ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../..")


def recipe():
    """What docs/tensorboard.md says of Weights & Biases, with a stand-in for its module."""
    with open(os.path.join(ROOT, "docs/tensorboard.md"), encoding="utf-8") as page:
        code = re.search(r"```python\n(.*?)```", page.read(), re.S).group(1).replace("RUN", "run")
    told = {"log": []}
    wandb = types.SimpleNamespace(init=lambda **given: told.update(given), log=lambda values, step: told["log"].append((step, values)))
    sys.modules["wandb"] = wandb
    exec(compile(code, "docs/tensorboard.md", "exec"), {})
    wanted = [(line["env_steps"], {name: value for name, value in line.items() if value is not None}) for line in lines("run")]
    check("the_recipe_for_others_reads_all", told["log"] == wanted and told["config"]["env"]["name"] == "mpe/simple_tag", told)


def page_of_settings():
    """The page HParams, as TensorBoard's own reader finds it."""
    from tensorboard.plugins.hparams import plugin_data_pb2

    script = [sys.executable, os.path.join(ROOT, "scripts/tensorboard_hparams.py")]
    subprocess.run(train("train.env_steps=1000", "ppo.clip=0.1", run="other"), check=True, capture_output=True)
    for _ in range(2):
        done = subprocess.run([*script, "run", "other"], capture_output=True, text=True)
    check("settings_of_runs_are_compared", done.returncode == 0 and "2 runs" in done.stdout, done.stderr)
    found = {}
    for run in ("run", "other"):
        files = [name for name in os.listdir(run) if name.endswith(".hparams")]
        board = EventAccumulator(run, size_guidance={"tensors": 0})
        board.Reload()
        content = board.summary_metadata["_hparams_/session_start_info"].plugin_data.content
        start = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
        found[run] = (len(files), start.hparams["ppo.clip"].number_value, start.hparams["env.name"].string_value, len(board.Scalars("rollout/ep_len_mean")))
    rows = [len(lines(run)) for run in ("run", "other")]
    wanted = {"run": (1, 0.2, "mpe/simple_tag", rows[0]), "other": (1, 0.1, "mpe/simple_tag", rows[1])}
    check("one_file_each_has_what_differs", found == wanted, found)
    done = subprocess.run([*script, "without"], capture_output=True, text=True)
    check("a_run_without_events_is_named", done.returncode == 2 and "without metrics.tensorboard=1" in done.stderr, done.stderr)
    os.mkdir("young")
    shutil.copy("run/config.ini", "young")
    done = subprocess.run([*script, "young"], capture_output=True, text=True)
    check("so_is_one_that_has_not_made_an_update", done.returncode == 2 and "young has no events" in done.stderr and "Traceback" not in done.stderr, done.stderr)


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
    recipe()
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    except ImportError as missing:
        print(f"ok - tensorboard_reads_it # SKIP {missing} (pip install tensorboard)")
        finish()
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
    page_of_settings()
    os.chdir("/")
finish()

#!/usr/bin/env python3
"""What `mappo eval` tells of episodes beside their mean return: sums over agents, every agent's own, the environment's counts."""
import json
import math
import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../faults"))
from runs import check, finish, mappo  # noqa: E402

SMALL = ["rollout.envs=4", "rollout.steps=30", "policy.hidden=16", "ppo.epochs=1", "threads=1", "train.env_steps=240"]


def train(run, *args):
    code, out = mappo(f"run={run}", *SMALL, *args)
    check(f"{run}_is_trained", code == 0, out)


def play(run, *args):
    code, out = mappo("eval", run, "threads=1", "--json", *args)
    check(f"{run}_is_played_{'_'.join(args)}", code == 0, out)
    return json.loads(out) if code == 0 else {}


def near(a, b):
    return math.isclose(a, b, rel_tol=1e-5, abs_tol=1e-6)


def numbers():
    train("spread", "eval.env_steps=0")
    one = play("spread", "episodes=50")
    check("the_sum_is_the_mean_times_the_agents", near(one["return_over_agents_sum"], 3 * one["return_mean"]), one)
    check("so_is_its_error", near(one["return_over_agents_sum_stderr"], 3 * one["return_stderr"]), one)
    check("agents_returns_average_to_the_mean", near(sum(one["return_per_agent"]["agent"]) / 3, one["return_mean"]), one)
    check("counts_have_errors", one["info/collisions"] >= 0 and one["info/collisions_stderr"] > 0, one)
    summed = play("spread", "episodes=50", "metrics.return=sum")
    check("metrics_return_chooses_what_stands_first", near(summed["return_mean"], one["return_over_agents_sum"]) and
          near(summed["return_stderr"], one["return_over_agents_sum_stderr"]) and near(summed["return_over_agents_mean"], one["return_mean"]), summed)
    few = play("spread", "episodes=1")
    check("one_episode_has_no_errors", few["return_over_agents_sum_stderr"] is None and few["info/min_dists_stderr"] is None, few)
    code, out = mappo("eval", "spread", "threads=1", "episodes=50", "play=trained")
    check("people_read_them_beneath", code == 0 and "sum over agents" in out and "each agent" in out and "min_dists" in out, out)
    code, out = mappo("eval", "spread", "threads=1", "episodes=50", "play=trained", "metrics.return=sum")
    check("and_the_mean_where_the_sum_stands_above", "mean return, summed over agents," in out and "mean over agents" in out, out)


def several_groups():
    train("sink", "env=test/kitchen_sink", "eval.env_steps=0")
    one = play("sink", "episodes=40", "play=scripted")
    check("the_first_team_is_counted", near(sum(one["return_per_agent"]["runner"]) / 3, one["return_mean"]) and
          len(one["return_per_agent"]["watcher"]) == 2, one)
    check("groups_have_theirs", near(sum(one["return_per_agent"]["watcher"]) / 2, one["return_mean/watcher"]), one)
    check("counts_of_the_end_lie_between_their_bounds", 0 <= one["info/survivors"] <= 3, one)


def best_and_metrics():
    for kind, agents in ("mean", 1), ("sum", 3):
        train(f"run-{kind}", f"metrics.return={kind}", "eval.env_steps=120", "eval.episodes=8")
    lines = {kind: [json.loads(line) for line in open(f"run-{kind}/metrics.jsonl")] for kind in ("mean", "sum")}
    for key in "return_mean", "return_std", "eval_return", "eval_stderr":
        check(f"{key}_follows_metrics_return", all(near(3 * a[key], b[key]) for a, b in zip(lines["mean"], lines["sum"]) if a[key] is not None) and
              any(a[key] is not None for a in lines["mean"]), lines)
    code, out = mappo("inspect", "run-sum")
    best = max(line["eval_return"] for line in lines["sum"] if line["eval_return"] is not None)
    held = next((line.split()[1] for line in out.splitlines() if line.strip().startswith("best_return")), "")
    check("and_so_does_the_best_checkpoint", held and math.isclose(float(held), best, rel_tol=1e-3), out)
    code, out = mappo("run=run-sum", "metrics.return=mean", "train.env_steps=360")
    check("a_run_keeps_it", code == 2 and "metrics.return (now mean, before sum)" in out, out)


def main():
    folder = tempfile.mkdtemp(prefix="mappo-test-")
    os.chdir(folder)
    try:
        for promise in (numbers, several_groups, best_and_metrics):
            promise()
    finally:
        os.chdir("/")
        shutil.rmtree(folder)
    finish()


main()

#!/usr/bin/env python3
"""What `mappo eval` tells of episodes beside their mean return: sums over agents, every agent's own, the environment's counts."""
import json
import math
import os
import shutil
import subprocess
import sys

import h5py
import numpy

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../faults"))
from runs import check, keep, mappo  # noqa: E402

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


def the_same_again():
    """What has no chance in it is one game, however often it is played."""
    train("game", "env=matrix/penalty", "eval.env_steps=0")
    code, out = mappo("eval", "game", "threads=1", "episodes=30")
    rows = {line.split()[0]: following for line, following in zip(out.splitlines(), out.splitlines()[1:] + [""])}
    check("equal_episodes_have_a_word", code == 0 and "all 30 episodes had the same return and length" in rows["trained"] and "deterministic=0 draws" in rows["trained"], out)
    check("different_ones_have_none", "all 30" not in rows["random"], out)
    code, out = mappo("eval", "game", "threads=1", "episodes=30", "play=trained", "deterministic=0")
    check("nor_drawn_ones", code == 0 and "all 30" not in out, out)
    code, out = mappo("eval", "game", "threads=1", "episodes=1")
    check("nor_one", code == 0 and "all 1" not in out, out)


def several_groups():
    train("sink", "env=test/kitchen_sink", "eval.env_steps=0")
    one = play("sink", "episodes=40", "play=scripted")
    check("the_first_team_is_counted", near(sum(one["return_per_agent"]["runner"]) / 3, one["return_mean"]) and
          len(one["return_per_agent"]["watcher"]) == 2, one)
    check("groups_have_theirs", near(sum(one["return_per_agent"]["watcher"]) / 2, one["return_mean/watcher"]), one)
    check("with_their_errors", one["return_mean/watcher_stderr"] > 0 and near(one["return_mean/runner_stderr"], one["return_stderr"]), one)
    check("counts_of_the_end_lie_between_their_bounds", 0 <= one["info/survivors"] <= 3, one)


def rewards_under_wrappers():
    """Whoever learns from other rewards is still told, agent by agent, what the environment gave."""
    train("wrapped", "env=test/kitchen_sink", "eval.env_steps=0", "wrap.scale_reward=100", "wrap.clip_reward=0.5", "wrap.team_reward=sum")
    one = play("wrapped", "episodes=40", "play=scripted")
    for group, agents in ("runner", 3), ("watcher", 2):
        each = one["return_per_agent"][group]
        check(f"every_{group}_is_told_what_the_environment_gave", len(each) == agents and near(sum(each) / agents, one[f"return_mean/{group}"]), one)


def groups_at_random():
    # Bob is paid what tells him from Eve, and both choose one of four: nothing at all if they drew the same.
    train("crypto", "env=mpe/simple_crypto", "eval.env_steps=0")
    one = play("crypto", "episodes=50", "play=random")
    check("random_players_of_two_groups_choose_each_for_itself", one["return_mean/bob_stderr"] > 0.1, one)


def random_under_squash():
    """tanh of what they draw is what they draw without it: uniform between the bounds."""
    actions = {}
    for squash in "none", "tanh":
        train(f"pendulum-{squash}", "env=classic/Pendulum-v1", "eval.env_steps=0", "wrap.rescale_action=0", f"policy.squash={squash}")
        play(f"pendulum-{squash}", "episodes=5", "play=random", f"record=pendulum-{squash}.h5")
        with h5py.File(f"pendulum-{squash}.h5") as file:
            actions[squash] = numpy.array(file["agent/act_real"], dtype=float).ravel()
    told = {squash: (each.mean(), each.std()) for squash, each in actions.items()}
    # Uniform in [-2, 2], 1,000 numbers.
    check("random_play_is_uniform_between_bounds", abs(actions["none"].mean()) < 0.15 and abs(actions["none"].std() - 2 / 3 ** 0.5) < 0.06, told)
    check("and_so_it_is_under_tanh", numpy.allclose(2 * numpy.tanh(actions["tanh"]), actions["none"], atol=1e-5), told)


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


CHECKS = """
import json, sys
import h5py
import numpy as np
with h5py.File(sys.argv[1]) as f:
    start, length, end = (f["episodes/" + name][()] for name in ("start", "length", "end"))
    wrong = []
    def expect(what, right):
        if not right: wrong.append(what)
    expect("rows", (start == np.concatenate([[0], np.cumsum(length)[:-1]])).all() and set(end) <= {1, 2})
    steps = length.sum()
    for group in json.loads(f.attrs["action_heads"]):
        g = f[group]
        expect(group + " steps", all(len(g[name]) == (len(length) if name == "final_obs" else steps) for name in g))
        if "act_mask" in g and group == "runner":  # its first head is a choice of four, numbered from 2
            choice, allowed = g["act_int"][:, :, 0] - 2, g["act_mask"][:, :, :4]
            taken = np.take_along_axis(allowed, choice[:, :, None], 2)[:, :, 0]
            expect("forbidden actions", (taken[g["active"][()] == 1] == 1).all())
        if group == "agent":  # each one's own position after a step is the one before, moved by the velocity it had
            obs, last = g["obs"][()], g["final_obs"][()]
            for k, s in enumerate(start):
                seen = np.concatenate([obs[s:s + length[k]], last[k][None]])
                expect("time", np.abs(seen[1:, :, 2:4] - seen[:-1, :, 2:4] - 0.1 * seen[:-1, :, 0:2]).max() < 1e-5)
    expect("info", f["info"].shape == (steps, len(json.loads(f.attrs["info_columns"]))))
    print(*wrong)
"""


def recordings():
    python = os.environ.get("PYTHON", "python3")
    if subprocess.run([python, "-c", "import h5py, numpy"], stderr=subprocess.DEVNULL).returncode:
        print("ok - recordings # SKIP no h5py")
        return
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../docs/recordings.md")) as page:
        example = page.read().split("```python\n")[1].split("```")[0]
    for run, args in (("spread", ("episodes=30",)), ("sink", ("episodes=30", "deterministic=0")), ("sink", ("episodes=20", "play=random")),
                      ("wrapped", ("episodes=20", "play=random"))):
        told = play(run, "record=episodes.h5", *args)
        check(f"where_it_was_written_is_told_{run}_{args[-1]}", told.get("record") == "episodes.h5", told)
        name = f"{run}_{'_'.join(args[1:]) or 'trained'}"
        beside = next(iter(told["return_per_agent"].values()))
        check(f"what_stands_first_is_the_mean_of_these_{name}", near(told["return_mean"], sum(beside) / len(beside)), told)
        done = subprocess.run([python, "-c", example, "episodes.h5"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        lines = dict((line.split()[0], line.split()) for line in done.stdout.splitlines() if line.strip())
        right = done.returncode == 0 and set(lines) == set(told["return_per_agent"])
        for group, each in told["return_per_agent"].items() if right else ():
            words = lines[group]
            right = right and near(float(words[4]), sum(each) / len(each)) and all(near(float(a), b) for a, b in zip(words[-len(each):], each))
        check(f"the_pages_program_finds_the_returns_that_were_printed_{name}", right, f"{done.stdout} {told}")
        done = subprocess.run([python, "-c", CHECKS, "episodes.h5"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        check(f"rows_are_the_steps_of_whole_episodes_{name}", done.returncode == 0 and not done.stdout.strip(), done.stdout)
        code, out = mappo("inspect", "episodes.h5", "--check")
        check(f"the_file_is_whole_{name}", code == 0, out)
        code, out = mappo("inspect", "episodes.h5")
        check(f"and_is_shown_{name}", code == 0 and "info_columns" in out and "reward " in out and "settings that differ" not in out, out)
    code, out = mappo("eval", "spread", "record=table.h5", "episodes=3")
    check("of_a_table_only_the_trained_player_is_recorded_and_that_is_said", code == 0 and "\ntable.h5: 3 episodes, trained, " in out and out.endswith(" MB what networks made\n"), out)
    code, out = mappo("eval", "spread", "play=random", "record=table.h5", "episodes=1", "deterministic=0")
    check("whoever_is_chosen_is", code == 0 and "\ntable.h5: 1 episode, random, " in out and "networks made" not in out, out)
    check("what_changes_nothing_for_him_is_said", "eval.deterministic has no effect here: who plays has no networks (eval.play)" in out, out)
    code, out = mappo("eval", "spread", "record=episodes.txt")
    check("another_ending_is_refused", code == 2 and "ends in .h5" in out, out)
    shutil.copy("spread/latest.h5", "mine.h5")
    code, out = mappo("eval", "spread", "episodes=2", "play=noop", "record=mine.h5")
    check("what_is_no_recording_is_kept", code == 0 and os.path.exists("mine.h5.1") and "mine.h5.1" in out, out)
    code, out = mappo("eval", "spread", "episodes=2", "play=noop", "record=mine.h5")
    check("a_recording_is_replaced", code == 0 and not os.path.exists("mine.h5.2"), out)
    code, out = mappo("eval", "mine.h5", "episodes=2")
    check("a_recording_is_no_policy", code == 4 and "is a recording of episodes" in out, f"{code}: {out}")
    code, out = mappo("run=from-one", "train.init=mine.h5")
    check("nor_one_to_begin_with", code == 4 and "is a recording of episodes" in out, f"{code}: {out}")


def pictures():
    for env, name in ("smax/3m", "smax/3m"), ("smax/battle", "smax/battle"):
        train(env.replace("/", "-"), f"env={env}", "eval.env_steps=0")
        play(env.replace("/", "-"), "episodes=1", "play=scripted", "picture=episode.svg")
        with open("episode.svg") as picture:
            title = next((line for line in picture if " rules<" in line), "")
        check(f"a_picture_of_{name}_has_its_name", f">{name}, " in title, title)


keep(numbers, the_same_again, several_groups, groups_at_random, random_under_squash, rewards_under_wrappers, best_and_metrics, recordings, pictures)

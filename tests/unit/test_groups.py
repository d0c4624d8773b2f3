#!/usr/bin/env python3
"""Groups that a run does not teach: another run's actor goes into the checkpoints and plays on without its file; who plays can be changed for an
evaluation; what does not fit is refused before anything is written."""
import json
import os
import shutil
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../faults"))
from runs import check, finish, lines, mappo  # noqa: E402

SMALL = ["rollout.envs=4", "rollout.steps=25", "ppo.epochs=1", "threads=1", "eval.env_steps=0"]
TAG = ["env=mpe/simple_tag", "policy.hidden=16"]
UPDATE = 100


def train(run, updates, *args):
    return mappo(f"run={run}", *SMALL, *TAG, f"train.env_steps={updates * UPDATE}", *args)


def trained(run, updates, *args):
    code, out = train(run, updates, *args)
    check(f"{run}_is_trained_with_{'_'.join(args)}", code == 0, out)
    return out


def refused(name, text, *args, env="mpe/simple_tag", width=16, code=2):
    before = sorted(os.listdir("."))
    got, out = mappo("run=refused", *SMALL, f"env={env}", f"policy.hidden={width}", *args)
    check(name, got == code and text in out and out.count("mappo: ") == 1 and sorted(os.listdir(".")) == before, out)


def played(run, *args):
    code, out = mappo("eval", run, "threads=1", "episodes=40", "play=trained", "--json", *args)
    check(f"{run}_is_played_with_{'_'.join(args)}", code == 0, out)
    return json.loads(out[out.index("{"):])


def same(name, one, other):
    code, out = mappo("inspect", f"{one}/latest.h5", f"{other}/latest.h5")
    check(name, code == 0, out)


def another_run_plays():
    trained("prey", 2, "norm.obs=running")
    out = trained("whole", 5, "group.agent.play=prey", "norm.obs=running")
    check("the_first_lines_say_who_plays", "group agent is played by prey and learns nothing" in out, out)
    trained("parts", 2, "group.agent.play=prey", "norm.obs=running")
    os.rename("prey", "gone")
    trained("parts", 5)
    same("a_run_goes_on_without_the_file", "whole", "parts")
    code, out = mappo("inspect", "whole")
    names = [line.split()[0] for line in out.splitlines() if line.startswith("  agent/") and "optimizer" not in line]
    check("a_checkpoint_has_its_actor_alone", any("actor" in name for name in names) and not any("critic" in name for name in names), out)
    code, out = mappo("inspect", "whole/latest.h5", "gone/latest.h5")
    differing = [line for line in out.splitlines() if "/policy/agent/actor" in line or "/policy/agent/obs_norm" in line]
    check("which_stays_as_it_was", code == 7 and not differing, "\n".join(differing))
    one = lines("whole")[-1]
    check("metrics_are_of_the_group_that_learns", "entropy" in one and "entropy/agent" not in one and "return_mean/agent" in one, one)
    played("whole")
    check("another_player_can_be_asked_for", played("whole", "group.agent.play=noop")["return_mean/agent"] !=
          played("whole", "group.agent.play=gone")["return_mean/agent"])
    own, named = played("whole"), played("whole", "group.agent.play=gone")
    check("and_is_named", own.pop("players") == {"adversary": "trained", "agent": "prey"} and named.pop("players") == {"adversary": "trained", "agent": "gone"})
    check("the_run_says_who_played", named == own)


def the_return_is_of_who_learns():
    trained("evader", 1, "group.adversary.play=scripted")
    one, other = lines("evader")[-1], played("evader")
    check("return_mean_is_of_the_team_that_learns", one["return_mean"] == one["return_mean/agent"] != one["return_mean/adversary"], one)
    check("so_is_that_of_an_evaluation", other["return_mean"] == other["return_mean/agent"], other)
    code, out = mappo("eval", "evader", "threads=1", "episodes=2", "play=random", "group.adversary.play=noop")
    check("whose_it_is_stands_above_it", code == 0 and "mean return of agent over 2 episodes" in out, out)
    check("who_plays_all_groups_is_no_other_way_to_play", "eval.play says who plays all groups" in out and "trained with" not in out, out)
    code, out = train("evader", 2, "group.adversary.play=random")
    check("another_player_is_another_run", code == 2 and "group.adversary.play (now random, before scripted)" in out, out)


def what_does_not_fit():
    told = 'its group "agent" makes [["categorical",5]] of 14 numbers%s; to act for "agent" here it would have to make [["categorical",5]] of %s'
    refused("an_actor_of_another_width_is_refused", told % (", policy.hidden=16", "14, policy.hidden=32"), "group.agent.play=gone", "norm.obs=running",
            width=32)
    refused("an_actor_that_sees_something_else_is_refused", told % ("", "10"), "group.agent.play=gone", "norm.obs=running", env="mpe/simple_adversary")
    refused("no_run_is_refused", "nowhere: no such run or checkpoint, and not trained, random, noop, scripted or self", "group.agent.play=nowhere", code=4)
    refused("a_group_that_is_not_there_is_refused", "its groups are: adversary, agent", "group.prey.play=random")
    refused("a_file_without_that_group_is_refused", 'has no group "speaker", and not one alone', "group.speaker.play=gone", env="mpe/simple_speaker_listener")
    refused("a_run_in_which_nobody_learns_is_refused", "no group learns", "group.agent.play=random", "group.adversary.play=noop")


def main():
    work = tempfile.mkdtemp()
    os.chdir(work)
    try:
        another_run_plays()
        the_return_is_of_who_learns()
        what_does_not_fit()
    finally:
        os.chdir("/")
        shutil.rmtree(work)
    finish()


main()

#!/usr/bin/env python3
"""Runs with groups that play themselves: what a checkpoint has of it, that they go on with the same bits, who plays in evaluations, what is refused; and
that the average of a pool comes near to the equilibrium of a game in which present policies chase one another in circles."""
import os
import shutil
import sys
import tempfile

import h5py
import numpy

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../faults"))
from runs import check, finish, lines, mappo  # noqa: E402

HANDS = os.path.join(os.path.abspath(os.environ.get("BUILD", "build")), "tests/plugin_of_hands.so")
SMALL = ["rollout.envs=4", "rollout.steps=25", "ppo.epochs=1", "threads=1", "eval.env_steps=0", "env=mpe/simple_tag", "policy.hidden=16"]
SELF = ["group.adversary.play=self", "group.adversary.pool_interval=1", "group.adversary.pool_share=0.5", "group.agent.play=self", "group.agent.pool=3",
        "group.agent.pool_interval=2", "group.agent.pool_share=0.25", "group.agent.algo=ippo"]
UPDATE = 100


def train(run, updates, *args):
    code, out = mappo(f"run={run}", *SMALL, f"train.env_steps={updates * UPDATE}", *args)
    check(f"{run}_is_trained_to_update_{updates}", code == 0, out)
    return out


def refused(name, text, *args):
    code, out = mappo("run=refused", *SMALL, *args)
    check(name, code == 2 and text in out and out.count("mappo: ") == 1 and not os.path.exists("refused"), out)


def it_goes_on():
    for name, more in ("mlp", ["norm.obs=running"]), ("gru", ["policy=gru", "ppo.chunk=5"]):
        out = train(f"{name}-whole", 8, *SELF, *more)
        check(f"the_first_lines_say_who_plays_{name}", "group adversary plays itself: in 50 % of environments one of up to 8 past selves acts (one more after every 1 "
              "updates); group agent learns by ippo; group agent plays itself: in 25 %" in out, out)
        train(f"{name}-parts", 5, *SELF, *more)
        train(f"{name}-parts", 8)
        code, out = mappo("inspect", f"{name}-whole/latest.h5", f"{name}-parts/latest.h5")
        check(f"a_continued_run_has_the_same_bits_{name}", code == 0, out)
    with h5py.File("mlp-whole/latest.h5") as file:
        pool = file["pool"]
        check("a_checkpoint_has_the_pools", list(pool["adversary/update"]) == list(range(1, 9)) and int(pool["adversary/taken"][()]) == 8 and
              int(pool["agent/taken"][()]) == 4 and len(pool["agent/update"]) == 3 and set(pool["agent/update"]) < {2, 4, 6, 8}, list(pool["agent/update"]))
        check("the_newest_past_self_is_what_the_group_has_become", all(numpy.array_equal(pool[f"adversary/7/actor/{name}"], file[f"policy/adversary/actor/{name}"])
              for name in ("fc1/weight", "head/bias")) and numpy.array_equal(pool["adversary/7/obs_norm/mean"], file["policy/adversary/obs_norm/mean"]))
        check("an_older_one_is_another", not numpy.array_equal(pool["adversary/3/actor/fc1/weight"], pool["adversary/7/actor/fc1/weight"]))
        members = numpy.array(file["rollout/adversary/member"])
        check("it_says_who_has_acted", members.shape == (4,) and members.min() >= -1 and members.max() < 8, members)
    code, out = mappo("run=mlp-parts", *SMALL, "train.env_steps=900", "group.agent.pool=4")
    check("another_pool_is_another_run", code == 2 and "group.agent.pool (now 4, before 3)" in out, out)


def who_plays_in_evaluations():
    def played(*args):
        code, out = mappo("eval", "mlp-whole", "threads=1", "episodes=20", "play=trained", *args)
        check(f"it_is_played_{'_'.join(args) or 'as_it_is'}", code == 0, out)
        return out

    def rows(text):
        return [line.split() for line in text.splitlines() if "steps;" in line]

    own = rows(played())
    check("evaluations_play_what_groups_have_become", own[0][0] == "trained" and own == rows(played("group.agent.play=trained", "group.adversary.play=trained")), own)
    check("and_say_so_where_self_is_asked_for", "group.agent.play has no effect here: evaluations play what groups have become" in played("group.agent.play=self"))
    exchanged = played("group.agent.play=random")
    check("an_exchanged_player_is_named", "  adversary trained, agent random " in exchanged, exchanged)
    mixed = played("group.agent.play=random", "--json")
    check("in_json_as_well", '"play":"trained"' in mixed and '"players":{"adversary":"trained","agent":"random"}' in mixed, mixed)
    shutil.copytree("mlp-whole", "copy")
    named = played("group.agent.play=copy")
    check("a_run_that_plays_is_named", "  adversary trained, agent copy " in named and rows(named)[0][4:] == own[0][1:], named)
    again = mappo("eval", "mlp-whole", "threads=1", "episodes=20", "play=random", "--json")[1]
    check("so_are_players_of_all", '"players":{"adversary":"random","agent":"random"}' in again, again)


def what_makes_no_sense():
    refused("an_empty_pool_is_refused", "group.agent.pool=0 on the command line is out of range 1 .. 256", "group.agent.play=self", "group.agent.pool=0")
    refused("no_interval_is_refused", "group.agent.pool_interval=0 on the command line is out of range", "group.agent.play=self", "group.agent.pool_interval=0")
    refused("a_group_that_is_not_there_is_refused", "its groups are: adversary, agent", "group.prey.play=self")
    refused("shares_above_all_are_refused", "past selves act for one group at most", *SELF[:-2], "group.agent.pool_share=0.6")
    refused("nobody_to_play_against_is_refused", "no other group learns here", "group.agent.play=self", "group.adversary.play=random")
    refused("learners_with_a_replay_are_refused", "algo=maddpg doesn't tell", "group.agent.play=self", "algo=maddpg")
    out = train("idle", 1, "group.agent.pool=3", "group.adversary.play=random", "group.adversary.algo=ippo")
    check("a_pool_without_self_play_is_told", "group.agent.pool has no effect here: the group has no pool of past selves (group.agent.play=trained)" in out, out)
    check("so_is_the_algorithm_of_who_learns_nothing", "group.adversary.algo has no effect here: the group learns nothing (group.adversary.play=random)" in out, out)


def where_it_is_away_everywhere():
    """With one environment: nothing of the group moves by momentum, and its numbers are missing."""
    train("away", 10, *SELF, "rollout.envs=1", "rollout.steps=100", "group.agent.pool_share=0.2", "group.adversary.pool_share=0.7", "ppo.objective=kl", "checkpoint.interval=1",
          "checkpoint.keep=100")
    told = lines("away")
    states = []
    for line in [None] + told:
        with h5py.File(f"away/step-{line['env_steps'] if line else 0:012d}.h5") as file:
            states.append((numpy.array(file["policy/adversary/actor/fc1/weight"]), float(file["optimizer/adversary/kl_beta"][()])))
    away = [k for k, line in enumerate(told) if line["entropy"] is None]
    home = [k for k in range(10) if k not in away]
    check("there_are_rollouts_of_both_kinds", len(away) > 1 and len(home) > 1, away)
    still = [numpy.array_equal(states[k][0], states[k + 1][0]) and states[k][1] == states[k + 1][1] for k in range(10)]
    check("a_group_that_is_away_stands_still", all(still[k] for k in away) and not any(still[k] for k in home), still)
    check("and_has_no_numbers", all(told[k][name] is None for k in away for name in ("policy_loss", "ratio", "value_loss")) and
          all(told[k]["ratio"] is not None for k in home), [told[k] for k in away])


def exploitability(chances):
    """What the best answer to them wins on average: 0 in equilibrium."""
    return max(numpy.array([[0, -1, 3], [1, 0, -1], [-3, 1, 0]]) @ chances)


def chances_of(actor):
    def tensor(name):
        return numpy.array(actor[name], dtype=float)
    hidden = numpy.tanh(tensor("fc1/weight") @ [1.0] + tensor("fc1/bias"))
    chance = numpy.exp(tensor("head/weight") @ hidden + tensor("head/bias"))
    return chance / chance.sum()


def hands(run, seed, *args):
    code, out = mappo(f"run={run}", f"env={HANDS}", f"seed={seed}", "rollout.envs=256", "rollout.steps=1", "train.env_steps=512000", "threads=1", "eval.env_steps=0",
                      "policy.layers=1", "policy.hidden=16", "policy.layer_norm=0", "policy.feature_norm=off", "ppo.epochs=4", "ppo.entropy=0.2", "adam.lr=0.05",
                      "adam.critic_lr=0.05", *args)
    check(f"{run}_is_trained", code == 0, out)
    return h5py.File(f"{run}/latest.h5")


def a_pool_finds_the_equilibrium():
    """Present policies that learn against present policies end at a pure throw here (exploitability 1 to 3); uniform play has 0.67; these pools 0.03 to 0.13."""
    sides = "left", "right"
    share = [f"group.{side}.{key}" for side in sides for key in ("play=self", "pool=64", "pool_interval=1", "pool_share=0.5")]
    for seed in 1, 2, 3:
        file = hands(f"present-{seed}", seed)
        present = [exploitability(chances_of(file[f"policy/{side}/actor"])) for side in sides]
        file = hands(f"past-{seed}", seed, *share)
        past = [exploitability(numpy.mean([chances_of(file[f"pool/{side}/{k}/actor"]) for k in range(64)], axis=0)) for side in sides]
        check(f"the_average_past_self_is_near_the_equilibrium_seed_{seed}", max(past) < 0.35 < 0.6 < min(present), f"{past}, present policies {present}")


def main():
    work = tempfile.mkdtemp()
    os.chdir(work)
    try:
        it_goes_on()
        who_plays_in_evaluations()
        what_makes_no_sense()
        where_it_is_away_everywhere()
        a_pool_finds_the_equilibrium()
    finally:
        os.chdir("/")
        shutil.rmtree(work)
    finish()


main()

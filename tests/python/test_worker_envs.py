#!/usr/bin/env python3
"""Environments of Gymnasium, PettingZoo and mpe2, and of one's own, in the worker of the Python bridge: each step must write what the same
environment, stepped here, returns; ends, agents that leave, turns, states and rewards as docs/python.md says."""
import importlib
import os
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import fake_rank
from fake_rank import HAS_ACTIVE, HAS_MASK, SHARED_REWARD, Rank, Refused, check, skipping

OWN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "own_envs.py") + ":"
RUNNING, TERMINATED, TRUNCATED = 0, 1, 2


def equal(name, found, expected):
    found, expected = np.asarray(found, np.float64), np.asarray(expected, np.float64)
    check(name, np.array_equal(found, expected, equal_nan=True), "%s, not %s" % (found.tolist(), expected.tolist()))


def refusal(source, **asked):
    try:
        Rank(source, envs=1, **asked).close()
    except Refused as error:
        return str(error)
    return "(not refused)"


def alone():
    rank = Rank(OWN + "counter", envs=2, seed=7, first=4)
    env = sys.modules["own_envs"].made[-2]
    rank.reset()
    rank.reset()
    # the first of a worker's is also what is described
    check("the_first_reset_has_a_seed_and_later_ones_none", env.seeds[0] == env.seeds[1] > 0 and env.seeds[2:] == [None], env.seeds)
    env = sys.modules["own_envs"].made[-1]
    for action in (1, 2):
        rank.step(action)
    check("an_action_is_what_sample_gives", type(env.taken[-1]) is type(env.action_space.sample()) and env.taken == [1, 2], env.taken)
    equal("a_step_writes_the_reward", rank.reward, [[2], [2]])
    equal("and_the_episode_goes_on", rank.ep_end, [RUNNING, RUNNING])
    rank.step(0, rows=[1])
    equal("an_end_is_terminated", rank.ep_end, [RUNNING, TERMINATED])
    equal("whose_last_observation_is_kept", rank.final_obs[1, 0], [3, env.resets - 1])
    equal("and_the_next_episode_begins_in_the_same_step", rank.obs[1, 0], [0, env.resets])
    equal("agents_of_an_episode_that_ended_are_not_said_to_end_alone", rank.terminated, [[0], [0]])
    rank.close()
    seeds = [set(), set()]
    for order in (range(4), reversed(range(4))):
        for first in order:
            rank = Rank(OWN + "counter", envs=2, seed=7, first=first)
            rank.reset()
            seeds[0].update((first + k, env.seeds[-1]) for k, env in enumerate(sys.modules["own_envs"].made[-2:]))
            rank.close()
    check("seeds_hang_on_the_global_number_alone", len(seeds[0]) == 5 == len({seed for _, seed in seeds[0]}), sorted(seeds[0]))
    for source, end in (("truncated", TRUNCATED), ("limited", TRUNCATED)):
        rank = Rank(OWN + source, envs=1)
        rank.reset()
        ends = []
        for _ in range(4):
            rank.step(0)
            ends.append(int(rank.ep_end[0]))
        check("%s_is_truncated" % source, ends == ([0, 0, end, 0] if source == "truncated" else [0, 0, 0, end]), ends)
        check("%s_says_its_limit" % source, rank.spec.one["max_steps"] == ["0" if source == "truncated" else "4"], rank.spec.one)
        rank.close()
    rank = Rank(OWN + "both", envs=1)
    rank.reset()
    for _ in range(3):
        rank.step(0)
    equal("who_is_both_is_terminated", rank.ep_end, [TERMINATED])
    rank.close()
    rank = Rank(OWN + "counter", envs=1, args='{"length": 2, "cut": true}')
    rank.reset()
    rank.step(0)
    rank.step(0)
    equal("env_args_reach_the_function", rank.ep_end, [TRUNCATED])
    rank.close()
    rank = Rank(OWN + "infos", envs=1, infos="speed, won@end")
    check("numbers_of_info_are_columns_where_they_are_asked_for", [info[:2] for info in rank.spec.infos] == [["speed", "0"], ["won", "1"]], rank.spec.infos)
    rank.reset()
    columns = []
    for _ in range(3):
        rank.step(0)
        columns.append(rank.info[0].tolist())
    equal("whose_absence_is_nan", columns, [[2, np.nan], [4, np.nan], [6, 1]])
    rank.close()
    rank = Rank(OWN + "infos", envs=1, infos="agent")
    rank.reset()
    rank.step(0)
    equal("an_agents_name_is_no_number", rank.info[0].tolist(), [np.nan])
    rank.close()


def gymnasium_itself():
    import gymnasium
    rank = Rank("gymnasium:CartPole-v1", envs=3, seed=3, stream=1, first=10, offset=1, stride=2)
    bare = [gymnasium.make("CartPole-v1") for _ in rank.mine]
    seeds = [int(np.random.SeedSequence([3, 1, 10 + 2 * k]).generate_state(1)[0]) >> 1 for k in range(3)]
    rank.reset()
    seen = [env.reset(seed=seed)[0] for env, seed in zip(bare, seeds)]
    good, ended, random = True, 0, np.random.default_rng(0)
    for t in range(200):
        actions = random.integers(0, 2, 3)
        rank.act_int[rank.mine, 0, 0] = actions
        rank.step()
        for k, row in enumerate(rank.mine):
            seen[k], reward, terminated, truncated, _ = bare[k].step(actions[k])
            end = TERMINATED if terminated else TRUNCATED if truncated else RUNNING
            good &= rank.reward[row, 0] == reward and rank.ep_end[row] == end
            if end:
                good &= np.array_equal(rank.final_obs[row, 0], seen[k])
                seen[k], ended = bare[k].reset()[0], ended + 1
            good &= np.array_equal(rank.obs[row, 0], seen[k])
    check("cartpole_is_gymnasiums_bit_for_bit", good and ended > 10, (good, ended))
    equal("rows_of_others_are_left_alone", rank.obs[[0, 2, 4], 0], np.full((3, 4), np.nan))
    check("its_limit_and_version_are_told", rank.spec.one["max_steps"] == ["500"] and rank.spec.one["rules"] == ["gymnasium " + gymnasium.__version__], rank.spec.one)
    rank.close()
    for source, text in (("gymnasium:CartPol-v1", 'has no environment "CartPol-v1"; did you mean "CartPole-v1"?'), ("CartPol-v1", 'did you mean "CartPole-v1"?'),
                         ("no_such_thing:make", 'there is no Python module "no_such_thing"'), ("./no_file.py:make", "there is no file "),
                         (OWN + "countr", 'has no function or class "countr"; did you mean "counter"?'), (OWN + "nothing", "returned None"), (OWN + "number", 'no function or class "number"'),
                         (OWN + "needs", "missing a required argument: 'size'"), (OWN + "vector", "is a vector of environments: return one environment"), (OWN[:-4] + ":Battle", 'did you mean "py:%sBattle"?' % OWN), ("gymnasum:CartPole-v1", 'did you mean "gymnasium"?'), ("gym:CartPole-v1", "old Gym are not read: py:gymnasium:CartPole-v1"),
                         ("gymnasium/CartPole-v1", "did you mean py:gymnasium:CartPole-v1?"), (os.path.join(os.path.dirname(OWN), "two_envs.py"), "it has One and Two: name what makes the environment, py:"),
                         (OWN + "old_gym", "reset() must return (observation, info)")):
        check("%s_is_refused" % source.rpartition("/")[2], text in refusal(source), refusal(source))
    check("a_package_of_almost_that_name_is_not_installed", "pip install" not in refusal("gymnasum:CartPole-v1"), refusal("gymnasum:CartPole-v1"))
    check("an_argument_that_is_none_is_refused", 'has no argument "sze"; did you mean "size"? (env.args)' in refusal(OWN + "needs", args='{"sze": 3}'), refusal(OWN + "needs", args='{"sze": 3}'))
    check("args_that_are_no_json_are_refused", "env.args is no JSON" in refusal(OWN + "needs", args="size=3"), refusal(OWN + "needs", args="size=3"))


def parallel_like(module, source, steps=60):
    """Whatever the parallel environment returns, with the same seeds, actions and number of steps."""
    rank = Rank(source, envs=2, seed=5)
    bare = [importlib.import_module(module).parallel_env() for _ in range(2)]
    seeds = [int(np.random.SeedSequence([5, 0, k]).generate_state(1)[0]) >> 1 for k in range(2)]
    seen = [env.reset(seed=seed)[0] for env, seed in zip(bare, seeds)]
    rank.reset()
    good, ended, random = True, 0, np.random.default_rng(0)
    place = {name: (str(g), a) for g, group in enumerate(rank.spec.groups) for a, name in enumerate(group.names)}
    for t in range(steps):
        for (g, a) in place.values():
            rank.array[g, "act_int"][:, a] = random.integers(0, int(rank.spec.groups[int(g)].of("act")[0]["n"][0]), (2, 1))
        actions = [{name: int(rank.array[g, "act_int"][e, a, 0]) for name, (g, a) in place.items() if name in env.agents} for e, env in enumerate(bare)]
        rank.step()
        for e, env in enumerate(bare):
            seen, rewards, terminated, truncated, _ = env.step(actions[e])
            good &= all(rank.array[g, "reward"][e, a] == np.float32(rewards.get(name, 0)) for name, (g, a) in place.items())
            state = env.state()
            if not env.agents:
                ended += 1
                good &= rank.ep_end[e] == (TRUNCATED if any(truncated[name] and not terminated[name] for name in truncated) else TERMINATED)
                good &= all(np.array_equal(rank.array[g, "final_obs"][e, a], np.ravel(seen[name]).astype(np.float32)) for name, (g, a) in place.items() if name in seen)
                good &= np.array_equal(rank.final_state[e], np.ravel(state).astype(np.float32))
                seen, _ = env.reset()
                state = env.state()
            else:
                good &= rank.ep_end[e] == RUNNING
            for name, (g, a) in place.items():
                there = name in env.agents
                good &= rank.array[g, "active"][e, a] == there
                good &= not there or np.array_equal(rank.array[g, "obs"][e, a], np.ravel(seen[name]).astype(np.float32))
            good &= np.array_equal(rank.state[e], np.ravel(state).astype(np.float32))
    check("%s_is_the_packages_own_bit_for_bit" % source.replace(":", "_").replace("/", "_"), good and ended, (good, ended))
    rank.close()
    return rank.spec


def parallel():
    spec = parallel_like("mpe2.simple_spread_v3", "mpe2:simple_spread_v3")
    check("agents_of_one_name_are_a_group", [(group.name, group.agents, group.team, group.flags) for group in spec.groups] == [("agent", 3, 0, HAS_ACTIVE)], spec.lines)
    spec = parallel_like("mpe2.simple_tag_v3", "pettingzoo:mpe/simple_tag-v3")
    check("of_two_names_two", [(group.name, group.names) for group in spec.groups] == [("adversary", ["adversary_0", "adversary_1", "adversary_2"]), ("agent", ["agent_0"])], spec.lines)
    text = refusal("mpe2:simple_spred_v3")
    check("a_task_that_is_none_names_the_nearest", 'mpe2 has no simple_spred_v3; did you mean "simple_spread_v3"?' in text, text)
    for teams, expected in (("", [0, 0]), ("adversary/agent", [0, 1]), ("agent/adversary", [1, 0]), ("agent+adversary", [0, 0])):
        rank = Rank("mpe2:simple_tag_v3", envs=1, teams=teams)
        check("teams_%s" % (teams or "none"), [group.team for group in rank.spec.groups] == expected, rank.spec.lines)
        rank.close()
    for teams, said in (("adversry/agent", 'env.teams names "adversry", which is neither a group (adversary, agent) nor an agent (adversary_0, adversary_1, adversary_2, agent_0); did you mean "adversary"?'), ("adversary_0/adversary_4/agent", 'env.teams names "adversary_4", which is neither a group'), ("adversary_0/adversary_1+adversary_2/agent_0", "(not refused)"), ("agent_0/adversary_3", 'names "adversary_3", which is neither'), ("adversary", 'says no team of group "agent"')):
        text = refusal("mpe2:simple_tag_v3", teams=teams)
        check("a_wrong_team_is_named_%s" % teams.replace("/", "_"), said in text, text)


def leaving():
    for keep in ("false", "true"):
        rank = Rank(OWN + "Leaving", envs=1, args='{"cut": %s, "keep": %s}' % (keep, keep))
        wolves, sheep = ({name: rank.array[g, name][0] for name in ("obs", "final_obs", "reward", "terminated", "active")} for g in "01")
        rank.reset()
        equal("all_act_at_first_%s" % keep, wolves["active"], [1, 1])
        history = []
        for t in range(5):
            rank.step(np.array([[2], [1]]), [[1]])
            history.append([wolves[name].tolist() for name in ("active", "terminated", "reward")] + [wolves["obs"][:, 0].tolist(), int(rank.ep_end[0])])
        expected = [[[1, 1], [0, 0], [2, 1], [2, 2], 0],
                    [[0, 1], [1, 0], [2, 1], [0, 3], 0],  # wolf_1 ends: its return ends there, and it sees nothing
                    [[0, 0], [0, 0], [0, 1], [0, 4], 0],  # wolf_2 is cut: what it saw last stands
                    [[0, 0], [0, 0], [0, 0], [0, 4], 0],
                    [[1, 1], [0, 0], [0, 0], [1, 1], TRUNCATED if keep == "true" else TERMINATED]]
        check("agents_that_leave_are_inactive_and_ended_or_cut_%s" % keep, history == expected, history)
        equal("the_last_one_s_final_observation_%s" % keep, sheep["final_obs"], [[6]])
        equal("those_who_left_show_what_they_did_%s" % keep, wolves["final_obs"], [[0, 0], [4, 50]])
        equal("the_state_is_the_environments_%s" % keep, [rank.state[0], rank.final_state[0]], [[0, 7, np.finfo(np.float32).max], [5, 7, np.finfo(np.float32).max]])
        rank.close()
    rank = Rank(OWN + "Leaving", envs=1, args='{"last": 5}')
    rank.reset()
    for _ in range(5):
        rank.step(0, 0)
    equal("one_who_is_cut_makes_it_a_cut_for_all", rank.ep_end, [TRUNCATED])
    equal("but_for_those_who_ended", [rank.terminated[0].tolist() + rank.array["1", "terminated"][0].tolist()], [[0, 0, 1]])
    rank.close()
    rank = Rank(OWN + "Leaving", envs=1, args='{"both": true, "few": true}')
    rank.reset()
    for _ in range(3):
        rank.step(0, 0)
    equal("who_is_both_leaves_as_terminated", [rank.terminated[0], rank.obs[0, 1]], [[0, 1], [0, 0]])
    for _ in range(2):
        rank.step(0, 0)
    equal("who_is_not_there_in_an_episode_is_absent", [rank.ep_end[0], *rank.active[0], *rank.obs[0].ravel()], [TERMINATED, 0, 0, 0, 0, 0, 0])
    equal("while_the_others_begin_it", rank.array["1", "active"], [[1]])
    rank.close()
    rank = Rank(OWN + "Leaving", envs=1, args='{"few": true}')
    rank.reset()
    rank.reset()
    equal("after_a_reset_too", [*rank.active[0], *rank.obs[0].ravel()], np.zeros(6))
    rank.close()
    for source, asked in (("leaving_state_less", {}), ("Leaving", {"state": 0})):
        rank = Rank(OWN + source, envs=1, **asked)
        check("without_a_state_there_is_none_%s" % source, rank.spec.one["state"] == ["0"], rank.spec.one)
        rank.close()
    rank = Rank(OWN + "Leaving", envs=1, infos="load")
    rank.reset()
    rank.step(0, 0)
    equal("info_of_agents_is_their_mean", rank.info[0], [1])
    rank.close()


def in_turns():
    rank = Rank(OWN + "turns", envs=1, args='{"rounds": 2}', teams="a/b+c")
    check("each_name_is_a_group_of_its_team", [(group.name, group.team, group.flags) for group in rank.spec.groups] == [("a", 0, 3), ("b", 1, 3), ("c", 1, 3)], rank.spec.lines)
    rank.reset()
    of = lambda name: [rank.array[str(g), name][0].ravel().tolist() for g in range(3)]  # noqa: E731
    check("one_acts_and_all_see", of("active") == [[1], [0], [0]] and of("obs") == [[0, 0], [0, 1], [0, 2]], (of("active"), of("obs")))
    check("masks_of_those_who_wait_are_there", of("act_mask") == [[1, 1, 0], [1, 1, 1], [1, 1, 0]], of("act_mask"))
    history = []
    for action in (2, 0, 0, 1, 0):
        rank.step([[action]], [[0]], [[0]])
        history.append((sum(of("active"), []), sum(of("reward"), []), sum(of("terminated"), []), int(rank.ep_end[0])))
    # a pays 2 to b and 20 to c; b's comes as its turn begins, c's as its begins; c ends and pays 3 to a, whose turn comes next; a pays 1 to b;
    # b's turn is the last, and what was due is paid then.
    expected = [([0, 1, 0], [0, 2, 0], [0, 0, 0], 0), ([0, 0, 1], [0, 0, 20], [0, 0, 0], 0), ([1, 0, 0], [3, 0, 0], [0, 0, 1], 0), ([0, 1, 0], [0, 1, 0], [0, 0, 0], 0), ([1, 0, 0], [0, 0, 0], [0, 0, 0], TRUNCATED)]
    check("rewards_come_as_the_next_turn_begins", history == expected, history)
    check("the_last_observations_are_kept", of("final_obs") == [[5, 0], [5, 1], [0, 0]], of("final_obs"))
    rank.close()


def board_games():
    """Two players of PettingZoo's own board game: masks, turns, and the end that pays one and charges the other."""
    rank = Rank("pettingzoo:classic/tictactoe_v3", envs=1)
    group = rank.spec.groups[0]
    check("a_board_is_an_image_with_a_mask", group.of("obs")[0]["image"] == (3, 3, 2) and group.flags == HAS_MASK | HAS_ACTIVE, rank.spec.lines)
    rank.reset()
    for t, square in enumerate((0, 3, 1, 4, 2)):
        good = rank.active[0].tolist() == [1 - t % 2, t % 2] and rank.act_mask[0, t % 2, square] == 1
        check("turn_%d" % t, good, (rank.active, rank.act_mask))
        rank.step(square)
    equal("three_in_a_row_win", rank.reward[0], [1, -1])
    equal("and_end_it", rank.ep_end, [TERMINATED])
    equal("with_an_empty_board_after_it", rank.act_mask[0, 0], np.ones(9))
    rank.close()


def teams_without_spaces():
    rank = Rank(OWN + "battle", envs=1, seed=9)
    battle = sys.modules["own_envs"].battles[-1]
    group = rank.spec.groups[0]
    check("smac_has_masks_a_state_and_one_reward", group.flags == HAS_MASK | HAS_ACTIVE | SHARED_REWARD and rank.spec.one["state"] == ["3"] and rank.spec.one["max_steps"] == ["4"], rank.spec.lines)
    check("its_seed_is_given_where_it_is_made", battle.given_seed == int(np.random.SeedSequence([9, 0, 0]).generate_state(1)[0]) >> 1, battle.given_seed)
    check("that_its_reset_takes_none_is_said", any("its reset() takes no seed" in text for text in rank.spec.cannot), rank.spec.cannot)
    rank.reset()
    equal("masks_are_what_is_available", rank.act_mask[0], [[0, 1, 1], [0, 1, 0]])
    rank.step(np.array([[2], [1]]))
    rank.step(np.array([[2], [1]]))
    equal("who_may_only_do_nothing_does_not_act", rank.active, [[0, 1]])
    equal("all_get_the_reward", rank.reward, [[1, 1]])
    rank.step(np.array([[2], [1]]))
    check("and_does_nothing", battle.taken[-1] == [0, 1], battle.taken)
    equal("it_was_won", [rank.ep_end[0], rank.info[0, 0]], [TERMINATED, 1])
    equal("with_its_last_state", rank.final_state[0], [3, 3, 9])
    rank.close()
    rank = Rank(OWN + "battle", envs=1, args='{"limit": 2}')
    rank.reset()
    rank.step(1)
    rank.step(1)
    equal("its_limit_truncates", rank.ep_end, [TRUNCATED])
    rank.close()
    rank = Rank(OWN + "battle", envs=1, args='{"rewards": [1, 2]}')
    rank.may_fail = True
    rank.reset()
    rank.step(1)
    check("rewards_that_differ_are_refused", "rewards of agents differ" in rank.error()[1][1], rank.failed)
    rank.close()
    rank = Rank(OWN + "Tuples", envs=1)
    rank.reset()
    rank.step(np.array([[2], [3]]))
    equal("a_tuple_with_a_part_an_agent_is_a_team", [rank.obs[0].ravel(), np.repeat(rank.reward[0], 2)], [[1, 10, 1, 20], [2, 2, -3, -3]])
    rank.step(0)
    equal("that_ends_as_one", rank.ep_end, [TERMINATED])
    rank.close()


if skipping("gymnasium", "environments"):
    sys.exit(0)
alone()
gymnasium_itself()
leaving()
teams_without_spaces()
if not skipping("pettingzoo", "turns"):
    in_turns()
    if not skipping("pygame", "board_games"):
        board_games()
if not skipping("mpe2", "parallel"):
    parallel()
sys.exit(1 if fake_rank.failures else 0)

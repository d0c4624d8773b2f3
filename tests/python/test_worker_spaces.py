#!/usr/bin/env python3
"""Spaces of Gymnasium in the worker of the Python bridge: what is described, what is written for an observation, what an environment gets as
an action, masks, and what is refused. The rank is tests/python/fake_rank.py."""
import os
import sys

import numpy as np

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import fake_rank
from fake_rank import HAS_MASK, Rank, Refused, check, skipping

OWN = os.path.join(os.path.dirname(os.path.abspath(__file__)), "own_envs.py") + ":"


def same(name, found, expected):
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    check(name, found.shape == expected.shape and np.allclose(found, expected, rtol=1e-6, atol=0), "%s, not %s" % (found.tolist(), expected.tolist()))


def environments():
    """The module of the environments as the worker has it, and what was made there."""
    return sys.modules["own_envs"]


def refusal(source, **asked):
    try:
        Rank(OWN + source, envs=1, **asked).close()
    except Refused as error:
        return str(error)
    return "(not refused)"


def dictionaries():
    rank = Rank(OWN + "dictionary", envs=1)
    group, env = rank.spec.groups[0], environments().made[-1]
    kinds = [(head["kind"], head["size"]) for head in group.of("obs")]
    check("parts_of_a_dict_are_heads", kinds == [("multi_binary", 2), ("box", 2), ("discrete", 1)], kinds)
    check("numbers_of_a_dict_have_its_names", group.of("obs")[1]["meaning"] == ["far 0", "far 1"], group.of("obs")[1])
    rank.reset()
    for _ in range(2):
        rank.act_int[:] = [1, 2, -1, 0, 1, 1]  # both, go, set: the order of the space
        rank.act_real[:] = [0.5, -1.5]
        rank.step()
    same("a_dict_is_written_head_by_head", rank.obs[0, 0], [0, 1, 2, -2, 0, 0, 1])
    action = env.taken[-1]
    check("an_action_is_a_dict_again", list(action) == list(env.action_space.spaces) and env.action_space.contains(action), action)
    check("with_what_was_chosen", action["both"].tolist() == [1, 2] and int(action["go"]) == -1 and action["set"].tolist() == [0, 1, 1] and action["much"].tolist() == [0.5, -1.5], action)
    check("an_environment_may_keep_its_action", env.taken[0]["much"] is not action["much"] and not np.shares_memory(env.taken[0]["both"], rank.act_int), env.taken[0])
    rank.close()
    rank = Rank(OWN + "nested", envs=1)
    heads = rank.spec.groups[0].of("obs")
    check("more_than_four_parts_are_one_box", len(heads) == 1 and heads[0]["kind"] == "box" and heads[0]["size"] == 15 and heads[0]["meaning"][4] == "0.kind 0", heads)
    check("which_is_said", any("5 parts are one Box of 15 numbers" in text for text in rank.spec.cannot), rank.spec.cannot)
    rank.reset()
    rank.step(0)
    same("with_all_its_numbers", rank.obs[0, 0], [0, 1, 1, 0, 0, 0, 1, .5, .5, .5, .5, 0, 1, 0, 1])
    rank.close()


def boxes():
    bytes_ = np.arange(216).reshape(8, 9, 3) / 255
    for source, shown in (("channels_last", bytes_), ("channels_first", np.arange(216).reshape(3, 8, 9).transpose(1, 2, 0) / 255), ("grey", np.arange(72) / 255)):
        rank = Rank(OWN + source, envs=2)
        rank.reset()
        head = rank.spec.groups[0].of("obs")[0]
        size = (8, 9, 1) if source == "grey" else (8, 9, 3)
        check(source + "_is_an_image", head["image"] == size and head["low"] == [0] and head["high"] == [1], (head, size))
        same(source + "_is_written_row_by_row", rank.obs[1, 0], np.ravel(shown))
        check(source + "_says_what_was_changed", any("bytes are divided by 255" in text and ("channels come last" in text) == (source == "channels_first") for text in rank.spec.cannot), rank.spec.cannot)
        rank.close()
    rank = Rank(OWN + "wide", envs=1)
    rank.reset()
    rank.step()
    largest = np.finfo(np.float32).max
    same("what_float_can't_hold_is_its_largest", rank.obs[0, 0], [largest, -largest, 0.1])
    rank.act_real[:] = np.float32(0.1)  # which is more than 0.1
    rank.step()
    env = environments().made[-1]
    check("an_action_of_64_bits_keeps_its_bounds", env.action_space.contains(env.taken[-1]), env.taken[-1])
    rank.close()
    rank = Rank(OWN + "whole", envs=1)
    rank.reset()
    rank.act_real[:] = [2.6, 9]
    rank.step()
    env = environments().made[-1]
    check("an_action_of_whole_numbers_is_rounded", env.taken[-1].tolist() == [3, 7] and env.action_space.contains(env.taken[-1]), env.taken[-1])
    rank.close()


def masks():
    for source, first, second in (("masked_info", [0, 1, 0], [1, 1, 0]), ("masked_obs", [1, 0, 0], [1, 1, 0]), ("masked_call", [1, 0, 1, 1, 0], [1, 0, 1, 1, 0])):
        rank = Rank(OWN + source, envs=2)
        check(source + "_is_described", rank.spec.groups[0].flags & HAS_MASK, rank.spec.lines)
        rank.reset()
        same(source + "_is_there_after_a_reset", rank.act_mask[1, 0], first)
        rank.step(0)
        same(source + "_is_there_after_a_step", rank.act_mask[1, 0], second)
        rank.close()
    rank = Rank(OWN + "masked_obs", envs=1)
    check("a_mask_is_no_observation", rank.spec.groups[0].width("obs") == 1, rank.spec.lines)
    rank.close()


def refused():
    for source, said in (("text", "agent has a space Text (word), which has no fixed size"), ("many_actions", "an action of agent has 5 parts (0, 1, 2, 3, 4), more than 4")):
        check("a_space_%s_is_refused_by_name" % source, said in refusal(source), refusal(source))
    for source, said in (("wrong_shape", "the observation has shape (1,); its space says (2,)"), ("outside", "the observation 4 is outside of Discrete(3)"),
                         ("short_mask", "the action mask has 2 numbers where Discrete(3) has 3 choices")):
        rank = Rank(OWN + source, envs=1)
        rank.may_fail = True
        for op in (fake_rank.RESET, fake_rank.STEP, fake_rank.STEP):
            if not rank.failed[0]:
                rank.wait(rank.ask(op))
        word, (number, text) = rank.error()
        check("a_%s_is_named" % source, word == "error" and number == "0" and said in text and rank.said[0] == 1 and rank.failed[0] == 1, text)
        rank.close()


if skipping("gymnasium", "spaces"):
    sys.exit(0)
dictionaries()
boxes()
masks()
refused()
sys.exit(1 if fake_rank.failures else 0)

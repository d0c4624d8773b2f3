"""A policy of any kind as a torch.nn.Module: torch_policy.py with what it is of written into it, and a state_dict beside it."""
import json
import os
import pprint

import mappo
import numpy as np
from exporters import whole

USE = """
    import {stem}                                       # {stem}.py and {stem}.pt in one folder; PyTorch 1.13 or newer, nothing else
    policy = {stem}.load()                              # a torch.nn.Module
    action, state = policy.act(obs, mask, state)        # obs [..., {inputs}]; mask None, and state None where episodes begin
    output, log_std, state = policy(obs, state)         # with gradients
"""


def about(policy, stem):
    attribute = policy.checkpoint.attribute
    whose = f"group {policy.group}" + ("" if policy.agent is None else f", agent {policy.agent}")
    seen = f"\nObservations are as these wrappers show them: {json.dumps(policy.wrappers)}.\n" if policy.wrappers else ""
    text = f"The policy of {whose} of {attribute.get('environment') or 'an environment'}, written by scripts/export.py of {policy.checkpoint.path}.\n"
    return (text + USE.format(stem=stem, inputs=policy.inputs) + seen).replace("\\", "/").replace('"""', "'''")


def action(policy):
    """[(kind, first, end)]: where each space's numbers are among the integers or the reals."""
    parts, at = [], {True: 0, False: 0}
    for space in policy.action_spaces:
        count = len(space["n"]) if "n" in space else space["size"]
        real = space["kind"] == "box"
        parts.append((space["kind"], at[real], at[real] + count))
        at[real] += count
        at[False] += count if real and policy.bins else 0
    return parts


def made(policy):
    """(SPEC, arrays of the state_dict) of a policy that has one network."""
    p, arrays, layers = policy.networks[0], {}, {}
    for name, value in p.items():
        module, _, leaf = name.rpartition("/")
        arrays[f"{module}.{leaf}" if module else leaf] = value
        if leaf == "weight":
            layers[module] = list(value.shape)
    fixed, buffers = policy.log_std_parameter(p), {"starts": np.broadcast_to(policy.starts, (policy.integers or 1,))}
    if fixed is not None and "log_std" not in p:
        buffers["log_std"] = fixed
    if policy.running is not None:
        there = policy.running["count"] > 0
        mean, scale = policy.running["mean"], 1 / np.sqrt(policy.running["variance"] + 1e-8)
        buffers.update(obs_mean=mean if there else np.zeros_like(mean), obs_scale=scale if there else np.ones_like(scale))
    if policy.reals:
        buffers.update(zip(("factor", "offset", "low", "high"), policy.scaling()))
    elif policy.bin_columns:
        buffers.update(zip(("low", "high"), policy.bounds))
    spec = {"inputs": policy.inputs, "activation": policy.activation, "layers": layers, "hidden": len(policy.layers), "gru": policy.hidden,
            "heads": [list(head) for head in policy.heads], "head_names": mappo.heads_of(p), "choices": policy.choices, "integers": policy.integers,
            "reals": policy.reals, "log_std": "layer" if "log_std/weight" in p else "parameter" if "log_std" in p else "fixed" if fixed is not None else None,
            "image": policy.image, "convolutions": policy.convolutions, "same": policy.same, "squash": policy.squashes, "bins": policy.bins,
            "bin_columns": policy.bin_columns, "action": action(policy), "spaces": policy.spaces, "wrappers": policy.wrappers,
            "buffers": {name: len(value) for name, value in buffers.items()}}
    arrays.update(buffers)
    return spec, {name: np.asarray(value, np.float32) for name, value in arrays.items()}


def write(policy, path):
    """path: FILE.py; returns the arrays of FILE.pt."""
    spec, arrays = made(policy)
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "torch_policy.py"), encoding="utf-8") as file:
        text = file.read()
    stem = os.path.splitext(os.path.basename(path))[0]
    text = text.replace('"""ABOUT"""', f'"""{about(policy, stem)}"""', 1).replace("SPEC = {}", "SPEC = " + pprint.pformat(spec, width=150, compact=True, sort_dicts=False), 1)
    whole.replace(path, text)
    return arrays

#!/usr/bin/env python3
"""Writes the policies of a run for other programs: ONNX, PyTorch, C. docs/export.md

    scripts/export.py RUN --onnx policy.onnx        needs the package onnx; run by ONNX Runtime and others
    scripts/export.py RUN --torch actor.pt          needs torch; a state_dict for on-policy's R_Actor, and actor.pt.json with the flags that build it
    scripts/export.py RUN --torch-module policy.py  needs torch; any policy as an nn.Module of its own: policy.py, and policy.pt with its weights
    scripts/export.py RUN --c policy.h              C99 without dependencies: policy_act(obs, mask, begins, state, &action)

RUN is a run's folder or a checkpoint. Where it has several groups, or each agent a network of its own (policy.share=0), a file of each is written:
policy_GROUP.onnx, policy_GROUP_agent1.onnx; or of those that are named."""
import argparse
import io
import json
import os
import re
import sys

try:
    import mappo
    import numpy as np
    from exporters import c_header, r_actor, torch_module, whole
except ImportError as missing:
    if not {"-h", "--help"} & set(sys.argv):  # help needs none of them
        print(f"export.py: {missing}: NumPy and h5py read checkpoints (python3 -m pip install numpy h5py)", file=sys.stderr)
        sys.exit(2)


def parse():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", metavar="RUN|FILE")
    parser.add_argument("--onnx", metavar="FILE", help="an ONNX model")
    parser.add_argument("--torch", metavar="FILE", help="a state_dict of on-policy's R_Actor")
    parser.add_argument("--torch-module", metavar="FILE.py", help="a torch.nn.Module; FILE.pt: its state_dict")
    parser.add_argument("--critic", metavar="FILE", help="with --torch: also one of R_Critic")
    parser.add_argument("--value-norm", metavar="FILE", help="with --torch: also one of ValueNorm")
    parser.add_argument("--c", metavar="FILE", help="a C header")
    parser.add_argument("--group", help="of agents; unless given, all that have networks")
    parser.add_argument("--agent", type=int, help="with policy.share=0: whose network; unless given, all")
    parser.add_argument("--which", choices=["latest", "best"], default="latest", help="which checkpoint of a run")
    args = parser.parse_args()
    if not (args.onnx or args.torch or args.torch_module or args.c):
        parser.error("what is to be written: --onnx FILE, --torch-module FILE.py, --torch FILE or --c FILE")
    if args.torch_module and not args.torch_module.endswith(".py"):
        parser.error(f"--torch-module {args.torch_module}: a module ends with .py; its weights stand beside it, in .pt")
    stem = os.path.splitext(os.path.basename(args.torch_module or "policy"))[0]
    if not stem.isidentifier() or stem in ("torch", "os"):
        parser.error(f"--torch-module {args.torch_module}: Python can't import a module of that name: letters, digits and _, as policy.py")
    if args.torch and args.torch_module and args.torch == args.torch_module[:-3] + ".pt":
        parser.error(f"--torch and --torch-module would both write {args.torch}")
    if (args.critic or args.value_norm) and not args.torch:
        parser.error("--critic and --value-norm stand beside --torch")
    return args


def selected(args):
    """[(policy of one network, what is appended to file names)]"""
    checkpoint = mappo.Checkpoint(args.run, args.which)
    groups = checkpoint.groups if args.group is None else [checkpoint.choose(args.group)]
    if not groups:
        raise mappo.Problem(f"{checkpoint.path}: no group has an actor")
    chosen = []
    for group in groups:
        sets = checkpoint.sets(group, "actor")
        if args.agent is not None and sets == [None]:
            raise mappo.Problem(f"--agent={args.agent}: all agents of group {group} share one network (policy.share): leave it out")
        for agent in sets if args.agent is None else [args.agent]:
            part = (f"_{group}" if len(groups) > 1 else "") + (f"_agent{agent}" if len(sets) > 1 and args.agent is None else "")
            chosen.append((mappo.Policy(checkpoint, group, agent), part))
    return chosen


def placed(path, part):
    stem, end = os.path.splitext(path)
    return stem + part + end


def identifier(path):
    name = re.sub(r"[^A-Za-z0-9_]", "_", os.path.splitext(os.path.basename(path))[0])
    return "_" * name[:1].isdigit() + name


def told(policy):
    whose = policy.group + ("" if policy.agent is None else f", agent {policy.agent}")
    heads = " + ".join(f"{kind} {width}" for kind, width in policy.heads)
    count = sum(value.size for value in policy.networks[0].values())
    return f"{whose}: {policy.inputs} numbers -> {heads}, {count:,} parameters" + (f", a state of {policy.hidden}" if policy.recurrent else "")


def write_onnx(policies, path):
    try:
        from exporters import onnx_file  # pylint: disable=import-outside-toplevel
        import onnx  # noqa: F401  pylint: disable=import-outside-toplevel,unused-import
    except ImportError:
        raise mappo.Problem("--onnx needs the package onnx: python3 -m pip install onnx")
    for policy, part in policies:
        onnx_file.write(policy, placed(path, part))
        print(f"{placed(path, part)}: {told(policy)}")


def write_c(policies, path):
    for policy, part in policies:
        file = placed(path, part)
        c_header.write(policy, file, identifier(file))
        print(f"{file}: {told(policy)}; {identifier(file)}_act(obs, mask, begins, state, &action)")


def save(torch, arrays, path):
    image = io.BytesIO()
    torch.save({name: torch.from_numpy(np.array(value)) for name, value in arrays.items()}, image)
    whole.replace(path, image.getvalue())


def write_critic(torch, policy, path, norm_path):
    """R_Critic, with PopArt's numbers in it where the run has PopArt; ValueNorm apart. Both in double precision, as we have them: their classes' is single."""
    data, checkpoint = policy.checkpoint.data, policy.checkpoint
    sets = checkpoint.sets(policy.group, "critic")
    if not sets:
        raise mappo.Problem(f"{checkpoint.path}: group {policy.group} has no critic")
    own = None if sets == [None] else policy.agent if policy.agent is not None else sets[0]
    critic = checkpoint.network(policy.group, "critic", own)
    arrays = r_actor.state_dict(critic, "critic", ["value"])
    moments = data.get(f"{policy.group}/value_norm" if own is None else f"{policy.group}/{own}/value_norm")
    if moments is not None:
        if checkpoint.config.get("norm.value") == "popart":
            variance = max(moments[1] - moments[0] ** 2, 0)
            arrays.update({"v_out.stddev": np.array([max(variance ** 0.5, 1e-4)]), "v_out.mean": moments[:1], "v_out.mean_sq": moments[1:2], "v_out.debiasing_term": moments[2]})
        elif norm_path:
            save(torch, {"running_mean": moments[:1], "running_mean_sq": moments[1:2], "debiasing_term": moments[2]}, norm_path)
            print(f"{norm_path}: ValueNorm of {policy.group}")
    if norm_path and (moments is None or checkpoint.config.get("norm.value") == "popart"):
        raise mappo.Problem(f"--value-norm: this run has norm.value={checkpoint.config.get('norm.value')}, and no ValueNorm")
    if path:
        save(torch, arrays, path)
        print(f"{path}: R_Critic of {policy.group}: {critic['fc1/weight'].shape[1]} numbers")


def pytorch(asked):
    try:
        import torch  # pylint: disable=import-outside-toplevel
        return torch
    except ImportError:
        raise mappo.Problem(f"{asked} needs PyTorch: python3 -m pip install torch, or Debian's python3-torch; --onnx and --c don't")


def write_module(policies, path):
    torch = pytorch("--torch-module")
    for policy, part in policies:
        file = placed(path, part)
        weights = os.path.splitext(file)[0] + ".pt"
        save(torch, torch_module.write(policy, file), weights)
        print(f"{file}, {weights}: {told(policy)}; load() makes the nn.Module")


def write_torch(policies, args):
    torch = pytorch("--torch")
    for policy, _ in policies:
        why = r_actor.refusal(policy)
        if why:
            others = "" if len(policies) == 1 else f"; --group chooses another than {policy.group}"
            raise mappo.Problem(f"R_Actor can't hold this policy: {why} (--torch-module, --onnx and --c can{others})")
    for policy, part in policies:
        file, p = placed(args.torch, part), policy.networks[0]
        save(torch, r_actor.state_dict(p, "actor", [kind for kind, _ in policy.heads], policy.log_std_parameter(p)), file)
        obs, action = r_actor.spaces(policy)
        about = {"class": "R_Actor", "flags": r_actor.flags(policy), "flags_explained": r_actor.explained(r_actor.flags(policy)), "onpolicy": r_actor.ON_POLICY,
                 "activation": policy.activation, "feature_norm": "feature_norm/weight" in p, "layer_norm": True, "obs_space": obs, "action_space": action, "group": policy.group, "agent": policy.agent,
                 "environment": policy.checkpoint.attribute.get("environment", ""), "checkpoint": policy.checkpoint.path, "wrappers": policy.wrappers}
        if policy.integers:
            about["first_choice"] = np.broadcast_to(policy.starts, (policy.integers,)).tolist()
        if policy.reals:
            factor, offset, low, high = policy.scaling()
            about["environment_action"] = {"tanh": policy.squashes, "factor": factor.tolist(), "offset": offset.tolist(), "low": [mappo.finite(x) for x in low], "high": [mappo.finite(x) for x in high]}
        whole.replace(file + ".json", json.dumps(about, indent=1) + "\n")
        print(f"{file}: {told(policy)}\n  R_Actor(args, {obs}, {action}) with args of: {about['flags']}   ({file}.json)")
        print("".join(f"  {text}\n" for text in about["flags_explained"]) + f"  onpolicy is {r_actor.ON_POLICY}; without it: --torch-module")
        if args.critic or args.value_norm:
            write_critic(torch, policy, args.critic and placed(args.critic, part), args.value_norm and placed(args.value_norm, part))


def main():
    args = parse()
    try:
        for option in ("onnx", "torch", "torch_module", "critic", "value_norm", "c"):
            path = getattr(args, option)
            if path and not os.path.isdir(os.path.dirname(path) or "."):
                raise mappo.Problem(f"--{option.replace('_', '-')} {path}: there is no folder {os.path.dirname(path)}: make it first")
        policies = selected(args)
        if args.onnx:
            write_onnx(policies, args.onnx)
        if args.torch:
            write_torch(policies, args)
        if args.torch_module:
            write_module(policies, args.torch_module)
        if args.c:
            write_c(policies, args.c)
    except (mappo.Problem, OSError) as problem:
        sys.exit(f"export.py: {problem}")


if __name__ == "__main__":
    main()

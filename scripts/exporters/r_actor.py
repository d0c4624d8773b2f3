"""The names of marlbenchmark/on-policy's R_Actor and R_Critic (onpolicy/algorithms/r_mappo/algorithm/r_actor_critic.py) beside ours, and what these
classes can hold. Weights and their layouts are the same; only names differ."""
import mappo
import numpy as np

CRITIC_HEAD = "v_out"


def names(parameters, role, kinds):
    """[(ours, theirs)] of the parameters that are there. kinds: of an actor's heads."""
    pairs = [("feature_norm", "base.feature_norm")]
    for k, name in enumerate(mappo.numbered(parameters, "fc")):
        layer = "base.mlp.fc1" if k == 0 else f"base.mlp.fc2.{k - 1}"
        pairs += [(name, layer + ".0"), (f"norm{k + 1}", layer + ".2")]
    pairs.append(("gru_norm", "rnn.norm"))
    heads = mappo.heads_of(parameters)
    for i, head in enumerate(heads):
        out = "act.action_out" if len(heads) == 1 else f"act.action_outs.{i}"
        pairs.append((head, CRITIC_HEAD if role == "critic" else out + (".fc_mean" if kinds[i] == "gaussian" else ".linear")))
    both = [(f"{ours}/{leaf}", f"{theirs}.{leaf}") for ours, theirs in pairs for leaf in ("weight", "bias")]
    both += [(f"gru/{leaf}", f"rnn.rnn.{leaf}_l0") for leaf in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
    return [pair for pair in both if pair[0] in parameters]


def widths(parameters):
    return [len(parameters[name + "/bias"]) for name in mappo.numbered(parameters, "fc")]


def refusal(policy):
    """Why R_Actor can't be this policy; None: it can."""
    p, kinds = policy.networks[0], {kind for kind, _ in policy.heads}
    if policy.convolutions:
        return "policy.conv: R_Actor divides images by 255 and has one convolution without layer norms behind it"
    if "norm1/weight" not in p:
        return "policy.layer_norm=0: R_Actor has a layer norm behind every hidden layer"
    if len(set(widths(p))) > 1:
        return f"policy.hidden={','.join(map(str, widths(p)))}: all layers of R_Actor have the same width"
    if policy.running is not None:
        return "norm.obs=running: R_Actor has no running statistics of observations"
    if "log_std/weight" in p:
        return "policy.std=state: the deviation of R_Actor's actions is the same in all states"
    if not kinds <= {"categorical", "bernoulli", "gaussian"}:
        return f"actions that are {', '.join(sorted(kinds - {'categorical', 'bernoulli', 'gaussian'}))} of the outputs: R_Actor draws them from distributions"
    if len(policy.heads) > 1 and kinds != {"categorical"}:
        return "several heads that are not all choices: R_Actor has MultiDiscrete actions alone in several heads"
    return None


def state_dict(parameters, role, kinds, log_std=None):
    """Arrays by R_Actor's or R_Critic's names, in the order of its modules."""
    out = {theirs: parameters[ours].astype(np.float32) for ours, theirs in names(parameters, role, kinds)}
    if log_std is not None:
        out["act.action_out.logstd._bias"] = log_std.astype(np.float32)[:, None]
    return out


def flags(policy):
    """What builds the class: on-policy's command line, where --use_ReLU and --use_feature_normalization switch off what they name."""
    p = policy.networks[0]
    told = ["--algorithm_name", "rmappo" if policy.recurrent else "mappo", "--hidden_size", str(widths(p)[0]), "--layer_N", str(len(policy.layers) - 1)]
    told += ["--use_ReLU"] if policy.activation == "tanh" else []
    told += [] if "feature_norm/weight" in p else ["--use_feature_normalization"]
    return " ".join(told)


ON_POLICY = "https://github.com/marlbenchmark/on-policy"


def explained(told):
    """What those of the flags mean that say the opposite of their names."""
    means = {"--use_ReLU": "on-policy's --use_ReLU switches ReLU OFF: layers have tanh", "--use_feature_normalization": "on-policy's --use_feature_normalization switches the layer norm of observations OFF"}
    return [text for flag, text in means.items() if flag in told.split()]


def spaces(policy):
    kind, width = policy.heads[0]
    if len(policy.heads) > 1:
        action = f"MultiDiscrete({[width for _, width in policy.heads]})"
    else:
        action = {"categorical": f"Discrete({width})", "bernoulli": f"MultiBinary({width})", "gaussian": f"Box({width},)"}[kind]
    return f"Box({policy.inputs},)", action


def ours(theirs):
    """Our names of a state dictionary of R_Actor or R_Critic: parameters, the role, and names that no network of ours has a place for."""
    if "act.action_outs.0.linear.weight" in theirs and "act.action_outs.1.linear.weight" not in theirs:  # MultiDiscrete of one component
        theirs = {name.replace("act.action_outs.0.", "act.action_out."): value for name, value in theirs.items()}
    layers = 1 + len({name.split(".")[3] for name in theirs if name.startswith("base.mlp.fc2.")})
    every = {f"fc{k}/{leaf}": None for k in range(1, layers + 1) for leaf in ("weight", "bias")}
    role = "critic" if CRITIC_HEAD + ".weight" in theirs else "actor"
    outs = sorted({int(name.split(".")[2]) for name in theirs if name.startswith("act.action_outs.")})
    kinds = ["gaussian" if "act.action_out.fc_mean.weight" in theirs else "categorical"] * max(1, len(outs))
    every.update({f"{part}/{leaf}": None for part in ["feature_norm", "gru_norm", *(f"norm{k}" for k in range(1, layers + 1))] for leaf in ("weight", "bias")})
    every.update({f"gru/{leaf}": None for leaf in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")})
    every.update({f"{head}/{leaf}": None for head in (["head"] if len(outs) < 2 else [f"head{i}" for i in outs]) for leaf in ("weight", "bias")})
    found = {own: theirs[name] for own, name in names(every, role, kinds) if name in theirs}
    known = {name for own, name in names(every, role, kinds)}
    if "act.action_out.logstd._bias" in theirs:
        found["log_std"] = theirs["act.action_out.logstd._bias"].reshape(-1)
        known.add("act.action_out.logstd._bias")
    return found, role, sorted(set(theirs) - known)

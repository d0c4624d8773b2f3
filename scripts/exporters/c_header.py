"""A policy as one C99 header: weights as constants, a function that acts, nothing else needed but libm. For robots and games."""
import json

import numpy as np
from exporters import whole

HELPERS = """
static inline void NAME_linear(const float *x, const float *weight, const float *bias, int inputs, int outputs, float *y)
{
    int i, k;
    for (k = 0; k < outputs; k++) {
        float sum = bias[k];
        for (i = 0; i < inputs; i++) sum += weight[k * inputs + i] * x[i];
        y[k] = sum;
    }
}

static inline void NAME_norm(float *x, int count, const float *scale, const float *shift)
{
    float mean = 0, square = 0, inverse;
    int i;
    for (i = 0; i < count; i++) mean += x[i];
    mean /= (float)count;
    for (i = 0; i < count; i++) square += (x[i] - mean) * (x[i] - mean);
    inverse = 1.0f / sqrtf(square / (float)count + 1e-5f);
    for (i = 0; i < count; i++) x[i] = (x[i] - mean) * inverse * scale[i] + shift[i];
}

static inline void NAME_activate(float *x, int count)
{
    int i;
    for (i = 0; i < count; i++) x[i] = ACTIVATION;
}

static inline float NAME_clip(float x, float low, float high)
{
    return x < low ? low : x > high ? high : x;
}
"""
GRU = """
static inline float NAME_sigmoid(float x)
{
    return 0.5f + 0.5f * tanhf(0.5f * x);
}

/* Reset, update, new: the state [NAME_STATE] becomes the one after the step. */
static inline void NAME_remember(const float *x, float *state)
{
    float seen[3 * NAME_STATE], remembered[3 * NAME_STATE];
    int i;
    NAME_linear(x, NAME_gru_weight_ih, NAME_gru_bias_ih, NAME_STATE, 3 * NAME_STATE, seen);
    NAME_linear(state, NAME_gru_weight_hh, NAME_gru_bias_hh, NAME_STATE, 3 * NAME_STATE, remembered);
    for (i = 0; i < NAME_STATE; i++) {
        const int z = NAME_STATE + i, n = 2 * NAME_STATE + i;
        const float keep = NAME_sigmoid(seen[z] + remembered[z]);
        const float fresh = tanhf(seen[n] + NAME_sigmoid(seen[i] + remembered[i]) * remembered[n]);
        state[i] = (1.0f - keep) * fresh + keep * state[i];
    }
}
"""
CONVOLVE = """
/* x [channels][rows][columns] of which `before` zeros lie above and to the left; y [outputs][to_rows][to_columns]. */
static inline void NAME_convolve(const float *x, int channels, int rows, int columns, const float *weight, const float *bias, int outputs,
                                 int kernel, int before, int to_rows, int to_columns, float *y)
{
    int o, r, c, k, i, j;
    for (o = 0; o < outputs; o++)
        for (r = 0; r < to_rows; r++)
            for (c = 0; c < to_columns; c++) {
                float sum = bias[o];
                for (k = 0; k < channels; k++)
                    for (i = 0; i < kernel; i++)
                        for (j = 0; j < kernel; j++) {
                            const int row = r + i - before, column = c + j - before;
                            if (row >= 0 && row < rows && column >= 0 && column < columns)
                                sum += weight[((o * channels + k) * kernel + i) * kernel + j] * x[(k * rows + row) * columns + column];
                        }
                y[(o * to_rows + r) * to_columns + c] = sum;
            }
}
"""
EXAMPLE = """
/* cc -std=c99 -DNAME_EXAMPLE -x c FILE -lm -o example: reads, line by line, whether an episode begins, an observation and a mask, and prints
 * what the networks make of it and the action. */
#ifdef NAME_EXAMPLE
#include <stdio.h>

int main(void)
{
    float obs[NAME_OBS], state[NAME_STATE + 1] = {0};
    unsigned char mask[NAME_MASK + 1] = {0};
    int begins, i, number;
    while (scanf("%d", &begins) == 1) {
        struct NAME_action out;
        for (i = 0; i < NAME_OBS; i++)
            if (scanf("%f", &obs[i]) != 1) return 1;
        for (i = 0; i < NAME_MASK; i++) {
            if (scanf("%d", &number) != 1) return 1;
            mask[i] = (unsigned char)(number != 0);
        }
        NAME_act(obs, mask, begins, state, &out);
        for (i = 0; i < NAME_OUTPUTS; i++) printf("%.9g ", (double)out.output[i]);
PRINTS        printf("\\n");
    }
    return 0;
}
#endif

#endif
"""


def number(x):
    x = float(np.float32(x))
    if np.isinf(x):
        return "INFINITY" if x > 0 else "-INFINITY"
    text = f"{x:.9g}"
    return (text if "." in text or "e" in text else text + ".0") + "f"


def array(name, values):
    values = [number(x) for x in np.ravel(values)]
    lines = ["    " + ", ".join(values[i:i + 10]) for i in range(0, len(values), 10)]
    return f"static const float {name}[{len(values)}] = {{\n" + ",\n".join(lines) + "};\n"


def constants(policy, name):
    p, text = policy.networks[0], []
    for key, value in p.items():
        text.append(array(f"{name}_{key.replace('/', '_')}", value))
    if policy.running is not None and policy.running["count"] > 0:
        text += [array(f"{name}_mean", policy.running["mean"]), array(f"{name}_scale", 1 / np.sqrt(policy.running["variance"] + 1e-8))]
    if policy.reals:
        factor, offset, low, high = policy.scaling()
        text += [array(f"{name}_{part}", value) for part, value in (("factor", factor), ("offset", offset), ("low", low), ("high", high))]
        fixed = policy.log_std_parameter(p)
        if fixed is not None and "log_std" not in p:
            text.append(array(f"{name}_log_std", fixed))
    elif policy.bin_columns:
        low, high = policy.bounds
        text += [array(f"{name}_low", low), array(f"{name}_high", high)]
    return "\n".join(text)


def see(policy, name, lines):
    """From obs to `x`, the input of the first hidden layer; returns how many numbers it has."""
    p, inputs = policy.networks[0], policy.inputs
    lines.append(f"for (i = 0; i < {inputs}; i++) x[i] = obs[i];")
    if policy.running is not None:
        scaled = f"(x[i] - {name}_mean[i]) * {name}_scale[i]" if policy.running["count"] > 0 else "x[i]"
        lines.append(f"for (i = 0; i < {inputs}; i++) x[i] = {name}_clip({scaled}, -10.0f, 10.0f);")
    if "feature_norm/weight" in p:
        lines.append(f"{name}_norm(x, {inputs}, {name}_feature_norm_weight, {name}_feature_norm_bias);")
    if not policy.image:
        return inputs
    at, rows, columns, channels = policy.image
    end = at + rows * columns * channels
    lines.append(f"for (i = 0; i < {rows * columns * channels}; i++) y[i % {channels} * {rows * columns} + i / {channels}] = x[{at} + i]; /* channels first */")
    source, target = "y", "z"
    for layer in policy.convolutions:
        outputs, _, kernel, _ = p[layer + "/weight"].shape
        before = (kernel - 1) // 2 if policy.same else 0
        to_rows, to_columns = (rows, columns) if policy.same else (rows - kernel + 1, columns - kernel + 1)
        lines.append(f"{name}_convolve({source}, {channels}, {rows}, {columns}, {name}_{layer}_weight, {name}_{layer}_bias, {outputs}, {kernel}, {before}, {to_rows}, {to_columns}, {target});")
        channels, rows, columns = outputs, to_rows, to_columns
        lines.append(f"{name}_activate({target}, {channels * rows * columns});")
        source, target = target, source
    features = channels * rows * columns
    lines.append(f"for (i = 0; i < {at}; i++) {source}[{features} + i] = x[i]; /* what is in no image */" if at else "")
    lines.append(f"for (i = {end}; i < {inputs}; i++) {source}[{features + at} + i - {end}] = x[i];" if inputs > end else "")
    count = features + inputs - (end - at)
    lines.append(f"for (i = 0; i < {count}; i++) x[i] = {source}[i];")
    return count


def widest(policy, count):
    """Room for the numbers of any layer."""
    p, most = policy.networks[0], max([count, policy.inputs, policy.hidden])
    for name in policy.layers:
        most = max(most, len(p[name + "/bias"]))
    if policy.image:
        _, rows, columns, channels = policy.image
        most = max([most, rows * columns * channels] + [len(p[name + "/bias"]) * rows * columns for name in policy.convolutions])
    return most


def think(policy, name, lines, count):
    """Hidden layers, memory, heads: out->output and out->log_std."""
    p, here, there = policy.networks[0], "x", "y"
    for k, layer in enumerate(policy.layers):
        width = len(p[layer + "/bias"])
        lines.append(f"{name}_linear({here}, {name}_{layer}_weight, {name}_{layer}_bias, {count}, {width}, {there});")
        lines.append(f"{name}_activate({there}, {width});")
        if f"norm{k + 1}/weight" in p:
            lines.append(f"{name}_norm({there}, {width}, {name}_norm{k + 1}_weight, {name}_norm{k + 1}_bias);")
        here, there, count = there, here, width
    if policy.recurrent:
        lines.append(f"for (i = 0; i < {policy.hidden} && begins; i++) state[i] = 0;")
        lines.append(f"{name}_remember({here}, state);")
        lines.append(f"for (i = 0; i < {policy.hidden}; i++) {here}[i] = state[i];")
        lines.append(f"{name}_norm({here}, {policy.hidden}, {name}_gru_norm_weight, {name}_gru_norm_bias);")
    at = 0
    for i, (_, width) in enumerate(policy.heads):
        head = "head" if len(policy.heads) == 1 else f"head{i}"
        lines.append(f"{name}_linear({here}, {name}_{head}_weight, {name}_{head}_bias, {count}, {width}, out->output + {at});")
        at += width
    if "log_std/weight" in p:
        lines.append(f"{name}_linear({here}, {name}_log_std_weight, {name}_log_std_bias, {count}, {policy.reals}, out->log_std);")
        lines.append(f"for (i = 0; i < {policy.reals}; i++) out->log_std[i] = {name}_clip(out->log_std[i], -20.0f, 2.0f);")
    elif policy.log_std_parameter(p) is not None:
        lines.append(f"for (i = 0; i < {policy.reals}; i++) out->log_std[i] = {name}_log_std[i];")


def decide(policy, name, lines):
    """out->choice, out->real: the most probable action."""
    column, choice, integer, real = 0, 0, 0, 0
    starts = np.broadcast_to(policy.starts, (policy.integers,))
    for kind, width in policy.heads:
        z = f"out->output[{column} + i]"
        if kind == "categorical":
            lines += [f"best = -1; /* choices {choice} to {choice + width - 1} */",
                      f"for (i = 0; i < {width}; i++)",
                      f"    if (!mask || mask[{choice} + i]) best = best < 0 || {z} > out->output[{column} + best] ? i : best;",
                      f"out->choice[{integer}] = (best < 0 ? 0 : best) + {starts[integer]};"]
            integer += 1
        elif kind == "bernoulli":
            lines.append(f"for (i = 0; i < {width}; i++) out->choice[{integer} + i] = (!mask || mask[{choice} + i]) && {z} > 0;")
            integer += width
        elif kind == "softmax":
            lines += ["most = -INFINITY, sum = 0;", f"for (i = 0; i < {width}; i++) most = {z} > most ? {z} : most;",
                      f"for (i = 0; i < {width}; i++) sum += out->real[{real} + i] = expf({z} - most);",
                      f"for (i = 0; i < {width}; i++) out->real[{real} + i] /= sum;"]
        else:
            lines.append(f"for (i = 0; i < {width}; i++) out->real[{real} + i] = {z if kind == 'gaussian' else f'tanhf({z})'};")
        column += width
        choice += width if kind in ("categorical", "bernoulli") else 0
        real += 0 if kind in ("categorical", "bernoulli") else width
    if policy.reals:
        raw = "tanhf(out->real[i])" if policy.squashes else "out->real[i]"
        lines.append(f"for (i = 0; i < {policy.reals}; i++) out->real[i] = {name}_clip({raw} * {name}_factor[i] + {name}_offset[i], {name}_low[i], {name}_high[i]);")
    for i, at in enumerate(policy.bin_columns):
        lines.append(f"out->real[{i}] = {name}_low[{i}] + ({name}_high[{i}] - {name}_low[{i}]) * (float)out->choice[{at}] / {policy.bins - 1}.0f;")


def function(policy, name):
    lines, softmax = [], any(kind == "softmax" for kind, _ in policy.heads)
    count = see(policy, name, lines)
    think(policy, name, lines, count)
    decide(policy, name, lines)
    most = widest(policy, count)
    buffers = f"float x[{most}], y[{most}]" + (f", z[{most}]" if policy.image else "") + (", most, sum" if softmax else "") + ";"
    unused = [part for part, used in (("mask", policy.choices), ("state", policy.recurrent), ("begins", policy.recurrent)) if not used]
    begin = [buffers, "int i" + (", best" if any(kind == "categorical" for kind, _ in policy.heads) else "") + ";"] + [f"(void){part};" for part in unused]
    body = "\n".join("    " + line for line in begin + [line for line in lines if line])
    return (f"static inline void {name}_act(const float *obs, const unsigned char *mask, int begins, float *state, struct {name}_action *out)\n{{\n{body}\n}}\n")


def layout(policy):
    """Lines of a comment: which numbers of the environment's observation are what."""
    if not policy.layout or policy.layout[0][3].keys() == {"key", "kind", "shape"} and len(policy.layout) == 1:
        return ""  # a row of numbers as it is
    lines = ["\n *\n * The environment's observation" + (", before wrappers:" if policy.wrappers else ":")]
    for name, first, end, part in policy.layout:
        what = f"{part['kind']} {part['shape'] or ''}".strip()
        if "n" in part:
            what += ", one-hot: " + ", ".join(f"{start} to {start + n - 1}" for n, start in zip(part["n"], part["start"]))
        what += ", divided by 255" * bool(part.get("bytes")) + ", channels moved to the end" * bool(part.get("channels_first"))
        lines.append(f"\n *     obs[{first}]" + (f" to obs[{end - 1}]" if end > first + 1 else "") + f": {name + ', ' if name else ''}{what}".replace("*/", "* /"))
    return "".join(lines)


def comment(policy, name):
    attribute = policy.checkpoint.attribute
    whose = f'group "{policy.group}"' + ("" if policy.agent is None else f", agent {policy.agent}")
    wrappers = f"\n * Observations are as these wrappers show them: {json.dumps(policy.wrappers)}." if policy.wrappers else ""
    text = f"""/* The policy of {whose} of {attribute.get('environment') or 'an environment'}, as {policy.checkpoint.path.replace('*/', '* /')} has it. Written by scripts/export.py.
 *
 *     float state[NAME_STATE + 1];
 *     struct NAME_action action;
 *     NAME_act(obs, mask, begins, state, &action);
 *
 * obs [NAME_OBS]. mask [NAME_MASK], 0 = forbidden; NULL = all allowed. begins: an episode begins with this observation, and what was remembered is
 * forgotten. state [NAME_STATE], kept between steps by the caller, one for each agent. Actions are the most probable ones. C99; link with -lm.{wrappers}{layout(policy)} */
"""
    return text.replace("NAME", name)


def structure(policy, name):
    members = [("int", "choice", policy.integers, "of Discrete, MultiDiscrete and MultiBinary actions, as the environment counts them"),
               ("float", "real", policy.reals or len(policy.bin_columns), "of Box actions, as the environment takes them"),
               ("float", "output", sum(width for _, width in policy.heads), "what the networks made: logits before the mask, and what reals are made of"),
               ("float", "log_std", policy.reals if policy.real_kind in ("gaussian", "tanh_gaussian") else 0, "log standard deviations of reals")]
    sizes = {"OBS": policy.inputs, "MASK": sum(policy.choices), "STATE": policy.hidden, "CHOICES": policy.integers, "REALS": members[1][2], "OUTPUTS": members[2][2]}
    lines = "\n".join(f"    {kind} {member}[{size}]; /* {what} */" for kind, member, size, what in members if size)
    return f"enum {{ {', '.join(f'{name}_{key} = {value}' for key, value in sizes.items())} }};\n\nstruct {name}_action {{\n{lines}\n}};\n"


def header(policy, name):
    """Of a policy that has one network. name: the prefix of all that it defines."""
    activation = "tanhf(x[i])" if policy.activation == "tanh" else "x[i] < 0 ? 0 : x[i]"
    prints = [("log_std", policy.reals if policy.real_kind in ("gaussian", "tanh_gaussian") else 0, '"%.9g ", (double)'),
              ("choice", policy.integers, '"%d ", '), ("real", policy.reals or len(policy.bin_columns), '"%.9g ", (double)')]
    shown = "".join(f"        for (i = 0; i < {size}; i++) printf({form}out.{member}[i]);\n" for member, size, form in prints if size)
    guard = name.upper() + "_H"
    helpers = HELPERS.replace("ACTIVATION", activation) + (GRU if policy.recurrent else "") + (CONVOLVE if policy.image else "")
    return (f"{comment(policy, name)}#ifndef {guard}\n#define {guard}\n\n#include <math.h>\n\n{structure(policy, name)}\n{constants(policy, name)}"
            f"{helpers.replace('NAME', name)}\n{function(policy, name)}{EXAMPLE.replace('PRINTS', shown).replace('NAME', name)}")


def write(policy, path, name):
    whole.replace(path, header(policy, name))

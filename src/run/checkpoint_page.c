/* docs/checkpoint-format.md, from the lists that a default run saves. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/philox.h"
#include "run/open_env.h"
#include "run/trainer_work.h"

/* ---- a default run's list ------------------------------------------------------------------------------------------------------------ */

static int open_parts(struct trainer *t, struct error *err)
{
    const struct config *c = t->config;
    t->learning.envs = comm_part((int)c->rollout_envs, t->comm->rank, t->comm->size);
    const struct backend_config backend = {.name = "cpu", .threads = 1, .level = CPU_BASELINE};
    const struct open_env_config batch = {
        .envs = t->learning.envs, .stream = PHILOX_ENVIRONMENT, .threads = 1, .horizon = algorithm_horizon(c)};
    int code = backend_open(&t->learning.backend, &backend, err);
    if (code == EXIT_DONE) code = open_env(&t->learning.env, c, &batch, err);
    if (code == EXIT_DONE) code = algorithm_policies(&t->learning.policies, c, vecenv_spec(t->learning.env), t->learning.backend, err);
    const struct algorithm_context context = {
        .config = c,
        .policies = t->learning.policies,
        .env = t->learning.env,
        .backend = t->learning.backend,
        .comm = t->comm,
        .first_env = (uint32_t)t->learning.envs.first,
        .envs = t->learning.envs.count,
        .local_shards = 1,
    };
    if (code == EXIT_DONE) code = algorithm_create(&t->learning.algorithm, &context, err);
    if (code != EXIT_DONE) return code;
    const struct metrics_config metrics = {.window = (int)c->metrics_window,
                                           .max_episodes = t->learning.envs.count * (int)t->learning.algorithm->horizon,
                                           .sum = t->config->metrics_return == RETURN_SUM};
    t->metrics = metrics_create(&metrics, vecenv_spec(t->learning.env), t->comm);
    trainer_list_fields(t);
    return EXIT_DONE;
}

/* ---- the page ------------------------------------------------------------------------------------------------------------------------ */

static const char introduction[] =
    "# Checkpoints\n\n"
    "A checkpoint is everything that a run is: continuing from it gives the same bits as never having stopped. It is an HDF5 file behind\n"
    "a header of 512 bytes, which HDF5 skips as a user block: `h5ls -r`, `h5dump` and h5py open it as it is. This page is made from the\n"
    "list that a default run saves (`mappo docs checkpoint-format`).\n\n"
    "## The header\n\n"
    "`head -c 512 FILE` shows it: text, padded with spaces.\n\n"
    "```\n"
    "mappo checkpoint\n"
    "version 1\n"
    "size <bytes of the HDF5 file behind the header>\n"
    "sha256 <SHA-256 of these bytes: tail -c +513 FILE | sha256sum>\n"
    "env_steps <environment steps so far>\n"
    "```\n\n"
    "A reader rebuilds all 512 bytes and compares them before HDF5 sees the file: a flipped bit or a cut anywhere is an error (exit\n"
    "code 4), never a wrong number. `mappo inspect FILE --check` does just that, for all checkpoints of a run where it is given the "
    "run.\n\n"
    "## The HDF5 file\n\n"
    "Written in HDF5's earliest format with any HDF5 from 1.10 on: groups, contiguous datasets of little-endian `float32`, `float64`,\n"
    "`int64`, `uint64`, `int32` and `uint8`, and attributes that are texts of fixed length (UTF-8). Every dataset has the attributes "
    "`description` "
    "and\n"
    "`units`. No links, filters, chunks, external or virtual storage: a file that has any of them is refused, and so is one whose\n"
    "datasets have another type or shape than the configuration needs. The same training state and texts give the same bytes.\n\n"
    "A checkpoint is first built in memory and read back, then written to a temporary file, made durable with fsync and renamed: at any\n"
    "moment a kill or a full disk leaves either the old file or the new one. In a run's folder:\n\n"
    "| name | what |\n| --- | --- |\n"
    "| `step-<environment steps, 12 digits>.h5` | checkpoints: the last `checkpoint.keep`, that of update 0, and the best |\n"
    "| `latest.h5`, `best.h5` | symbolic links to two of them, for people: continuing and `mappo eval` go by what the files hold |\n"
    "| `replay-<environment steps, 12 digits>.h5` | the replays of the two newest checkpoints, where the learner has one (below) |\n"
    "| `.tmp-…` | a save in progress, or one that was killed; removed by the next start |\n"
    "| `damaged-step-….h5`, `damaged-replay-….h5` | found damaged when the run was continued from an older one |\n"
    "| `config.ini` | the settings in force, for people and for `--config`: a run that continues takes its own from its checkpoint, and "
    "says "
    "so where this file was edited |\n"
    "| `NAME.1`, `NAME.2`, … | what somebody had put where the run writes NAME |\n\n"
    "A run continues from the whole `step-*.h5` that holds the most environment steps, whatever number stands in its name. A renamed one "
    "is\n"
    "never removed; under other names (`keep.h5`) it is a file to play, inspect and start from, and counts again as `step-<12 "
    "digits>.h5`.\n"
    "The folder itself may be moved or renamed while a run writes it: the run goes on where it is then.\n\n"
    "### Attributes\n\n"
    "Group `/config` has one attribute for each configuration key (`ppo.clip`, `env.N`, …), as text that reads back identically. The root "
    "has\n"
    "what is told of the run besides; two checkpoints of the same training state may differ here, and in the datasets named at the end.\n"
    "Attribute `kind` is of other files: `episodes` ([recordings.md](recordings.md)), `replay` (below), and `networks`, which "
    "`scripts/import.py` "
    "makes:\nof those `/config` says only what the networks are, and what is not there (a critic, a normaliser) begins anew.\n\n"
    "| name | meaning |\n| --- | --- |\n";

static const char datasets[] =
    "\n### Datasets\n\n"
    "Names and layouts are those of PyTorch's state dictionaries: weights are `[out,in]`, `y = W x + b`. `agent` is the name of the\n"
    "group of agents (an environment has one or more); its number follows where each agent has its own (`/policy/agent/0/actor/…` with\n"
    "`policy.share=0`, `/policy/agent/0/critic/…` and `/policy/agent/0/value_norm` where `critic.share` is false or follows that). Shapes "
    "are\nthose of a default run.\n\n"
    "With `norm.obs=running` there are also, of all agents of a group together and of all that were seen: `/policy/agent/obs_norm/count` "
    "(rows),\n`…/mean` and `…/variance` (float64) of each observation entry, and the same in `state_norm` of each entry that the critic "
    "sees, "
    "unless it\nsees observations as well. Networks get (x - mean) / sqrt(variance + 1e-8), at most 10 from 0; x itself, within the same "
    "bounds, while\nthe count is 0. With `norm.reward=running`: `/policy/agent/reward_norm/…` of discounted returns, by whose deviation "
    "rewards are\ndivided, and `/rollout/agent/discounted_return` (float32, [environments,agents]), how far each has come.\n\n"
    "With `policy.conv` each network has `conv1/weight` ([out,in,rows,columns] of the kernel; the critic's `in` are the channels of all "
    "agents' images,\nagent by agent), `conv1/bias` and so on, and no `feature_norm`; the columns of `fc1/weight` are the features of the "
    "last convolution,\n[channel,row,column], then the observation's numbers that are in no image.\n\n"
    "With `policy=gru` each network has `gru/weight_ih` and `gru/weight_hh` ([3 hidden,hidden], rows reset, update, new), `gru/bias_ih`, "
    "`gru/bias_hh`,\n`gru_norm/weight` and `gru_norm/bias` as well. `/rollout/agent/actor_state` (float32, [environments,agents,hidden]) "
    "and "
    "`critic_state`\n([environments,critic inputs,hidden]; by agent where each has its own critic) are what they remember of the episodes "
    "that "
    "go on: zeros\nwhere one begins with the next step.\n\n"
    "With `group.agent.play=self` (docs/algorithms.md, Self-play) there is a pool of past actors: `/pool/agent/taken` (int64), how many "
    "copies "
    "were ever\ntaken, `/pool/agent/update` (int64, [group.agent.pool]), after which update each that is kept was, 0 where there is none "
    "yet; "
    "and of the\nk-th, from 0 on, `/pool/agent/k/actor/…` as `/policy/agent/actor/…` (`/pool/agent/k/0/actor/…` where each agent has its "
    "own) "
    "and\n`/pool/agent/k/obs_norm/…`. `/rollout/agent/member` (int32, [environments]): who has acted in the last rollout, -1 = the "
    "policy.\n\n"
    "The log standard deviations of Gaussian actions are `/policy/agent/actor/log_std` (float32, [real actions]); with `policy.std=state` "
    "`log_std/weight`\nand `log_std/bias` of a head that gives them for every state, within -20 .. 2; with `policy.std=fixed` there are "
    "none.\n\n"
    "| name | type | shape | unit | meaning |\n| --- | --- | --- | --- | --- |\n";

static const char replays[] =
    "\n## The replay\n\n"
    "An off-policy learner's replay is too large to be saved as often, kept as often, or held twice in memory. It stands in a file of its "
    "own beside\nthe checkpoint, which names it: attribute `replay` of the root (its file), `/replay/bytes` (int64) and `/replay/sha256` "
    "(uint8, 64 digits as\ntext). A checkpoint whose replay is missing, damaged or another one is bad: a run then continues from the pair "
    "before it, and where there is\nnone, ends with exit code 4. A run that had reached its end does without: only who raises that end "
    "needs its replay. The two newest checkpoints keep their replays, so the run's folder holds "
    "two, and a third while that is written; where\nthe disk has no room for it, the older one goes first. Older checkpoints and `best.h5` "
    "are for playing, comparing and `train.init`, which need no\nreplay. `replay.save=0` leaves replays out; it goes on from a "
    "checkpoint with its replay if that is there, else with an empty one, which is said, and is filled anew\nbefore it is learned from. "
    "Where one is saved "
    "`checkpoint.seconds` is 600 unless given. `mappo inspect RUN --check` reads replays, too.\n\n"
    "The file is one as described above (`h5ls`, `h5dump`, h5py and `mappo inspect` open it), with the root's attribute `kind` = `replay` "
    "and one line\nmore in the header, behind `env_steps`:\n\n"
    "```\n"
    "front <byte of the HDF5 file from which on there is nothing but data>\n"
    "```\n\n"
    "Data go to the file as the ranks hand them over, a few MB at a time, and the SHA-256 runs along; what stands in front of them and the "
    "header come last,\nso that a save which was cut off is not taken for a file. Places are numbered as the ring has them: step n is at "
    "place n mod (steps + 1), what is seen after\nit at the next place. The first of them that have been written are saved.\n\n"
    "| name | type | shape | meaning |\n| --- | --- | --- | --- |\n"
    "| `/counters/env_steps` | int64 |  | of the checkpoint that it belongs to |\n"
    "| `/replay/filled` | int64 |  | steps of every environment that it holds: the last ones |\n"
    "| `/replay/<group>/<array>` | float32, int32, uint8 | [places,environments,agents,numbers] | arrays of a group as `src/env/slices.h` "
    "lists them (`obs`, `act_int`, `reward`, `final_obs`, …), as far as the learner keeps them, by the environments' global index |\n"
    "| `/replay/priority` | float32 | [places,environments] | of `replay.priority`: by which steps are drawn; 0 where there is none |\n"
    "| `/replay/<array>` | float32, uint8 | [places,environments,numbers] | those of the environment (`state`, `ep_end`, …) |\n";

/* Extracted and run by a test, which compares its result with the program's own. */
static const char example[] =
    "\n"
    "## Reading a policy with h5py and NumPy\n"
    "\n"
    "Prints what an actor makes of one observation: for each head of its actions a line with the probabilities of the choices (of a\n"
    "1 for each bit), for real numbers two lines, means and standard deviations, before wrappers and masks. The group of agents, and with\n"
    "`policy.share=0` the agent, may follow: `python3 read_policy.py FILE 0.1,-0.2,… [GROUP [AGENT]]`. A recurrent actor wants all that "
    "was\n"
    "seen in the episode, first to last: `0.1,-0.2,…/0.3,0.1,…`. `scripts/mappo.py` is the same as a module, with masks, bounds of "
    "actions\n"
    "and batches ([export.md](export.md)).\n"
    "\n"
    "```python\n"
    "import json\n"
    "import sys\n"
    "import h5py\n"
    "import numpy as np\n"
    "\n"
    "with h5py.File(sys.argv[1]) as file:\n"
    "    config = file[\"config\"].attrs\n"
    "    tanh = config[\"policy.activation\"] == b\"tanh\"\n"
    "    layers = int(config[\"policy.layers\"])\n"
    "    same = config.get(\"policy.conv_padding\", b\"same\") == b\"same\"\n"
    "    fixed_std = float(config.get(\"policy.fixed_std\", 0))\n"
    "    file_spaces = file.attrs.get(\"spaces\", \"{}\")\n"
    "    action_heads = json.loads(file.attrs.get(\"action_heads\", \"{}\"))  # older checkpoints have none\n"
    "    group = sys.argv[3] if len(sys.argv) > 3 else next(iter(action_heads or file[\"policy\"]))\n"
    "    networks = file[\"policy\"][group]\n"
    "    obs_norm = {name: item[()] for name, item in networks[\"obs_norm\"].items()} if \"obs_norm\" in networks else {}\n"
    "    if \"actor\" not in networks:  # policy.share=0\n"
    "        networks = networks[sys.argv[4] if len(sys.argv) > 4 else \"0\"]\n"
    "    p = {}\n"
    "    networks[\"actor\"].visititems(lambda name, item: p.update({name: item[()].astype(float)}) if isinstance(item, h5py.Dataset) else "
    "None)\n"
    "\n"
    "def norm(x, name):\n"
    "    if name + \"/weight\" not in p:  # switched off\n"
    "        return x\n"
    "    return (x - x.mean()) / np.sqrt(x.var() + 1e-5) * p[name + \"/weight\"] + p[name + \"/bias\"]\n"
    "\n"
    "def convolve(x):  # images are [height,width,channels] in the observation, [channels,height,width] to the weights\n"
    "    at = 0  # where the image begins\n"
    "    for space in json.loads(file_spaces)[group][\"obs\"]:\n"
    "        if \"shape\" in space:\n"
    "            break\n"
    "        at += sum(space[\"n\"]) if \"n\" in space else space[\"size\"]\n"
    "    end = at + int(np.prod(space[\"shape\"]))\n"
    "    image, k = x[at:end].reshape(space[\"shape\"]).transpose(2, 0, 1), 1\n"
    "    while f\"conv{k}/weight\" in p:\n"
    "        w = p[f\"conv{k}/weight\"]\n"
    "        size, zeros = w.shape[2], w.shape[2] - 1 if same else 0\n"
    "        image = np.pad(image, ((0, 0),) + ((zeros // 2, zeros - zeros // 2),) * 2)\n"
    "        rows, columns = image.shape[1] - size + 1, image.shape[2] - size + 1\n"
    "        image = p[f\"conv{k}/bias\"][:, None, None] + sum(\n"
    "            np.tensordot(w[:, :, i, j], image[:, i:i + rows, j:j + columns], 1) for i in range(size) for j in range(size))\n"
    "        image, k = np.tanh(image) if tanh else np.maximum(image, 0), k + 1\n"
    "    return np.concatenate([image.ravel(), x[:at], x[end:]])\n"
    "\n"
    "h = np.zeros(len(p.get(\"gru/bias_hh\", ())) // 3)  # at the beginning of an episode\n"
    "for observation in sys.argv[2].split(\"/\"):\n"
    "    x = np.array(observation.split(\",\"), float)\n"
    "    if obs_norm:  # norm.obs=running\n"
    "        x = np.clip((x - obs_norm[\"mean\"]) / np.sqrt(obs_norm[\"variance\"] + 1e-8), -10, 10)\n"
    "    if \"conv1/weight\" in p:\n"
    "        x = convolve(x)\n"
    "    x = norm(x, \"feature_norm\")\n"
    "    for k in range(1, layers + 1):\n"
    "        x = p[f\"fc{k}/weight\"] @ x + p[f\"fc{k}/bias\"]\n"
    "        x = norm(np.tanh(x) if tanh else np.maximum(x, 0), f\"norm{k}\")\n"
    "    if len(h):  # policy=gru\n"
    "        xr, xz, xn = np.split(p[\"gru/weight_ih\"] @ x + p[\"gru/bias_ih\"], 3)\n"
    "        hr, hz, hn = np.split(p[\"gru/weight_hh\"] @ h + p[\"gru/bias_hh\"], 3)\n"
    "        r, z = 1 / (1 + np.exp(-xr - hr)), 1 / (1 + np.exp(-xz - hz))\n"
    "        h = (1 - z) * np.tanh(xn + r * hn) + z * h\n"
    "        x = norm(h, \"gru_norm\")\n"
    "log_std = p.get(\"log_std\")\n"
    "if \"log_std/weight\" in p:  # policy.std=state\n"
    "    log_std = np.clip(p[\"log_std/weight\"] @ x + p[\"log_std/bias\"], -20, 2)\n"
    "heads = [\"head\"] if \"head/weight\" in p else [f\"head{i}\" for i in range(len(action_heads[group]))]\n"
    "older = [[\"gaussian\" if log_std is not None or fixed_std else \"categorical\", 0]]\n"
    "for head, (kind, _) in zip(heads, action_heads.get(group, older)):\n"
    "    out = p[head + \"/weight\"] @ x + p[head + \"/bias\"]\n"
    "    if kind == \"categorical\":\n"
    "        probabilities = np.exp(out - out.max())\n"
    "        print(*probabilities / probabilities.sum())\n"
    "    elif kind == \"bernoulli\":\n"
    "        print(*1 / (1 + np.exp(-out)))\n"
    "    elif kind == \"softmax\":  # maddpg.actor=softmax: the action itself\n"
    "        print(*np.exp(out - out.max()) / np.exp(out - out.max()).sum())\n"
    "    elif kind in (\"tanh\", \"tanh_gaussian\"):  # algo=maddpg, ddpg: the action, or what it is without the policy's noise\n"
    "        print(*np.tanh(out))\n"
    "    else:\n"
    "        print(*out)\n"
    "        print(*(np.exp(log_std[:len(out)]) if log_std is not None else [fixed_std] * len(out)))\n"
    "        log_std = None if log_std is None else log_std[len(out):]\n"
    "```\n";

static void field_row(FILE *out, const struct field *field)
{
    fprintf(out, "| `%s` | %s | ", field->name, field_type_name(field));
    for (int i = 0; i < field->rank; i++)
        fprintf(out, "%s%" PRId64 "%s", i == 0 ? "[" : ",", field->shape[i], i == field->rank - 1 ? "]" : "");
    fprintf(out, " | %s | %s |\n", field->units != NULL && strcmp(field->units, "1") != 0 ? field->units : "", field->description);
}

static void print_page(FILE *out, const struct field_list *fields)
{
    fputs(introduction, out);
    for (const struct checkpoint_provenance *p = checkpoint_provenance; p->name != NULL; p++)
        if (p->name[0] != '/') fprintf(out, "| `%s` | %s |\n", p->name, p->help);
    fputs(datasets, out);
    for (int i = 0; i < fields->count; i++) field_row(out, &fields->field[i]);
    fputs("\nNot part of the training state, and left out when `mappo inspect A B` compares two checkpoints:", out);
    for (const struct checkpoint_provenance *p = checkpoint_provenance; p->name != NULL; p++)
        if (p->name[0] == '/') fprintf(out, "\n`%s` (%s).", p->name, p->help);
    fputs("\n\n`/metrics/line` (uint8, one JSON object) is there only in the checkpoint of a run that was stopped during an evaluation: "
          "the last\n"
          "update's line of metrics.jsonl, which is written when the run goes on and that evaluation has been made.\n",
          out);
    fputs(replays, out);
    fputs(example, out);
}

int checkpoint_markdown(FILE *out, struct comm *comm)
{
    struct error err = {0};
    struct config *config = calloc(1, sizeof *config);
    struct trainer *t = calloc(1, sizeof *t);
    CHECK(config != NULL && t != NULL, "out of memory listing a run's fields");
    config_defaults(config);
    t->config = config;
    t->comm = comm;
    const int code = comm_vote(comm, open_parts(t, &err), &err);
    if (code != EXIT_DONE)
        error_report(&err);
    else if (comm->rank == 0) {
        const struct field_list fields = trainer_file_fields(t);
        print_page(out, &fields);
        free(fields.field);
    }
    trainer_close(t, 0);
    free(t);
    free(config);
    return code;
}

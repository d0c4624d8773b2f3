#!/usr/bin/env bash
# scripts/check_docs.py finds what pages name and the program has not, and nothing else.
set -u
cd "$(dirname "$0")/../.." || exit 1
program=$(readlink -f "${MAPPO:-build/mappo}")
work=$(mktemp -d --suffix=.mappo-check-docs) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0
check() { # NAME EXPECTED ACTUAL
    if [ "$2" = "$3" ]; then echo "ok - $1"; else
        failed=1
        echo "not ok - $1: expected \"$2\", got \"$3\""
    fi
}
look() { "${PYTHON:-python3}" scripts/check_docs.py --program "$program" "$1" 2>&1; }
cat >"$work/wrong.md" <<'END'
# Wrong
`ppo.cliprange`, `env.nn=3`, `group.a.plai`, `mappo evl RUN`, `algo=qmix`, `preset=sb4`, `env=mpe/simple_sprad`, `scripts/no.sh`
[a](no.md), [b](#wrong), [c](#right)
```sh
./build/mappo evel RUN   # as no other
./build/mappo env=classic/CartPole-v9 ppo.epoch=3
```

    mappo ppo.foo=1
END
check what_is_not_there_is_named "1: the link to #right names no heading there
1: the link to no.md leads nowhere
2: no environment has the option env.nn
2: there is no algo=qmix
2: there is no command mappo evl
2: there is no environment mpe/simple_sprad
2: there is no file scripts/no.sh
2: there is no key group.a.plai
2: there is no key ppo.cliprange
2: there is no preset=sb4
4: there is no command mappo evel
4: there is no environment classic/CartPole-v9
4: there is no key ppo.epoch
9: there is no key ppo.foo" "$(look "$work/wrong.md" | sed 's/^[^:]*://' | LC_ALL=C sort)"
cat >"$work/right.md" <<'END'
# 强化学习 and `so on`
`ppo.clip`, `env.N=3`, `group.NAME.play`, `mappo eval RUN`, `algo=happo`, `preset=sb3`, `env=simple_spread_v3`, `scripts/lint.sh`, `--train.learning-rate`, `train.py`, ppo.none
[a](right.md), [b](#强化学习-and-so-on), [c](https://example.org/no.md)
END
check what_is_there_is_not "" "$(look "$work/right.md")"
look "$work/right.md" && ! look "$work/wrong.md" >/dev/null
check the_exit_code_says_so_too 0 $?

# ---- the recipe of docs/tensorboard.md, with a stand-in for the package ----
sed -n '/^```python$/,/^```$/p' docs/tensorboard.md | grep -v '^```' | sed "s|RUN/|$work/run/|" >"$work/to_wandb.py"
cat >"$work/wandb.py" <<'END'
def init(project, name, config):
    assert config["env"]["name"] == "mpe/simple_spread"
def log(row, step):
    assert row["env_steps"] == step and None not in row.values()
    print(step)
END
"$program" run="$work/run" train.env_steps=400 rollout.envs=4 rollout.steps=25 threads=1 --quiet >/dev/null 2>&1
check metrics_go_to_weights_and_biases_as_the_page_says "100 200 300 400" "$("${PYTHON:-python3}" "$work/to_wandb.py" 2>&1 | tr '\n' ' ' | sed 's/ $//')"
exit $failed

#!/usr/bin/env bash
# slow
# timeout: 600
# The whole program with backend=cuda, on the emulated device or a real one: what it learns, saves, continues and says when the device is not as
# it should be.
set -u
cd "$(dirname "$0")/../.." || exit 1
MAPPO=${MAPPO_EMULATED:-${BUILD:-build}/emulated/mappo}
if ! [ -x "$MAPPO" ]; then
    echo "ok - training_on_a_device # SKIP needs $MAPPO (make emulated)"
    exit 0
fi
# shellcheck disable=SC1091
. tests/mpi/train.sh
TINY="policy.hidden=64 ppo.epochs=2 rollout.envs=8 rollout.steps=10 eval.env_steps=0 checkpoint.seconds=0 checkpoint.interval=2 threads=1"
UPDATE=80
steps() { echo "train.env_steps=$(($1 * UPDATE))"; }
same() { "$MAPPO" inspect "$1/latest.h5" "$2/latest.h5" >"$WORK/inspect" 2>&1; echo $?; }

# ---- the same bits, again and in two parts; in another order of the threads ----
ranks 1 backend=cuda run="$WORK/a" "$(steps 6)"
expect a_run_on_the_device_ends_well 0 $?
if grep -q 'GPU' "$WORK/out" && grep -q 'environments step on the device' "$WORK/out"; then pass the_first_lines_name_the_gpu; else fail the_first_lines_name_the_gpu "$(head -8 "$WORK/out")"; fi
ranks 1 backend=cuda run="$WORK/b" "$(steps 4)" && ranks 1 backend=cuda run="$WORK/b" "$(steps 6)"
expect a_continued_run_has_the_same_bits 0 "$(same "$WORK/a" "$WORK/b")"
emulated=$(grep -c 'emulated GPU' "$WORK/out")
if [ "$emulated" != 0 ]; then
    MAPPO_EMULATE_ORDER=reverse ranks 1 backend=cuda run="$WORK/r" "$(steps 6)"
    expect the_order_of_threads_changes_no_bit 0 "$(same "$WORK/a" "$WORK/r")"
    # Evaluations, checkpoints and recordings are part of it. A few kernels run before: opening the device tries one.
    for place in device host; do
        MAPPO_EMULATE_FAULT=full_after:5 ranks 1 backend=cuda cuda.environments=$([ $place = device ] && echo 1 || echo 0) run="$WORK/full-$place" "$(steps 6)" eval.interval=2 eval.episodes=5
        expect "nothing_is_allocated_while_training (environments on the $place)" 0 $?
    done
    # The device works only when it is waited for, and its memory is closed to the host (tests/README.md).
    for place in device host; do
        MAPPO_EMULATE_LATE=1 MAPPO_EMULATE_GUARD=1 ranks 1 backend=cuda cuda.environments=$([ $place = device ] && echo 1 || echo 0) run="$WORK/late-$place" "$(steps 6)"
        expect "the_host_waits_for_what_it_reads (environments on the $place)" "0 0" "$? $(same "$WORK/a" "$WORK/late-$place")"
    done
fi
ranks 1 backend=cuda cuda.graphs=0 run="$WORK/g" "$(steps 6)"
expect graphs_change_no_bit 0 "$(same "$WORK/a" "$WORK/g")"
ranks 1 backend=cuda cuda.environments=0 run="$WORK/h" "$(steps 6)"
expect environments_on_the_host_change_no_bit 0 "$(same "$WORK/a" "$WORK/h")"
for way in "" cuda.environments=0; do
    ranks 1 backend=cuda run="$WORK/wrapped$way" "$(steps 6)" wrap.stack_obs=2 wrap.last_action=1 wrap.sticky_action=0.3 $way
    [ -n "$way" ] || expect wrapped_environments_say_that_they_step_on_the_host 1 "$(grep -c 'environments step on the host: mpe/simple_spread: its wrappers work on the host' "$WORK/out")"
done
expect and_do_so_beside_the_device 0 "$(same "$WORK/wrapped" "$WORK/wrappedcuda.environments=0")"

# ---- groups that are played: by networks on the device, by others on the host ----
TAG="env=mpe/simple_tag $(steps 3)"
ranks 1 backend=cuda run="$WORK/tag" $TAG group.agent.play=random
expect a_random_group_is_played_on_the_host "0 1" "$? $(grep -c 'environments step on the host: group.agent.play=random' "$WORK/out")"
ranks 1 backend=cuda run="$WORK/prey" $TAG
for way in "" cuda.environments=0; do ranks 1 backend=cuda run="$WORK/hunt$way" $TAG group.adversary.play="$WORK/prey" $way; done
expect networks_of_another_run_play_on_the_device 0 "$(same "$WORK/hunt" "$WORK/huntcuda.environments=0")"

# ---- recurrent networks: what they remember, evaluations too ----
GRU="backend=cuda policy=gru ppo.chunk=4 policy.hidden=8 ppo.minibatches=2 rollout.envs=4 ppo.epochs=1 eval.interval=2 eval.episodes=3 checkpoint.interval=2"
gru_steps() { echo "train.env_steps=$(($1 * 40))"; }
MAPPO_EMULATE_GUARD=1 MAPPO_EMULATE_LATE=1 ranks 1 $GRU run="$WORK/gru" "$(gru_steps 4)"
expect a_recurrent_run_on_the_device_ends_well 0 $?
ranks 1 $GRU run="$WORK/gru-cut" "$(gru_steps 2)" && ranks 1 $GRU run="$WORK/gru-cut" "$(gru_steps 4)" cuda.graphs=0
expect a_continued_recurrent_run_has_the_same_bits 0 "$(same "$WORK/gru" "$WORK/gru-cut")"

# ---- past selves act on the device ----
SELVES="$GRU env=mpe/simple_tag group.adversary.play=self group.adversary.pool_interval=1 group.adversary.pool_share=0.5 group.agent.play=self group.agent.pool_share=0.3"
MAPPO_EMULATE_GUARD=1 MAPPO_EMULATE_LATE=1 ranks 1 $SELVES run="$WORK/selves" "$(gru_steps 4)"
expect a_run_against_past_selves_ends_well "0 1" "$? $(grep -c 'environments step on the device' "$WORK/out")"
ranks 1 $SELVES run="$WORK/selves-cut" "$(gru_steps 2)" && ranks 1 $SELVES run="$WORK/selves-cut" "$(gru_steps 4)" cuda.graphs=0 cuda.environments=0
expect it_continues_beside_the_device_with_the_same_bits 0 "$(same "$WORK/selves" "$WORK/selves-cut")"

# ---- how much of the device's time stepping hides ----
hidden() { # RUN: every update's number: null, or how many updates lie below, within and above a half, and outside 0 … 1
    sed -n 's/.*"hidden_fraction":\([^,}]*\).*/\1/p' "$1/metrics.jsonl" | awk '
        $1 == "null" { none++; next } $1 < 0 || $1 > 1 { wrong++; next } $1 < 0.5 { low++; next } { high++ }
        END { print none + 0, "null", low + 0, "low", high + 0, "high", wrong + 0, "wrong" }'
}
expect nothing_is_hidden_where_environments_step_on_the_device "6 null 0 low 0 high 0 wrong" "$(hidden "$WORK/a")"
if [ "$emulated" = 0 ]; then
    expect what_stepping_hides_is_a_fraction "0 null 0 wrong" "$(hidden "$WORK/h" | sed 's/ [0-9]* low [0-9]* high//')"
else
    # The emulated device works while it is called, and nobody waits for it; or only while the host waits.
    expect what_stepping_hides_is_a_fraction "0 null 0 low 6 high 0 wrong" "$(hidden "$WORK/h")"
    expect nothing_is_hidden_of_a_device_that_is_waited_for "0 null 6 low 0 high 0 wrong" "$(hidden "$WORK/late-host")"
fi

# ---- a plugin with kernels: docs/env-abi.md's two lines, with the host's compiler in place of nvcc ----
if [ "$emulated" != 0 ]; then
    printf '#include "cuda/lane_kernels.h"\n#include "envs/template/meeting.c"\n' >"$WORK/meeting.cu"
    "${CC:-cc}" -std=c11 -O1 -ffp-contract=off -fPIC -Isrc -c -o "$WORK/meeting.o" envs/template/meeting.c &&
        g++ -std=c++17 -O1 -ffp-contract=off -fPIC -Itests/cuda/emulation -Isrc -I. -x c++ -c -o "$WORK/meeting.cu.o" "$WORK/meeting.cu" &&
        g++ -shared -o "$WORK/meeting.so" "$WORK/meeting.o" "$WORK/meeting.cu.o"
    expect a_plugin_s_kernels_compile 0 $?
    ranks 1 backend=cuda env="$WORK/meeting.so" run="$WORK/plugin" "$(steps 4)"
    expect a_plugin_with_kernels_steps_on_the_device "0 1" "$? $(grep -c 'environments step on the device' "$WORK/out")"
    ranks 1 backend=cuda env="$WORK/meeting.so" cuda.environments=0 run="$WORK/plugin-host" "$(steps 4)"
    expect a_plugin_has_the_same_bits_on_the_host 0 "$(same "$WORK/plugin" "$WORK/plugin-host")"
    ranks 1 backend=cuda env="${BUILD:-build}/tests/meeting.so" run="$WORK/plugin-none" "$(steps 1)"
    expect a_plugin_without_kernels_steps_on_the_host "0 1" "$? $(cat "$WORK/out" "$WORK/err" | grep -c 'template/meeting: it has no kernels')"
fi

# ---- checkpoints move between device and cores ----
for way in "cuda cpu" "cpu cuda"; do
    first=${way% *} second=${way#* }
    ranks 1 backend="$first" run="$WORK/$first-$second" "$(steps 4)" && ranks 1 backend="$second" run="$WORK/$first-$second" "$(steps 6)"
    expect "saved_by_${first}_continues_on_${second}" "0 1-6" "$? $(updates_of "$WORK/$first-$second")"
done
"$MAPPO" eval "$WORK/a" backend=cuda episodes=16 --json >"$WORK/out" 2>"$WORK/err" && "$MAPPO" eval "$WORK/a" backend=cpu episodes=16 --json >"$WORK/out.cpu"
close=$(sed -n 's/.*"return_mean": *\(-*[0-9.]*\).*/\1/p' "$WORK/out" "$WORK/out.cpu" | awk '
    { mean[NR] = $1 } END { d = mean[1] - mean[2]; print (NR == 2 && d < 0.5 && d > -0.5) ? "close" : mean[1] " and " mean[2] }')
expect an_evaluation_on_the_device_is_the_cpus "close" "$close"

# ---- ranks ----
if [ -n "$LAUNCH" ]; then
    ranks 2 backend=cuda comm.gpu=staged run="$WORK/two" "$(steps 4)"
    expect two_ranks_share_a_device "0 1-4" "$? $(updates_of "$WORK/two")"
    for n in 1 2 4; do ranks $n backend=cuda comm.pod=1 comm.reproducible=1 comm.shards=4 run="$WORK/n$n" "$(steps 4)" || cat "$WORK/err"; done
    expect two_ranks_have_the_bits_of_one 0 "$(same "$WORK/n1" "$WORK/n2")"
    expect four_ranks_have_the_bits_of_one 0 "$(same "$WORK/n1" "$WORK/n4")"
fi

# ---- numbers that are not finite, and environments that do otherwise than they declare ----
for fault in nan_reward:6 nan_obs:6 inf_reward:6 no_choice:3 unshared_reward:3; do
    code=${fault#*:} fault=${fault%:*}
    for backend in cpu cuda; do
        ranks 1 backend=$backend env=test/kitchen_sink env.fault=$fault env.fault_env=3 env.fault_step=25 env.mortal=$((code == 6)) run="$WORK/$fault-$backend" "$(steps 6)"
        echo "$? $(sed 's/.*: environment/environment/' "$WORK/err")" >"$WORK/$fault.$backend"
    done
    expect "${fault}_is_reported_as_on_the_cpu" "$(cat "$WORK/$fault.cpu")" "$(cat "$WORK/$fault.cuda")"
    expect "${fault}_ends_with_${code}_and_names_environment_agent_and_step" "$code 1" \
        "$(cut -d' ' -f1 "$WORK/$fault.cuda") $(grep -c 'number 3: .* agent [0-9] of group .*, after step 25$' "$WORK/$fault.cuda")"
done
# Steps of an episode are counted on the device and looked at once a rollout.
ranks 1 backend=cuda env=test/kitchen_sink env.fault=endless env.fault_env=3 run="$WORK/endless" "$(steps 6)"
expect an_episode_beyond_its_limit_ends_with_3_and_names_the_environment "3 1" "$? $(grep -c 'number 3: its episode goes on .*, after step [0-9]*$' "$WORK/err")"

# ---- the benchmark of environments on the host: no times, only that its numbers are there and fit each other ----
"$MAPPO" bench backend=cuda env=test/busy env.microseconds=20 rollout.envs=8 rollout.steps=5 policy.hidden=64 ppo.epochs=1 threads=1 --json >"$WORK/out" 2>"$WORK/err"
number() { sed -n "s/.*\"$1\": \([0-9.e+-]*\)[,}].*/\1/p" "$WORK/out"; }
expect a_benchmark_tells_what_host_and_learning_could_do_alone "1 fits" "$(wc -l <"$WORK/out") $(echo "$(number env_steps_per_second)" "$(number host_env_steps_per_second)" \
    "$(number learning_env_steps_per_second)" "$(number ratio_to_smaller)" "$(number hidden_fraction)" | awk '{
        smaller = $2 < $3 ? $2 : $3; off = NF == 5 ? $1 / smaller / $4 - 1 : 1
        print (NF == 5 && $2 <= 50000 && off < 0.01 && off > -0.01 && $5 >= 0 && $5 <= 1) ? "fits" : $0 }')"

# ---- keys of a GPU that change nothing are named, if the user set them ----
idle() { # NAME KEYS: the last run's warnings are of these keys
    expect "$1" "$2" "$(sed -n 's/^mappo: .*\(\(cuda\|comm\)\.[a-z]*\) has no effect here: .*/\1/p' "$WORK/err" | tr '\n' ' ')"
}
printf '[cuda]\ngraphs = 0\nprecision = float32\n' >"$WORK/keys.ini"
ranks 1 backend=cpu --config "$WORK/keys.ini" cuda.device=-1 comm.gpu=staged run="$WORK/idle" "$(steps 1)"
idle keys_of_a_gpu_are_named_on_the_cpu "comm.gpu cuda.device cuda.graphs "
ranks 1 backend=cuda --config "$WORK/keys.ini" cuda.device=-1 comm.gpu=staged run="$WORK/idle-gpu" "$(steps 1)"
idle sums_of_one_rank_are_named_on_the_gpu "comm.gpu "
ranks 1 backend=cpu run="$WORK/idle-none" "$(steps 1)"
idle who_sets_no_such_key_is_told_nothing ""
ranks 1 backend=cpu --config "$WORK/a/config.ini" run="$WORK/idle-ini" "$(steps 1)"
idle the_file_of_a_run_names_keys_without_meaning_them ""
if [ -n "$LAUNCH" ]; then
    ranks 2 backend=cuda comm.pod=1 comm.gpu=staged run="$WORK/idle-two" "$(steps 1)"
    idle two_ranks_have_sums_to_add_up ""
fi

if [ -n "$LAUNCH" ]; then
    # Of the last slice nobody has computed anything yet: only the rank that stepped there knows.
    ranks 2 backend=cuda comm.pod=1 comm.gpu=staged env=test/kitchen_sink env.fault=nan_obs env.fault_env=5 env.fault_step=9 run="$WORK/nan-two" "$(steps 6)"
    expect what_one_rank_alone_knows_ends_all "6 1" "$? $(grep -c 'number 5: observation of agent 0' "$WORK/err")"
fi

# ---- a device that is not as it should be ----
says() { # NAME CODE WORDS: the last run ended with CODE and said WORDS
    local code=$4
    if [ "$code" = "$2" ] && grep -qi -- "$3" "$WORK/err" "$WORK/out"; then pass "$1"; else fail "$1" "exit $code: $(tail -c 400 "$WORK/err" "$WORK/out")"; fi
}
ranks 1 backend=cuda cuda.device=7 run="$WORK/seven" "$(steps 2)"
says a_device_that_is_not_there_is_an_error 2 "cuda.device" $?
if [ "$emulated" = 0 ]; then
    for seed in 1 2; do
        "$MAPPO" train backend=cuda run="$WORK/learns$seed" seed=$seed env.rules=on-policy train.env_steps=1000000 eval.env_steps=0 --quiet >"$WORK/out" 2>"$WORK/err"
        "$MAPPO" train backend=cpu run="$WORK/learns$seed-cpu" seed=$seed env.rules=on-policy train.env_steps=1000000 eval.env_steps=0 --quiet >>"$WORK/out" 2>>"$WORK/err"
    done
    far=$(for way in "" -cpu; do for seed in 1 2; do "$MAPPO" eval "$WORK/learns$seed$way" backend=cpu episodes=1000 --json | sed -n 's/.*"return_mean": *\(-*[0-9.]*\).*/\1/p'; done; done | awk '
        { sum[NR > 2] += $1 / 2 } END { print (NR == 4 && sum[0] > -180 && sum[0] - sum[1] > -10) ? "learns as the CPU" : sum[0] " after 1 M steps, on the CPU " sum[1] }')
    expect the_curve_on_the_device_is_the_cpus "learns as the CPU" "$far"
    exit $failed
fi
MAPPO_EMULATE_DEVICES=0 ranks 1 backend=cuda run="$WORK/none" "$(steps 2)"
says no_device_is_an_error 5 "no .*device" $?
MAPPO_EMULATE_DEVICES=0 ranks 1 backend=auto run="$WORK/auto" "$(steps 2)"
says auto_falls_back_to_the_cpu_aloud 0 "computing on the CPU" $?
for fault in no_driver old_driver no_code exclusive; do
    MAPPO_EMULATE_FAULT=$fault ranks 1 backend=cuda run="$WORK/$fault" "$(steps 2)"
    code=$?
    case $fault in no_driver) advice=driver ;; old_driver) advice="driver" ;; no_code) advice="CUDA_ARCH" ;; exclusive) advice="pod" ;; esac
    says "${fault}_says_what_to_do" 5 "$advice" $code
done
MAPPO_EMULATE_MEMORY=1000000 ranks 1 backend=cuda run="$WORK/little" "$(steps 2)"
says too_little_memory_names_the_keys 2 "rollout.envs" $?
ranks 1 backend=cuda run="$WORK/lost" "$(steps 4)"
MAPPO_EMULATE_FAULT=lost_after:300 ranks 1 backend=cuda run="$WORK/lost" "$(steps 400)"
says a_lost_device_ends_the_run_with_5 5 "device" $?
"$MAPPO" inspect "$WORK/lost" --check >"$WORK/out" 2>&1
expect the_last_checkpoint_is_good 0 $?
exit $failed

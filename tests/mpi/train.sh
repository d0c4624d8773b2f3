# Sourced by the tests that train on several ranks. Sets MAPPO, WORK and TINY, and defines
#   ranks N [KEY=VALUE …]    trains on N ranks (under the mpirun of the library that $MAPPO uses); the exit code is the run's
#   start N KEY=VALUE …      the same in the background: LAUNCHER is its pid, $WORK/out its output
MAPPO=${MAPPO:-build/mappo}
WORK=$(mktemp -d)
trap 'rm -rf "$WORK"' EXIT
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
unset OMP_NUM_THREADS SLURM_CPUS_PER_TASK

# Small networks and few environments: an update takes a millisecond.
TINY="policy.hidden=16 ppo.epochs=2 rollout.envs=24 rollout.steps=10 eval.env_steps=0 checkpoint.seconds=0"
UPDATE=240 # environment steps

failed=0
pass() { echo "ok - $1"; }
fail() { echo "not ok - $1: $2"; failed=1; }
# name, expected, got
expect() { if [ "$2" = "$3" ]; then pass "$1"; else fail "$1" "expected '$2', got '$3': $(tail -c 400 "$WORK/out" "$WORK/err" 2>/dev/null | tr '\n' '|')"; fi; }
skip_all() { echo "ok - $1 # SKIP $2"; exit 0; }

find_launcher() {
    LAUNCH=${MAPPO_LAUNCH:-}
    [ -n "$LAUNCH" ] && return
    case $(ldd "$MAPPO" 2>/dev/null) in
    *libmpich*) LAUNCH=$(command -v mpirun.mpich || command -v mpirun) ;;
    *libmpi.so*) LAUNCH="$(command -v mpirun.openmpi || command -v mpirun) --quiet --oversubscribe --bind-to none" ;;
    esac
}
find_launcher

ranks() {
    local n=$1
    shift
    if [ "$n" = 1 ]; then
        timeout 100 "$MAPPO" $TINY "$@" >"$WORK/out" 2>"$WORK/err"
    else
        timeout 100 $LAUNCH -n "$n" "$MAPPO" $TINY "$@" >"$WORK/out" 2>"$WORK/err"
    fi
}

start() {
    local n=$1
    shift
    rm -f "$WORK/out" "$WORK/err"
    $LAUNCH -n "$n" "$MAPPO" $TINY "$@" >"$WORK/out" 2>"$WORK/err" &
    LAUNCHER=$!
}

# The ranks below the launcher: all processes of the program whose run= is this folder. By the shell itself: it is asked several times a second.
pids_of() { # folder
    local process words state
    for process in /proc/[0-9]*; do
        words=() state=Z
        { mapfile -d '' -t words <"$process/cmdline" && read -r _ _ state _ <"$process/stat"; } 2>/dev/null
        [ "${words[0]:-}" = "$MAPPO" ] && [[ " ${words[*]} " == *" run=$1 "* ]] && [ "$state" != Z ] && echo "${process#/proc/}"
    done
}

# Waits until the run has done some updates.
await_updates() { # folder, how many lines
    local _
    for _ in $(seq 300); do
        [ "$(wc -l 2>/dev/null <"$1/metrics.jsonl" || echo 0)" -ge "$2" ] && return
        sleep 0.1
    done
    fail "a_run_gets_going" "$(cat "$WORK/out" "$WORK/err")"
    return 1
}

# Waits for launcher and ranks: STATUS is the launcher's exit code, or "alive" after 30 s.
await_end() { # folder
    local _
    STATUS=alive
    for _ in $(seq 150); do
        if [ -z "$(pids_of "$1")" ] && ! { [ -d "/proc/$LAUNCHER" ] && [ "$(awk '/^State/ {print $2}' "/proc/$LAUNCHER/status" 2>/dev/null)" != Z ]; }; then
            wait "$LAUNCHER"
            STATUS=$?
            return
        fi
        sleep 0.2
    done
    kill -9 "$LAUNCHER" $(pids_of "$1") 2>/dev/null
}

# Updates written so far, each once and in order: "1-8".
updates_of() { # folder
    sed -n 's/^{"update":\([0-9]*\),.*/\1/p' "$1/metrics.jsonl" | awk 'NR == 1 { first = last = $1; next } $1 != last + 1 { print "gap after " last; exit } { last = $1 } END { print first "-" last }'
}

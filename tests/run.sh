#!/usr/bin/env bash
# Runs the test programs and adds up what they print (TAP).
#   tests/run.sh [--quick] [-j N] [-t SECONDS] [-v] [NAME ...]      NAME: part of a test program's path, such as `unit`, `mpi` or `test_philox`
#   -j N: how many at once (2);  -t SECONDS: none may run longer, whatever it says;  -v: also what passed
#   --quick: what takes at most two minutes, for every change. Left out is what says `# slow` (it names them): real Slurm jobs, killed and
#   hanging ranks, training on ranks and on the emulated device, learning, sanitizers, builds. scripts/test.sh runs everything.
# The programs must be built (`make all tests`); scripts/test.sh does everything. A program runs beside one other, those that may run longest
# first: for 180 s, unless a line of it says `# timeout: SECONDS` (C: `// timeout`). What says `# waits` computes little and runs beside
# these, as many at once. A program that crashes, hangs, prints no result or fewer than it announced has failed. The last line is `N passed, N failed,
# N skipped`; exit 1 if anything failed.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # as `sh run.sh`
set -u +o posix
cd "$(dirname "$0")/.." || exit 1

jobs=2 verbose=0 most="" quick=0 names=()
while [ $# -gt 0 ]; do
    case $1 in
    -j | -t)
        [[ ${2:-} =~ ^[1-9][0-9]*$ ]] || { echo "tests/run.sh: $1 needs a whole number from 1 on (tests/run.sh --help)" >&2 && exit 2; }
        if [ "$1" = -j ]; then jobs=$2; else most=$2; fi
        shift
        ;;
    -v) verbose=1 ;;
    --quick) quick=1 ;;
    -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' tests/run.sh && exit 0 ;;
    -*) echo "tests/run.sh: unknown option $1" >&2 && exit 2 ;;
    *) names+=("$1") ;;
    esac
    shift
done

BUILD=${BUILD:-build}
export BUILD MAPPO=${MAPPO:-$PWD/$BUILD/mappo}
[ -z "${MAPPO_MPICH:-}" ] && [ -x "$BUILD/mpich/mappo" ] && export MAPPO_MPICH=$PWD/$BUILD/mpich/mappo
# Programs of tests/cuda run on an emulated device (make emulated), or, with EMULATED=$BUILD, on a real one.
EMULATED=${EMULATED:-$BUILD/emulated}
export MAPPO_EMULATED=${MAPPO_EMULATED:-$PWD/$EMULATED/mappo}
export CMOCKA_MESSAGE_OUTPUT=TAP
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1} NO_COLOR=1
# A job that we ourselves run in must not be taken for the tests' own.
for name in $(compgen -e | grep -E '^(SLURM_|MAPPO_DEADLINE)'); do unset "$name"; done
# The Python that has what the tests read with: often not the first on PATH.
PYTHON=${PYTHON:-$(tests/python.sh)}
export PYTHON

logs=$(mktemp -d --suffix=.mappo-tests) || exit 1
# Nobody writes to it: a pause that starts no process.
mkfifo "$logs/never" && exec {never}<>"$logs/never" || exit 1
running=()
cleanup() {
    for pid in "${running[@]:-}"; do [ -n "$pid" ] && kill "$pid" 2>/dev/null; done
    rm -rf "$logs"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# ---- which ----
wanted() {
    [ ${#names[@]} -eq 0 ] && return 0
    local name
    for name in "${names[@]}"; do case $1 in *"$name"*) return 0 ;; esac done
    return 1
}
says() { grep -qE "^(#|//) $2\$" "$1"; } # SOURCE WORD: on a line of its own
seconds_of() { # SOURCE: how long it may run
    local limit
    limit=$(sed -nE 's,^(#|//) timeout: *([0-9]+).*,\2,p' "$1" | head -1)
    echo "${limit:-180}"
}
# Long ones first, so that none is left over at the end beside an idle core.
sorted() {
    local source
    for source in tests/*/test_*; do
        case $source in *.sh | *.py) ;; tests/unit/*.c | tests/parity/*.c | tests/cuda/*.c) ;; *) continue ;; esac
        [ ! -e "$source" ] || ! wanted "$source" || echo "$(says "$source" slow && echo 1 || echo 0) $(seconds_of "$source") $source"
    done | sort -s -k 1,1nr -k 2,2nr | cut -d ' ' -f 3
}
waiting=() computing=() left_out=()
for source in $(sorted); do
    if says "$source" slow && [ $quick = 1 ]; then
        left_out+=("${source#tests/}")
    elif says "$source" waits; then
        waiting+=("$source")
    else
        computing+=("$source")
    fi
done
if [ $((${#waiting[@]} + ${#computing[@]})) -eq 0 ]; then
    echo "tests/run.sh: no $([ $quick = 1 ] && echo quick )test program matches: ${names[*]:-(none there)}" >&2
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
fi

# ---- run ----
begin() { # SOURCE INDEX
    local limit command sanitized
    limit=$(seconds_of "$1")
    [ -z "$most" ] || [ "$limit" -le "$most" ] || limit=$most
    case $1 in
    tests/cuda/*.c) command=("$EMULATED/tests/$(basename "$1" .c)") ;;
    *.c) command=("$BUILD/tests/$(basename "$1" .c)") ;;
    *.py) command=("$PYTHON" "$1") ;;
    *) command=("$1") ;;
    esac
    # What is built with sanitizers (make sanitized), if it is the newer of the two: nothing is tested that was built before the last change.
    # Each array of the device by itself: its end is seen then. A real device has no sanitizers.
    sanitized=$BUILD/sanitized/tests/$(basename "$1" .c)
    case $1:$EMULATED in
    tests/cuda/*:"$BUILD") ;;
    *.c:*) [ "$sanitized" -nt "${command[0]}" ] && command=(env MAPPO_NO_ARENA=1 "$sanitized") ;;
    esac
    (
        trap - EXIT
        started=$(date +%s.%N)
        timeout -k 10 "$limit" "${command[@]}" >"$logs/$2.out" 2>"$logs/$2.err" </dev/null &
        child=$!
        trap 'kill "$child" 2>/dev/null; wait "$child"; exit 143' TERM
        { wait "$child"; } 2>/dev/null
        code=$?
        times >"$logs/$2.times" # this shell's, then its children's
        echo "$code $(echo "$(date +%s.%N) $started" | awk '{printf "%.1f", $1 - $2}') $limit $(tail -1 "$logs/$2.times" | tr ms '  ' | awk '{printf "%.1f", $1 * 60 + $2 + $3 * 60 + $4}')" >"$logs/$2.new"
        mv "$logs/$2.new" "$logs/$2.rc"
    ) &
    running[$2]=$!
}

passed=0 failed=0 skipped=0 failures=()
report() { # SOURCE INDEX
    local rc seconds limit cores ok bad skip planned why=""
    read -r rc seconds limit cores <"$logs/$2.rc"
    # `ok 3 # SKIP name` and, in newer versions, `not ok 3 # SKIP name` are cmocka's, `ok - name # SKIP reason` is ours.
    read -r ok bad skip planned < <(awk '
        /^(not )?ok([ \t]|$)/ { if ($0 ~ /# *[Ss][Kk][Ii][Pp]([ \t]|$)/) skip++; else if ($1 == "ok") ok++; else bad++ }
        /^1\.\.[0-9]+/ { split($1, plan, "[.][.]"); planned += plan[2] }
        END { print ok + 0, bad + 0, skip + 0, planned + 0 }' "$logs/$2.out")
    if [ "$planned" -gt $((ok + bad + skip)) ]; then
        bad=$((bad + planned - ok - bad - skip)) why="announced $planned tests and did not finish them"
    fi
    if [ "$rc" = 124 ] || [ "$rc" = 137 ]; then
        why="stopped after its time limit of $limit s"
    elif [ "$rc" -gt 128 ] && [ "$rc" -lt 192 ]; then
        why="killed by signal $((rc - 128))"
    elif [ "$rc" = 126 ] || [ "$rc" = 127 ]; then
        why="could not be started"
    elif [ "$rc" != 0 ] && [ "$bad" = 0 ]; then
        why="exit code $rc"
    elif [ $((ok + bad + skip)) = 0 ]; then
        why="printed no result"
    fi
    [ -n "$why" ] && [ "$bad" = 0 ] && bad=1
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
    local counts="$ok passed"
    [ "$bad" -gt 0 ] && counts="$counts, $bad failed"
    [ "$skip" -gt 0 ] && counts="$counts, $skip skipped"
    printf '%-4s %7s s %6s cpu  %-46s %s%s\n' "$([ "$bad" -gt 0 ] && echo FAIL || echo ok)" "$seconds" "$cores" "${1#tests/}" "$counts" "${why:+ ($why)}"
    grep -hiE '^(not )?ok.*# *skip' "$logs/$2.out" | sed -E 's/^(not )?ok *[0-9]* *-? *//; s/# *SKIP *//I; s/^/       skipped: /' | sort -u | head -8
    if [ "$bad" -gt 0 ]; then
        failures+=("$1")
        grep -viE '^(not )?ok.*# *skip' "$logs/$2.out" | grep -hE -A12 '^not ok' | grep -vE '^(ok|1\.\.)' | head -60 | sed 's/^/       /'
        [ -n "$why" ] && tail -15 "$logs/$2.out" | sed 's/^/       out: /'
        tail -25 "$logs/$2.err" | sed 's/^/       err: /'
    elif [ $verbose = 1 ]; then
        sed 's/^/       /' "$logs/$2.out"
    fi
}

finish_some() { # reports what has ended
    local index
    for index in "${!running[@]}"; do
        if [ -e "$logs/$index.rc" ]; then
            report "${sources[$index]}" "$index"
        elif ! kill -0 "${running[$index]}" 2>/dev/null && [ ! -e "$logs/$index.rc" ]; then
            echo "137 0 0 0" >"$logs/$index.rc" && report "${sources[$index]}" "$index"
        else
            continue
        fi
        wait "${running[$index]}" 2>/dev/null
        unset "running[$index]"
    done
}

# As many that compute as asked for, and beside them as many that wait; one at a time is one.
sources=(${waiting[@]+"${waiting[@]}"} ${computing[@]+"${computing[@]}"})
next=(0 ${#waiting[@]}) end=(${#waiting[@]} ${#sources[@]}) # of each kind: its first in sources that has not begun, and behind its last
while [ ${next[0]} -lt ${end[0]} ] || [ ${next[1]} -lt ${end[1]} ] || [ ${#running[@]} -gt 0 ]; do
    finish_some
    count=(0 0) begun=0
    for index in "${!running[@]}"; do kind=$((index < end[0] ? 0 : 1)) && count[kind]=$((count[kind] + 1)); done
    for kind in 0 1; do
        if [ ${next[kind]} -lt ${end[kind]} ] && [ ${count[kind]} -lt "$jobs" ] && { [ "$jobs" -gt 1 ] || [ ${#running[@]} = 0 ]; }; then
            begin "${sources[next[kind]]}" "${next[kind]}"
            next[kind]=$((next[kind] + 1)) begun=1
        fi
    done
    [ $begun = 1 ] || read -rt 0.05 -u "$never" || true
done

[ ${#left_out[@]} -gt 0 ] && printf 'left out as slow: %s\n' "${left_out[*]}"
[ ${#failures[@]} -gt 0 ] && printf 'failed: %s\n' "${failures[@]}"
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]

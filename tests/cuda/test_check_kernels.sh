#!/usr/bin/env bash
# timeout: 300
# `mappo check` runs an environment's kernels where the program has a device, here the emulated one, and compares them with the host.
set -u
. "$(dirname "$0")/../tap.sh"
cd "$(dirname "$0")/../.." || exit 1
MAPPO=${MAPPO_EMULATED:-${BUILD:-build}/emulated/mappo}
if ! [ -x "$MAPPO" ]; then
    echo "ok - kernels_are_checked # SKIP needs build/emulated/mappo (make emulated)"
    exit 0
fi
folder=$(mktemp -d "${TMPDIR:-/tmp}/mappo-check.XXXXXX") || exit 1
trap 'rm -rf "$folder"' EXIT

# The template, whose kernels and nothing else do something different.
build() { # FAULT
    local here=$folder/$1
    mkdir "$here"
    sed 's|^    w->steps++;$|    w->steps++;\n#if defined __cplusplus \&\& defined FAULT\n    FAULT;\n#endif|
         s|^    const int met = low == high;$|    const int met = low == high + (SOONER);|' envs/template/meeting.c >"$here/meeting.c"
    sed -n '/^```cuda$/,/^```$/p' docs/env-abi.md | sed '/^```/d' >"$here/meeting.cu"
    local sooner=0
    [ "$1" = end ] && sooner='w->steps > 3 ? low - high : 0'
    ${CC:-cc} -std=c11 -O2 -ffp-contract=off -fPIC -Isrc -D'SOONER=0' -c -o "$here/meeting.o" "$here/meeting.c" &&
        ${CXX:-g++} -x c++ -std=c++17 -O1 -ffp-contract=off -fPIC -Itests/cuda/emulation -Isrc -I. -D"SOONER=$sooner" ${2:+-D"FAULT=$2"} -shared -o "$here/meeting.so" \
            "$here/meeting.cu" -x none "$here/meeting.o"
}
planted() { # FAULT CODE LINE
    build "$1" "$2" || { is "${1}_compiles" yes no && return; }
    said=$("$MAPPO" check "$folder/$1/meeting.so" steps=100 2>&1)
    is "kernels_with_another_${1}_are_named" "3 1 1" "$? $(grep -c "^fault: $3" <<<"$said") $(grep -c '^fault' <<<"$said")"
}
build none "" || exit 1
said=$("$MAPPO" check "$folder/none/meeting.so" steps=100 2>&1)
is sound_kernels_are_sound "0 1" "$? $(grep -c "^kernels: the host's bits in 100 steps of 8 environments on " <<<"$said")"
said=$("$MAPPO" check test/busy steps=20 2>&1)
is that_there_are_none_is_said "0 1" "$? $(grep -c '^kernels: none: it steps on the host' <<<"$said")"
said=$("$MAPPO" check test/kitchen_sink env.delay_ms=0.001 steps=20 2>&1)
is that_options_keep_it_on_the_host_is_said "0 1" "$? $(grep -c "^kernels: not run: test/kitchen_sink: its kernels don't know these options" <<<"$said")"
planted cell 'w->cell[0] = 0' 'its kernels show something else than the host .*: .* of group "agent", environment [0-7], agent [0-9]'
planted state 'w->spare = 1' 'its kernels leave another state than the host (environment 0, step 49)'
planted end '' 'its kernels show something else than the host .*'
planted crash '*(volatile int *)8 = 1' 'crashed in its kernels of step() of environments \[0, 8), step 0 (SIGSEGV'
exit $failed

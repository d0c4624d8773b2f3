#!/usr/bin/env bash
# The emulated device computes what a device would, and finds what it is there for: missing and divergent barriers, accesses beyond memory,
# kernels that follow addresses of the host, hosts that touch the device's memory or read before they have waited, graphs that cannot be.
# slow
set -u
cd "$(dirname "$0")/../.." || exit 1
work=$(mktemp -d --suffix=.mappo-emulation) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0
check() { # NAME EXPECTED ACTUAL
    if [ "$2" = "$3" ]; then echo "ok - $1"; else failed=1 && echo "not ok - $1: expected '$2', got '$3': $(tail -3 "$work/err" | tr '\n' '|')"; fi
}
build() { # NAME FLAGS...
    g++ -std=c++17 -D_GNU_SOURCE -g -O1 -Wall -Wextra -Werror -Itests/cuda/emulation "${@:2}" -x c++ tests/cuda/emulation/checks.cu -x none tests/cuda/emulation/*.cc -lpthread -o "$work/$1" 2>"$work/$1.log" ||
        echo "not ok - the emulation builds ($1): $(grep -m2 error "$work/$1.log")"
}
build plain &
build asan -fsanitize=address,undefined -fno-sanitize-recover=undefined
wait
[ -x "$work/plain" ] && [ -x "$work/asan" ] || exit 1
code() { "$work/$1" "$2" >"$work/out" 2>"$work/err"; echo $?; } # PROGRAM CASE
says() { grep -qE -- "$1" "$work/err" && echo yes; }
opposite() { MAPPO_EMULATE_ORDER=reverse code "$@"; }
ASAN_OPTIONS=detect_leaks=0
export ASAN_OPTIONS

for program in plain asan; do
    for name in right warps graph poison given waited; do
        check "${name}_computes_in_any_order ($program)" "0 0 0 0" "$(code $program $name) $(opposite $program $name) $(MAPPO_EMULATE_ORDER=5 code $program $name) $(MAPPO_EMULATE_LATE=1 code $program $name)"
    done
done

case "$(code plain missing) $(opposite plain missing)" in 1\ 0 | 0\ 1 | 1\ 1) caught=yes ;; *) caught=no ;; esac
check a_missing_barrier_gives_something_else_in_one_of_two_opposite_orders yes $caught
for name in half ended; do
    check "a_barrier_that_threads_miss_is_an_error ($name)" "134 yes" "$(code plain $name) $(says 'kernel add_up, block \(0, 0, 0\).*32 wait at a barrier.*32 have ended')"
done
check a_write_beyond_memory_is_caught "1 yes" "$(code asan beyond) $(says 'heap-buffer-overflow')"
check following_an_address_of_the_host_is_an_error "139 yes" "$(code plain followed) $(says 'kernel follow .*address of the host')"
check a_host_that_touches_the_device_is_caught "0 139 yes" "$(code plain touched) $(MAPPO_EMULATE_GUARD=1 code plain touched) $(says 'host touches memory of the device')"
check the_guard_lets_the_device_work "0 0" "$(MAPPO_EMULATE_GUARD=1 code plain right) $(MAPPO_EMULATE_GUARD=1 code plain graph)"
check a_host_that_does_not_wait_reads_too_early "0 1" "$(code plain early) $(MAPPO_EMULATE_LATE=1 code plain early)"
check a_fork_that_is_not_joined_is_refused "2 yes" "$(code plain unjoined) $(says cudaErrorStreamCaptureUnjoined)"
check waiting_while_capturing_is_refused "2 yes" "$(code plain waiting) $(says cudaErrorStreamCaptureUnsupported)"
exit $failed

#!/usr/bin/env bash
# mappo runs: every run with its state, and what differs among those of an environment.
set -u
. "$(dirname "$0")/../tap.sh"
MAPPO=$(cd "$(dirname "${MAPPO:-build/mappo}")" && pwd)/$(basename "${MAPPO:-build/mappo}")
WORK=$(mktemp -d)
trap 'kill "${pid:-}" 2>/dev/null; wait 2>/dev/null; rm -rf "$WORK"' EXIT
cd "$WORK" || exit 1

row() { # run: its line, blanks pressed together, without when it was written
    "$MAPPO" runs | sed -n "s/  */ /g;s/ [0-9]* [a-z]* ago/ now/;s|^$1 ||p"
}
train() { # folder settings...
    "$MAPPO" run="runs/$1" "${@:2}" threads=1 rollout.envs=4 rollout.steps=25 eval.env_steps=0 --quiet >/dev/null
}

has without_a_folder_it_is_said "there is no folder \"runs\" here: mappo runs FOLDER" "$("$MAPPO" runs 2>&1)"
mkdir runs
has an_empty_folder_has_none "no run in runs: mappo runs FOLDER lists those of another folder" "$("$MAPPO" runs)"
mkdir empty
is another_empty_one_is_named "no run in empty" "$("$MAPPO" runs empty)"
game=(env=matrix/penalty train.env_steps=400)
train group/one "${game[@]}"
train group/two "${game[@]}" seed=2
train group/clip "${game[@]}" ppo.clip=0.1
train spread train.env_steps=1e5 train.stop_return=-9999 checkpoint.best=training metrics.window=4
train stopped "${game[@]}"
sed -i 's/^env_steps = 400$/env_steps = 1000/' runs/stopped/config.ini
"$MAPPO" run=runs/live "${game[@]}" train.env_steps=1e12 threads=1 rollout.envs=4 eval.env_steps=0 --quiet >/dev/null 2>&1 &
pid=$!
for ((i = 0; i < 100; i++)); do [ -s runs/live/metrics.jsonl ] && break || sleep 0.1; done

has a_finished_run_says_so "matrix/penalty mappo finished 400 -" "$(row group/one)"
has what_differs_from_most_stands_there "now train.seed=2" "$(row group/two)"
has a_setting_by_its_full_name "now ppo.clip=0.1" "$(row group/clip)"
is what_most_have_is_left_out "" "$(row group/one | sed 's/.* now *//')"
has a_return_that_was_reached_ends_a_run "mpe/simple_spread mappo finished" "$(row spread)"
has steps_that_are_left_make_it_stopped "mappo stopped 400 (40 %)" "$(row stopped)"
has who_is_at_work_is_named "(process $pid on " "$(row live)"
has and_running "mappo running" "$(row live)"
kill "$pid" && wait "$pid" 2>/dev/null
has until_it_is_not "mappo stopped" "$(row live)"
has all_are_counted "6 runs, 4 finished, 2 stopped" "$("$MAPPO" runs)"
is a_run_alone_is_itself "1 run, 1 finished" "$("$MAPPO" runs runs/group/one | tail -1)"
is one_folder_of_them "3 runs, 3 finished" "$("$MAPPO" runs runs/group/ | tail -1)"

python3 - <<'END'
import json
line = json.loads(open("runs/group/clip/metrics.jsonl").readlines()[-1])
line.update({f"info/{i}": 0.123456789 for i in range(400)}, return_mean=-1.25)
print(json.dumps(line, separators=(",", ":")), file=open("runs/group/clip/metrics.jsonl", "a"))
END
has a_long_line_of_metrics_is_read_whole "finished 400 -1.25" "$(row group/clip)"
if strace -f -o calls -e trace=open,openat,read,pread64 "$MAPPO" runs runs/group/two >/dev/null 2>&1; then
    is only_what_is_needed_is_opened "5 1" "$(grep -c '"runs/group/two[/"].* = [0-9]' calls) $(grep -c 'step-.*= [0-9]' calls)"
    is and_little_of_it_is_read yes "$(awk '/"# The eff|"mappo ch|pread64/ { sum += $NF } END { print sum < 30000 ? "yes" : sum }' calls)"
else
    echo "ok - only_what_is_needed_is_opened # SKIP needs strace"
fi

newest=runs/group/one/$(readlink runs/group/one/latest.h5)
python3 -c 'import sys; f = open(sys.argv[1], "r+b"); f.seek(-9, 2); b = f.read(1); f.seek(-9, 2); f.write(bytes([b[0] ^ 1]))' "$newest"
has headers_alone_pass_a_flipped_bit "mappo finished" "$(row group/one)"
text=$("$MAPPO" runs --check)
is check_ends_with_the_code_of_bad_checkpoints 4 $?
has and_names_it "SHA-256" "$text"
truncate -s -100 "$newest"
has a_file_that_was_cut_needs_no_check "mappo damaged 400" "$(row group/one)"
echo "[ppo" >runs/group/two/config.ini
has so_does_a_bad_configuration "config.ini, line 1 is neither" "$("$MAPPO" runs)"
is each_is_a_line_of_json "6 damaged 0.1 all" "$("$MAPPO" runs --json | python3 -c '
import json, sys
rows = {row["run"]: row for row in map(json.loads, sys.stdin)}
clip = rows["runs/group/clip"]
print(len(rows), rows["runs/group/one"]["state"], clip["settings"]["ppo.clip"], "all" if clip["env_steps"] == clip["of_env_steps"] == 400 else clip)')"

# ---- what can't be read, names that are long or tell more ----
ln -sf metrics.jsonl runs/spread/metrics.jsonl # to itself
has metrics_that_cannot_be_read_are_said "(metrics.jsonl: " "$("$MAPPO" runs | grep spread)"
mkdir runs/closed
chmod 0 runs/closed
without=(setpriv "--bounding-set=-dac_override,-dac_read_search" "--inh-caps=-dac_override,-dac_read_search") # root reads all otherwise
[ "$(id -u)" = 0 ] || without=()
if [ "$(id -u)" != 0 ] || "${without[@]}" true 2>/dev/null; then
    has a_folder_that_cannot_be_read_is_named "runs/closed: Permission denied: left out" "$("${without[@]}" "$MAPPO" runs 2>&1)"
else
    echo "ok - a_folder_that_cannot_be_read_is_named # SKIP needs setpriv"
fi
long=runs/$(printf 'x%.0s' {1..150})-s7
mkdir -p "$long" && cp runs/group/clip/config.ini runs/group/clip/log.txt "$long"
sed -i 's/^k = .*/k = 25/' "$long/config.ini"
is one_long_name_moves_no_other_row yes "$("$MAPPO" runs | awk '/^group.clip/ { print length < 150 ? "yes" : length }')"
has a_variant_has_its_name "matrix/penalty-25 mappo" "$(row "${long#runs/}")"
has and_json_has_it '"environment": "matrix/penalty", "variant": "matrix/penalty-25"' "$("$MAPPO" runs --json)"
is rows_fit_a_terminal "yes" "$(python3 - "$MAPPO" <<'END'
import fcntl, os, pty, struct, sys, termios
process, terminal = pty.fork()
if process == 0:
    fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 90, 0, 0))
    os.execv(sys.argv[1], [sys.argv[1], "runs"])
shown = b""
try:
    while block := os.read(terminal, 65536):
        shown += block
except OSError:
    pass
os.waitpid(process, 0)
lines = shown.decode().splitlines()
print("yes" if max(map(len, lines)) <= 90 and any("..xx" in line and "-s7" in line for line in lines) else shown.decode())
END
)"
chmod 700 runs/closed
"$MAPPO" env=overcooked/coord_ring run=ring train.env_steps=100 rollout.envs=2 rollout.steps=25 threads=1 eval.env_steps=0 --quiet >/dev/null
has so_has_one_whose_suite_has_a_preset '"variant": "overcooked/coord_ring"' "$("$MAPPO" runs ring --json)"
has its_page_is_told '"variant":"overcooked/coord_ring"' "$("$MAPPO" report ring episodes=0 out=- --quiet | grep '"variant"' | cut -c1-200)"
has and_its_film "overcooked/coord_ring, JaxMARL 0.2 rules" "$("$MAPPO" render ring out=- --quiet 2>&1 | head -1)"
exit $failed

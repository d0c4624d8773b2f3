#!/usr/bin/env bash
# scripts/compare_bridge.py: measures each side where its package is there, and names what it left out.
# timeout: 120
set -u
cd "$(dirname "$0")/../.." || exit 1
. tests/tap.sh
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if ! "$PYTHON" -c 'import gymnasium' 2>/dev/null; then
    echo "ok - compares # SKIP needs the Python package gymnasium"
    exit 0
fi
said=$("$PYTHON" scripts/compare_bridge.py sleeper --pairs 1 --seconds 0.1 --envs 2 --workers 1 --json "$work/all.json" 2>&1)
has "each_side_is_measured" "here, 1 workers" "$said"
has "with_as_many_workers_as_environments" "here, 2 workers" "$said"
has "beside_gymnasiums_own" "AsyncVectorEnv" "$said"
has "pufferlib_is_measured_or_named" "PufferLib" "$said"
is "every_measurement_is_kept" "True" "$("$PYTHON" -c 'import json, sys; rates = json.load(open(sys.argv[1]))["sleeper"]; print(len(rates) >= 3 and all(0 < rate[0] < 3000 for rate in rates.values()))' "$work/all.json" 2>&1)"
has "a_case_that_is_none_is_refused" "sleeper" "$("$PYTHON" scripts/compare_bridge.py sleper 2>&1)"
exit $failed

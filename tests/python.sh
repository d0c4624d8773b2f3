#!/usr/bin/env bash
# Prints the Python of the tests: a virtual environment with the packages of tests/requirements.txt, else one that has h5py and NumPy, else
# python3.   tests/python.sh [--install]      --install: makes that environment first, in the user's cache, where it is found by all clones
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # as `sh python.sh`
set -u +o posix
cd "$(dirname "$0")" || exit 1
case ${1:-} in
"" | --install) ;;
-h | --help) sed -n '2,3s/^# //p' python.sh && exit 0 ;;
*) echo "tests/python.sh: unknown option $1 (tests/python.sh --help)" >&2 && exit 2 ;;
esac
# The system's own comes first: Debian's h5py belongs to it, whatever else is on PATH.
base=""
for python in /usr/bin/python3 python3; do
    [ -z "$base" ] && "$python" -c 'import h5py, numpy' >/dev/null 2>&1 && base=$python
done
wanted=$({ cat requirements.txt && "${base:-python3}" --version; } 2>/dev/null | cksum | cut -d' ' -f1)
folder=${XDG_CACHE_HOME:-${HOME:-/tmp}/.cache}/mappo/tests-python-$wanted
if [ "${1:-}" = --install ] && [ ! -e "$folder/complete" ] && [ -n "$base" ]; then
    mkdir -p "${folder%/*}" && rm -rf "$folder"
    echo "tests/python.sh: installing the packages of tests/requirements.txt in $folder" >&2
    "$base" -m venv --system-site-packages "$folder" >&2 &&
        "$folder/bin/pip" install -q --disable-pip-version-check -r requirements.txt >&2 && touch "$folder/complete"
    [ -e "$folder/complete" ] || echo "tests/python.sh: not all of them could be installed; tests that need them are skipped" >&2
fi
if [ -e "$folder/complete" ]; then
    echo "$folder/bin/python"
else
    echo "${base:-python3}"
fi

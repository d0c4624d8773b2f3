#!/usr/bin/env bash
# Compiles device code, which takes minutes, unless the same was compiled before: then takes the object from there.
#   scripts/compile_once.sh KEPT NOTICE OBJECT SOURCE COMMAND...
# The same is: the command, the compiler's version, and the contents of SOURCE and of all that it includes. KEPT: folder of objects (empty:
# none is kept). Writes OBJECT, OBJECT.log (what the compiler said) and, for make, the file's dependencies. NOTICE: a file of text for the
# user that the first to compile anything shows and removes.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # as `sh compile_once.sh`
set -eu -o pipefail +o posix
case ${1:-} in
-h | --help) sed -n '2,6s/^# //p' "$0" && exit 0 ;;
-*) echo "compile_once.sh: unknown option $1 (scripts/compile_once.sh --help)" >&2 && exit 2 ;;
esac
[ $# -ge 5 ] || { echo "compile_once.sh: KEPT NOTICE OBJECT SOURCE COMMAND... are needed (scripts/compile_once.sh --help)" >&2 && exit 2; }
kept=$1 notice=$2 object=$3 source=$4
shift 4
versions=6 # of a source are kept: the usual and a single architecture, before and after a change or two
depends=${object%.o}.d
trap 'rm -f "$object.new" "$object.new.log"' EXIT

"$@" -M -MP -MT "$object" -MF "$depends" "$source" || { rm -f "$depends" && exit 1; }
if [ -n "$kept" ] && mkdir -p "$kept" 2>/dev/null; then
    # -MP names every file that is included once more, on a line of its own.
    contents=$({ printf '%s\n' "$source" && sed -n 's/\\ / /g; s/ *:$//p' "$depends"; } | tr '\n' '\0' | xargs -0 sha256sum)
    what=$(printf '%s\n' "$*" "$("$1" --version)" "$contents" | sha256sum | cut -c 1-32)
    name=$kept/$(tr / - <<<"${source%.*}")
    if cp "$name-$what.o" "$object.new" 2>/dev/null && cp "$name-$what.log" "$object.log" 2>/dev/null; then
        touch -c "$name-$what.o" # in use: not among the oldest
        mv "$object.new" "$object"
        exit 0
    fi
fi

rm -f "$object"
mv "$notice" "$notice.shown" 2>/dev/null && cat "$notice.shown" >&2
"$@" -c -o "$object.new" "$source" >"$object.log" 2>&1 || {
    cat "$object.log" >&2
    exit 1
}
grep warning "$object.log" >&2 || true
mv "$object.new" "$object"
[ -n "${what:-}" ] || exit 0
# Whole files only, the log first: others may build at the same time.
{
    cp "$object.log" "$name-$what.log" && cp "$object" "$name-$what.$$" && mv "$name-$what.$$" "$name-$what.o" ||
        rm -f "$name-$what.$$" # a full disk; the object itself is there
    ls -t "$name"-*.o | tail -n +$((versions + 1)) | while read -r old; do rm -f "$old" "${old%.o}.log"; done
} 2>/dev/null || true

#!/usr/bin/env bash
# Starts an environment of your own: a copy of envs/template/meeting.c under another name, which compiles, passes `mappo check` and trains at
# once. What to change in it: docs/env-abi.md.
set -eu
usage() {
    cat <<END
usage: scripts/new_env.sh NAME [FOLDER]

Writes FOLDER/NAME.c (FOLDER: the present one unless given) and says how it is compiled, checked and trained on.
NAME: a C identifier, as pursuit or my_env.
END
}
case ${1:---help} in --help | -h) usage && exit 0 ;; esac
[ $# -le 2 ] || { usage >&2 && exit 2; }
name=$1 folder=${2:-.} project=$(cd "$(dirname "$0")/.." && pwd)
if ! [[ $name =~ ^[a-z][a-z0-9_]*$ ]] || [ ${#name} -gt 40 ]; then
    echo "new_env.sh: \"$name\" names structs and functions in C: small letters, digits and _, a letter first, 40 at most" >&2
    exit 2
fi
file=$folder/$name.c
[ -d "$folder" ] || { echo "new_env.sh: $folder is no folder" >&2 && exit 2; }
[ ! -e "$file" ] || { echo "new_env.sh: $file is there already; take another name, or move it away" >&2 && exit 2; }
# "template/meeting" becomes "own/NAME"; every other word "meeting" and "meeting_…" is the name of a struct or a function.
sed -e "s|template/meeting\"|own/$name\"|" -e "s|envs/template/meeting\.c|$name.c|" -e "s/suite_meeting/suite_$name/" \
    -e "s/\bmeeting\(_[a-z]*\)\?\b/$name\1/g" "$project/envs/template/meeting.c" >"$file"
src=src mappo=./build/mappo object=$folder/$name.so
[ "$(pwd)" = "$project" ] || src=$project/src mappo=$project/build/mappo
case $object in /* | ./* | ../*) ;; *) object=./$object ;; esac
cat <<END
$file: N agents on a line try to meet; make it yours (docs/env-abi.md). From this folder:
  cc -std=c11 -Wall -O3 -shared -fPIC -I$(printf %q "$src") -o $(printf %q "$object") $(printf %q "$file")
  $(printf %q "$mappo") check $(printf %q "$object")
  $(printf %q "$mappo") env=$(printf %q "$object")
END
[ -x "$mappo" ] || echo "($mappo comes first: make in $project)"

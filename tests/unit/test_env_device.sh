#!/usr/bin/env bash
# The kernels of every environment, and those that docs/env-abi.md makes of the template, compile as device code, and that code writes to no
# array at a kernel's parameter itself: only at places within it. nvcc 13.0 once made the former of the latter (cuda/lane_kernels.h), which
# nothing but a GPU would notice.
set -u
cd "$(dirname "$0")/../.." || exit 1
nvcc=${NVCC:-$(command -v nvcc || echo /usr/local/cuda/bin/nvcc)}
if ! [ -x "$nvcc" ]; then
    echo "ok - rules_compile_as_device_code # SKIP no nvcc"
    echo "1..1"
    exit 0
fi
folder=$(mktemp -d "${TMPDIR:-/tmp}/mappo-device.XXXXXX") || exit 1
trap 'rm -rf "$folder"' EXIT
failed=0
count=0
result() { # name, status, log
    count=$((count + 1))
    if [ "$2" = 0 ]; then
        echo "ok - $1"
    else
        echo "not ok - $1:"
        sed 's/^/# /' "$3" | head -20
        failed=1
    fi
}
# Lines of PTX that store to a pointer as it came among the parameters. The clock, which the last block moves on, is one (two stores).
cat > "$folder/stores.py" <<'PYTHON'
import re
import sys

for entry in open(sys.argv[1]).read().split(".entry ")[1:]:
    made = {}
    for line in entry.split("\n"):
        found = re.match(r"\s*(?:@!?%p\d+ )?(\S+)\s+(%rd\d+), (.*);", line)
        if found:
            made.setdefault(found[2], []).append((found[1], found[3]))

    def is_parameter(register, depth=0):
        return depth < 8 and any(
            how.startswith("ld.param") or (how.startswith(("cvta", "mov", "selp")) and any(is_parameter(r, depth + 1) for r in re.findall(r"%rd\d+", what)))
            for how, what in made.get(register, [])
        )

    stores = [line.strip() for line in entry.split("\n") if (at := re.match(r"\s*(?:@!?%p\d+ )?st\.\S+\s+\[(%rd\d+)(?:\+\d+)?\]", line)) and is_parameter(at[1])]
    if len(stores) > 2:
        print(entry[: entry.index("(")], len(stores), *stores[:4])
PYTHON
compiles() { # what, file
    "$nvcc" -std=c++17 -O3 -ptx -Isrc -I. -fmad=false -o "$folder/out.ptx" "$2" >"$folder/log" 2>&1 && [ -s "$folder/out.ptx" ]
    result "kernels_of_$1_compile" $? "$folder/log"
    python3 "$folder/stores.py" "$folder/out.ptx" >"$folder/log" 2>&1 && ! [ -s "$folder/log" ]
    result "kernels_of_$1_write_within_their_arrays" $? "$folder/log"
}
for file in envs/*/*.cu; do compiles "$(basename "$file" .cu)" "$file"; done

# As docs/env-abi.md says: kernels of the template from the same file, by two lines.
cp envs/template/meeting.c "$folder"
sed -n '/^```cuda$/,/^```$/p' docs/env-abi.md | sed '/^```/d' > "$folder/meeting.cu"
compiles the_template "$folder/meeting.cu"
echo "1..$count"
exit $failed

#!/usr/bin/env bash
# The kernels of every environment, and those that docs/env-abi.md makes of the template, compile as device code.
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
compiles() { # what, file
    count=$((count + 1))
    if "$nvcc" -std=c++17 -c -Isrc -I. -fmad=false -o "$folder/out.o" "$2" >"$folder/log" 2>&1 && [ -s "$folder/out.o" ]; then
        echo "ok - $1"
    else
        echo "not ok - $1: nvcc says:"
        sed 's/^/# /' "$folder/log" | head -20
        failed=1
    fi
}
for file in envs/*/*.cu; do compiles "kernels_of_$(basename "$file" .cu)_compile" "$file"; done

# As docs/env-abi.md says: kernels of the template from the same file, by two lines.
cp envs/template/meeting.c "$folder"
sed -n '/^```cuda$/,/^```$/p' docs/env-abi.md | sed '/^```/d' > "$folder/meeting.cu"
compiles kernels_on_the_page_compile "$folder/meeting.cu"
echo "1..$count"
exit $failed

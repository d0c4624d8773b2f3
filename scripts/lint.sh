#!/usr/bin/env bash
# What a machine can check of how the code is written; prints one line a check (TAP) and what is wrong below it. Exit 1 if anything is.
#   scripts/lint.sh [CHECK ...]      format comments arrows libraries switches formulas headers warnings length size docs shell words paths folders
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # as `sh lint.sh`
set -u +o posix
cd "$(dirname "$0")/.." || exit 1
BUILD=${BUILD:-build}
work=$(mktemp -d --suffix=.mappo-lint) || exit 1
trap 'rm -rf "$work"' EXIT
failed=0

# Files of the project; without git (an unpacked archive) all that is not built.
files() { # PATTERN...
    if git rev-parse --is-inside-work-tree >/dev/null 2>&1; then
        git ls-files --cached --others --exclude-standard -- "$@" | while read -r f; do [ -f "$f" ] && echo "$f"; done
    else
        local pattern
        for pattern in "$@"; do find . -name "$pattern" -type f ! -path './build/*' ! -path "./$BUILD/*" ! -path './runs/*' ! -path './.deps/*' | sed 's,^\./,,'; done
    fi | sort -u
}
wanted() { [ ${#chosen[@]} -eq 0 ] || [[ " ${chosen[*]} " == *" $1 "* ]]; }
checks=$(sed -n 's/^#   scripts\/lint.sh \[CHECK ...\] *//p' scripts/lint.sh)
for check in "$@"; do
    case $check in
    -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' scripts/lint.sh && exit 0 ;;
    *) [[ " $checks " == *" $check "* ]] || { echo "lint.sh: there is no check \"$check\"; there are: $checks" >&2 && exit 2; } ;;
    esac
done
chosen=("$@")
# verdict NAME SENTENCE: fails where $work/found holds lines
verdict() {
    if [ -s "$work/found" ]; then
        failed=1
        echo "not ok - lint_$1: $2: $(wc -l <"$work/found") times"
        head -40 "$work/found" | sed 's/^/#   /'
    else
        echo "ok - lint_$1: $2"
    fi
}
skip() { echo "ok - lint_$1 # SKIP $2"; }

c_files=$(files '*.c' '*.h' | grep -v '^tests/data/')
our_files=$(files '*.c' '*.h' '*.def' '*.cu' '*.py' '*.sh' '*.md' '*.ini' Makefile .ci/run)
flags="-std=c11 -D_GNU_SOURCE -Isrc -I. -Itests $(sed -n 's/^\(DEP\|MPI\|HDF5\)_CFLAGS := //p' "$BUILD/config.mk" 2>/dev/null | tr '\n' ' ')"

if wanted format; then
    : >"$work/found"
    formatter=""
    for f in clang-format-14 clang-format; do
        $f --version 2>/dev/null | grep -q 'version 14\.' && formatter=$f && break
    done
    if [ -z "$formatter" ]; then
        skip format "needs clang-format 14, the version whose output is the style (here: $(clang-format --version 2>/dev/null || echo none))"
    else
        # shellcheck disable=SC2086
        $formatter --dry-run $c_files $(files "*.cu" "*.cc") 2>&1 | sed -n 's/^\([^ ]*\): warning: code should be clang-formatted.*/\1/p' | cut -d: -f1,2 | sort -u -t: -k1,1 >"$work/found"
        verdict format "files are as $formatter -i leaves them"
    fi
fi

if wanted comments; then
    # What a formatter does to comments (.clang-format leaves them alone): a rule over a section that goes on in a second line, and a line
    # that was one of a table, with the gaps of its columns, run into the text.
    # shellcheck disable=SC2086
    awk '
        after_rule && /^ \*( -+)?( \*\/)?/ { print FILENAME ":" FNR ": the rule above goes on here: " substr($0, 1, 60) }
        /^ \* [^ ].*[^ ]   +[^ ]/ { print FILENAME ":" FNR ": columns of a table in running text: " substr($0, 1, 80) }
        { after_rule = /^\/\* ---- / && !/\*\/$/ }' $c_files $(files '*.cu' '*.cc' '*.def') >"$work/found"
    verdict comments "rules over sections stand on one line, tables in comments have their columns"
fi

if wanted arrows; then
    # base <- {config, backend, comm, env} <- nn <- algo <- run <- report <- cmd <- main, env <- check <- cmd, env <- render <- run
    for file in $(files 'src/*' 'envs/*' | grep '\.[ch]$'); do
        module=$(cut -d/ -f2 <<<"$file")
        case $file in
        src/main.c) allowed="base config backend comm env nn algo run check report cmd" ;;
        envs/*) allowed="base env envs" ;;
        *) case $module in
            base) allowed="base" ;;
            config | backend | comm | env) allowed="base $module" ;;
            check) allowed="base env check" ;;
            render) allowed="base env render" ;;
            nn) allowed="base config backend comm env nn" ;;
            algo) allowed="base config backend comm env nn algo" ;;
            run) allowed="base config backend comm env nn algo render run" ;;
            report) allowed="base config backend comm env nn algo render run report" ;;
            cmd) allowed="base config backend comm env nn algo render run check report cmd" ;;
            *) allowed="" ;;
            esac ;;
        esac
        sed -n 's/^ *# *include *"\([^"]*\)".*/\1/p' "$file" | while read -r included; do
            case $included in
            envs/envs.def | envs/returns.def) [ "$module" = env ] || echo "$file includes $included: src/env/registry.h tells what is in it" ;;
            */*) [[ " $allowed " == *" ${included%%/*} "* ]] || echo "$file includes $included" ;;
            *) [ -f "$(dirname "$file")/$included" ] || echo "$file includes $included, which is not beside it" ;;
            esac
        done
    done >"$work/found"
    verdict arrows "includes follow base <- {config, backend, comm, env} <- nn <- algo <- run <- report <- cmd <- main, env <- check <- cmd, env <- render <- run"
fi

if wanted libraries; then
    only() { # HEADERS ALLOWED: lines that include HEADERS outside of ALLOWED
        # shellcheck disable=SC2086
        grep -nE "^ *# *include *<($1)" $c_files 2>/dev/null | grep -vE "^(tests/|$2)"
    }
    {
        only 'hdf5' 'src/run/checkpoint[a-z_]*\.c:'
        only 'mpi\.h' 'src/comm/[a-z_]*\.c:'
        only 'ini\.h' 'src/config/'
        only 'openssl/' 'src/base/digest\.c:|src/cmd/doctor\.c:' # doctor names its version
        only 'cblas|mkl' 'nowhere' # a library with threads of its own has no place in every run: bench opens one by name
        only 'cuda|cublas|nccl' 'cuda/'
    } >"$work/found"
    verdict libraries "HDF5 stays in run/checkpoint*, MPI in comm, CBLAS nowhere, CUDA in cuda, inih in config, OpenSSL in base/digest"
fi

if wanted switches; then
    {
        # shellcheck disable=SC2086
        grep -nE '\bHAVE_MPI\b' $c_files | grep -vE '^(tests/|src/comm/[a-z_]*\.c:)'
        # shellcheck disable=SC2086
        grep -nE '\bHAVE_CUDA\b' $c_files | grep -vE '^(tests/|src/backend/[a-z_]*\.c:|cuda/)'
    } >"$work/found"
    verdict switches "HAVE_MPI, HAVE_CUDA stand only where a communicator or backend is chosen"
fi

if wanted formulas; then
    {
        # What the host's and the device's code compute of learning is a formula of backend/kernels: elementary functions and their constants
        # stand nowhere else, and nobody defines a function of that name again.
        backends=$(files 'src/backend/*' 'cuda/*' | grep -E '\.(c|h|cu)$' | grep -v '^src/backend/kernels/')
        for file in $backends; do # without comments
            sed -E 's,/\*([^*]|\*[^/])*\*/,,g; /^ *(\/?\*|\/\/)/d' "$file" | grep -nE '(^|[^A-Za-z0-9_])((exp|log|log1p|tanh|pow|erf)f?\(|1e-5f?([^0-9]|$))' | sed "s|^|$file:|" | grep -v '^src/backend/vector\.h:'
        done
        for name in $(sed -nE 's/^MAPPO_FN [^(]*[ *]([a-z_0-9]+)\(.*/\1/p' src/backend/kernels/*.h | sort -u); do
            # shellcheck disable=SC2086
            grep -nE "^(static |inline |__device__ |__forceinline__ |MAPPO_FN |ALWAYS_INLINE )+[a-z ]*[ *]$name\(" $backends
        done
    } >"$work/found"
    verdict formulas "formulas of learning stand in backend/kernels, once for host and device"
fi

if wanted headers; then
    for header in $(files 'src/*' 'envs/*' | grep '\.h$'); do
        # shellcheck disable=SC2086
        printf '#include "%s"\n' "${header#src/}" | ${CC:-gcc} $flags -Wall -Wextra -Wno-unused-function -Werror -fsyntax-only -x c - >"$work/log" 2>&1 || { echo "$header" && grep -m3 error "$work/log" | sed 's/^/    /'; }
    done >"$work/found"
    if command -v "${CXX:-g++}" >/dev/null 2>&1; then
        printf '#include "env/mappo_env.h"\n' | ${CXX:-g++} -std=c++17 -Isrc -Wall -Wextra -Werror -fsyntax-only -x c++ - >"$work/log" 2>&1 || { echo "src/env/mappo_env.h as C++17" && grep -m3 error "$work/log" | sed 's/^/    /'; } >>"$work/found"
    fi
    verdict headers "headers compile alone, the environment interface also as C++17"
fi

if wanted warnings; then
    # gcc's are told by every build, and scripts/test.sh takes none (WERROR=1). Kernels only compile with a level, helpers of tests only inside them.
    if command -v clang >/dev/null 2>&1; then
        for file in $(files 'src/*' 'envs/*' 'tests/*' | grep '\.c$' | grep -vE '^tests/(data|aarch64)/'); do
            extra=""
            case $file in *_kernels.c) extra="-DLEVEL=avx2 -mavx2 -mfma" && [ "$(uname -m)" != x86_64 ] && extra="-DLEVEL=baseline" ;; esac
            for real in "" -DMAPPO_REAL_DOUBLE; do
                case $file:$real in src/backend/*:* | src/nn/*:* | src/algo/*:* | src/comm/*:*) ;; tests/*_double.c:) continue ;; tests/*_double.c:*) ;; *:-D*) continue ;; esac
                echo "$flags -Wall -Wextra -Wmissing-prototypes -Wstrict-prototypes -Wshadow -Werror -fopenmp -fsyntax-only $extra $real $file"
            done
        done | xargs -P "$(nproc)" -I{} sh -c "clang {} 2>&1" | grep -E '(error|warning):' | sort -u >"$work/found"
        verdict warnings "no warnings from $(clang --version | head -1)"
    else
        skip warnings "needs clang"
    fi
fi

if wanted length; then
    for file in $(files '*.c' '*.h' '*.cu' '*.py' '*.sh' | grep -v '^tests/data/'); do
        lines=$(wc -l <"$file")
        [ "$lines" -le 700 ] || echo "$file: $lines lines"
    done >"$work/found"
    verdict length "files have at most 700 lines"
fi

if wanted size; then
    files '*' | while read -r file; do
        case $file in
        tests/data/algo/*.h5) most=600000 why="" ;; # one update each, of which nothing can be left out
        tests/data/*) most=200000 why="cut or split it (tests/data/cut_env.py)" ;;
        *) most=1000000 why="a download or a build that was added by accident?" ;;
        esac
        bytes=$(wc -c <"$file")
        [ "$bytes" -le $most ] || echo "$file: $bytes bytes, more than $most${why:+: $why}"
    done >"$work/found"
    verdict size "no file has more than a megabyte, of tests/data more than 200 kB (an update in algo: 600 kB)"
fi

if wanted docs; then
    if [ ! -x "$BUILD/mappo" ]; then
        skip docs "needs $BUILD/mappo"
    else
        for page in $(sed -n 's/^GENERATED_DOCS := //p' Makefile); do
            "$BUILD/mappo" docs "$page" >"$work/page" 2>"$work/log" || { echo "mappo docs $page: $(head -1 "$work/log")" && continue; }
            cmp -s "$work/page" "docs/$page.md" || echo "docs/$page.md is not what \`mappo docs $page\` prints: make docs"
        done >"$work/found"
        for script in learning returns; do "${PYTHON:-python3}" "scripts/$script.py" --check --program "$BUILD/mappo" 2>&1; done >>"$work/found"
        for script in compare_speed compare_maddpg; do "${PYTHON:-python3}" scripts/$script.py --check 2>&1 | tail -1; done >>"$work/found"
        "${PYTHON:-python3}" scripts/check_docs.py --program "$BUILD/mappo" >>"$work/found" 2>&1
        verdict docs "generated pages are up to date, and what pages name is there"
    fi
fi

if wanted shell; then
    : >"$work/found"
    for file in $(files '*.sh' .ci/run); do
        bash -n "$file" 2>&1
        head -1 "$file" | grep -q '^#!' && [ ! -x "$file" ] && echo "$file begins with #! but cannot be executed"
    done >"$work/found"
    # Files that source one another share variables; launchers' flags are meant to split.
    # shellcheck disable=SC2046
    command -v shellcheck >/dev/null 2>&1 && shellcheck -s bash -S warning -e SC1091,SC2034,SC2154,SC2046 -f gcc $(files '*.sh' .ci/run) >>"$work/found" 2>&1
    if [ -n "$(files '*.py')" ]; then
        for file in $(files '*.py'); do "${PYTHON:-python3}" -c 'import ast, sys; ast.parse(open(sys.argv[1], encoding="utf-8").read(), sys.argv[1])' "$file" 2>&1 | tail -1; done >>"$work/found"
    fi
    verdict shell "scripts parse$(command -v shellcheck >/dev/null 2>&1 && echo " and shellcheck finds nothing")"
fi

if wanted words; then
    # Composed, so that this file does not find itself.
    # shellcheck disable=SC2086
    grep -nwE "TO""DO|FIX""ME|XX""X|HA""CK" $our_files >"$work/found"
    verdict words "no notes of unfinished work"
fi

if wanted paths; then
    # shellcheck disable=SC2086
    grep -nE '(^|[^A-Za-z0-9_.$}{/-])/(work|root|home|farm|Users)/' $our_files | grep -v '^scripts/lint\.sh:' >"$work/found"
    # shellcheck disable=SC2086
    grep -nE '\.\./shared' $our_files | grep -v '^scripts/lint\.sh:' >>"$work/found"
    verdict paths "no paths of one machine"
fi

if wanted folders; then
    for folder in $(files 'src/*/*' | cut -d/ -f1,2 | sort -u) envs scripts slurm tests; do
        [ -f "$folder/README.md" ] || echo "$folder/README.md is missing"
    done >"$work/found"
    verdict folders "every folder says what lives in it (README.md)"
fi
exit $failed

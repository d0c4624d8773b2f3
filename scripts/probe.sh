#!/usr/bin/env bash
# Looks for the compiler's abilities and the libraries, once per build folder; called by the Makefile.
#   scripts/probe.sh FILE      writes make variables to FILE, prints what was found and what was left out
# Reads CC MPI MPICC BLAS HDF5_HOME DEPS CUDA NVCC CUDA_ARCH CUDAHOSTCXX from the environment. Exit 2, without FILE, where something needed is missing.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # as `sh probe.sh`
set -u +o posix
case ${1:-} in
-h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" && exit 0 ;;
"" | -*) echo "probe.sh: it needs the FILE that it writes (scripts/probe.sh --help)" >&2 && exit 2 ;;
esac
out=$1
work=$(mktemp -d --suffix=.mappo-probe) || exit 2
trap 'rm -rf "$work"' EXIT

CC=${CC:-gcc}
MPI=${MPI:-auto}
BLAS=${BLAS:-auto}
CUDA=${CUDA:-auto}
DEPS=${DEPS:-}
missing=()

say() { printf '  %-10s %s\n' "$1" "$2"; }
# lacks NAME APT DNF CONDA SPACK MODULE: remembers what to tell at the end.
lacks() {
    say "$1" "not found"
    missing+=("$(printf '%-9s apt: %-22s dnf: %-18s conda: %-16s Spack: %-10s module: %s' "$@")")
}
# links CODE FLAGS...: does this program compile and link?
links() {
    local code=$1
    shift
    printf '%s\n' "$code" >"$work/t.c"
    # shellcheck disable=SC2086
    $CC -std=c11 -D_GNU_SOURCE $deps_cflags -o "$work/t" "$work/t.c" "$@" $deps_libs -lm >"$work/log" 2>&1
}
accepts() { # does the compiler know this flag?
    printf 'int main(void) { return 0; }\n' >"$work/t.c"
    $CC -Werror "$@" -c -o "$work/t.o" "$work/t.c" >/dev/null 2>&1
}
# The options of a compiler wrapper's command that matter to another compiler.
useful() { printf '%s\n' "$1" | tr ' ' '\n' | grep -E "$2" | tr '\n' ' ' | sed 's/ *$//'; }
have_pkg() { command -v pkg-config >/dev/null 2>&1 && pkg-config --exists "$1" 2>/dev/null; }

deps_cflags="" deps_libs=""
for lib in lib lib64; do
    [ -n "$DEPS" ] && [ -d "$DEPS/$lib" ] && deps_libs="$deps_libs -L$DEPS/$lib" && export PKG_CONFIG_PATH="$DEPS/$lib/pkgconfig${PKG_CONFIG_PATH:+:$PKG_CONFIG_PATH}"
done
[ -n "$DEPS" ] && deps_cflags="-I$DEPS/include"

echo "mappo: what this machine offers (kept in $out; \`make clean\` to look again)"

# ---- compiler ----
links 'int main(void) { return 0; }' || {
    echo "mappo: the compiler \"$CC\" is not there or cannot link a program:" >&2
    head -3 "$work/log" >&2
    echo "mappo: gcc 8 or later or clang is needed (apt: build-essential, dnf: gcc, conda: c-compiler, cluster: module load gcc); choose with CC=..." >&2
    exit 2
}
target=$($CC -dumpmachine)
version=$($CC --version | head -1)
if printf '#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 8\n#error old\n#endif\n' | $CC -E -x c - >/dev/null 2>&1; then
    say compiler "$version"
else
    echo "mappo: $version is too old: gcc 8 or later is needed (cluster: module load gcc; choose with CC=...)" >&2
    exit 2
fi
warnings="-Wall -Wextra -Wmissing-prototypes -Wstrict-prototypes"
accepts -Wshadow=local && warnings="$warnings -Wshadow=local"
case $target in
x86_64* | amd64*) levels="baseline avx2 avx512" ;;
*) levels=baseline ;;
esac
say levels "$levels (chosen at run time)"

# ---- OpenMP ----
if links '#include <omp.h>
int main(void) { return omp_get_max_threads() < 1; }' -fopenmp; then
    say OpenMP "yes"
else
    lacks OpenMP "libgomp1 / libomp-dev" "libgomp / libomp-devel" "openmp" "(gcc)" "gcc"
fi

# ---- MPI ----
mpi_cflags="" mpi_libs="" mpi_name=""
mpi_code='#include <mpi.h>
int main(int argc, char **argv) { int p; return MPI_Init_thread(&argc, &argv, MPI_THREAD_FUNNELED, &p); }'
if [ "$MPI" = 0 ]; then
    say MPI "left out (MPI=0): one process, several threads"
else
    for wrapper in "${MPICC:-mpicc}" mpiicx mpiicc; do
        command -v "$wrapper" >/dev/null 2>&1 || continue
        if mpi_cflags=$("$wrapper" --showme:compile 2>/dev/null) && mpi_libs=$("$wrapper" --showme:link 2>/dev/null); then
            :
        else
            shown=$("$wrapper" -show 2>/dev/null) || continue
            mpi_cflags=$(useful "$shown" '^-[ID]')
            mpi_libs=$(useful "$shown" '^-([Ll]|Wl,|pthread)|\.(a|so)$')
        fi
        # shellcheck disable=SC2086
        if links "$mpi_code" $mpi_cflags $mpi_libs; then
            mpi_name=$wrapper
            break
        fi
    done
    if [ -n "$mpi_name" ]; then
        if [ "$(printf '#include <mpi.h>\nmpi_is=OMPI_MAJOR_VERSION' | $CC $mpi_cflags -E -P - 2>/dev/null | sed -n 's/^mpi_is=//p')" != OMPI_MAJOR_VERSION ]; then kind="Open MPI"; else kind="MPICH family"; fi
        say MPI "$kind ($(command -v "$mpi_name"))"
        mpi_cflags="-DHAVE_MPI $mpi_cflags"
    elif [ "$MPI" = 1 ]; then
        lacks MPI "libopenmpi-dev" "openmpi-devel" "openmpi" "openmpi" "openmpi, mpich or intel-mpi (then mpicc is on PATH)"
    else
        mpi_cflags="" mpi_libs=""
        say MPI "left out: no working mpicc (MPICC=... names another); one process, several threads"
    fi
fi

# ---- HDF5 ----
hdf5_cflags="" hdf5_libs="" hdf5_how=""
hdf5_code='#include <hdf5.h>
#if H5_VERS_MAJOR < 2 && (H5_VERS_MAJOR < 1 || H5_VERS_MINOR < 10)
#error too old
#endif
int main(void) { return H5open() < 0; }'
try_hdf5() { # HOW CFLAGS LIBS; a parallel HDF5 needs MPI to compile
    # shellcheck disable=SC2086
    if links "$hdf5_code" $2 $3; then
        hdf5_how=$1 hdf5_cflags=$2 hdf5_libs=$3
    elif [ -n "$mpi_name" ] && links "$hdf5_code" $2 $mpi_cflags $3 $mpi_libs; then
        hdf5_how="$1, parallel" hdf5_cflags="$2" hdf5_libs="$3"
    else
        return 1
    fi
}
find_hdf5() {
    local shown wrapper pkg flags lib dir
    for dir in ${HDF5_HOME:-} $DEPS; do # named by the user: before anything that merely stands about
        for lib in lib lib64; do
            [ -d "$dir/$lib" ] && try_hdf5 "$dir" "-I$dir/include" "-L$dir/$lib -lhdf5" && return
        done
    done
    for pkg in hdf5 hdf5-serial hdf5-openmpi hdf5-mpich; do
        have_pkg $pkg && try_hdf5 "pkg-config $pkg" "$(pkg-config --cflags $pkg)" "$(pkg-config --libs $pkg)" && return
    done
    for wrapper in h5cc h5pcc; do
        shown=$($wrapper -show 2>/dev/null) || continue
        flags=$(useful "$shown" '^-[ID]')
        try_hdf5 $wrapper "$flags" "$(useful "$shown" '^-L') -lhdf5" && return
        try_hdf5 $wrapper "$flags" "$(useful "$shown" '^-([Ll]|Wl,|pthread)|\.(a|so)$' | tr ' ' '\n' | grep -v '_hl' | tr '\n' ' ')" && return
    done
    try_hdf5 "the compiler's own folders" "" "-lhdf5"
}
if find_hdf5; then
    # shellcheck disable=SC2086
    number=$(printf '#include <hdf5.h>\nversion=H5_VERS_MAJOR.H5_VERS_MINOR.H5_VERS_RELEASE' | $CC $deps_cflags $hdf5_cflags $mpi_cflags -E -P - 2>/dev/null | sed -n 's/^version=//p' | tr -d ' ')
    say HDF5 "$number ($hdf5_how)"
else
    lacks HDF5 "libhdf5-dev" "hdf5-devel" "hdf5" "hdf5" "hdf5 (1.10 or later; or HDF5_HOME=...)"
fi

# ---- CBLAS: `mappo bench` compares with one, and opens it by itself; the program is linked with none ----
# A file name of the library is kept, with its folder unless that is one of the system's.
blas_file=""
blas_names() { # KIND
    case $1 in
    openblas) echo libopenblas.so.0 libopenblas.so ;;
    flexiblas) echo libflexiblas.so.3 libflexiblas.so ;;
    blis) echo libblis.so.4 libblis.so.3 libblis.so ;;
    mkl) echo libmkl_rt.so.2 libmkl_rt.so.1 libmkl_rt.so ;;
    cblas) echo libcblas.so.3 libcblas.so libblas.so.3 ;; # the reference CBLAS stands in libblas on some systems
    esac
}
find_blas() { # KIND...
    local kind folder name files=()
    links '#include <dlfcn.h>
#include <stdio.h>
int main(int argc, char **argv) { for (int i = 1; i < argc; i++) { void *lib = dlopen(argv[i], RTLD_NOW); if (lib && dlsym(lib, "cblas_sgemm")) return puts(argv[i]) < 0; } return 1; }' -ldl || return
    for kind in "$@"; do
        for folder in ${DEPS:+"$DEPS/lib" "$DEPS/lib64"} ${OPENBLAS_HOME:+"$OPENBLAS_HOME/lib"} ${MKLROOT:+"$MKLROOT/lib/intel64" "$MKLROOT/lib"} "" ${LIBRARY_PATH:+$(tr ':' ' ' <<<"$LIBRARY_PATH")}; do
            for name in $(blas_names "$kind"); do files+=("${folder:+$folder/}$name"); done
        done
    done
    blas_file=$(OPENBLAS_NUM_THREADS=1 "$work/t" "${files[@]}" 2>/dev/null)
}
case $BLAS in
none) say BLAS "left out (BLAS=none): \`mappo bench\` compares with none" ;;
auto)
    if find_blas openblas flexiblas blis mkl cblas; then
        say BLAS "$blas_file (only \`mappo bench\` opens it, to compare)"
    else
        say BLAS "none here; only \`mappo bench\` would compare with one"
        blas_file=libopenblas.so.0
    fi
    ;;
openblas | mkl | blis | flexiblas | cblas)
    if find_blas "$BLAS"; then say BLAS "$blas_file (only \`mappo bench\` opens it, to compare)"; else lacks BLAS "libopenblas0" "openblas" "openblas" "openblas" "openblas or mkl (or BLAS=none)"; fi
    ;;
*)
    echo "mappo: BLAS=$BLAS is not one of openblas, mkl, blis, flexiblas, cblas, none" >&2
    exit 2
    ;;
esac

# ---- small ones ----
simple() { # NAME PKG LIB CODE: sets found_cflags, found_libs
    found_cflags="" found_libs=""
    # shellcheck disable=SC2046
    if have_pkg "$2" && links "$4" $(pkg-config --cflags --libs "$2"); then
        found_cflags=$(pkg-config --cflags "$2") found_libs=$(pkg-config --libs "$2")
        say "$1" "$(pkg-config --modversion "$2" 2>/dev/null) (pkg-config)"
    elif links "$4" "$3"; then
        found_libs=$3
        say "$1" "yes"
    else
        return 1
    fi
}
inih_cflags="" inih_libs="" crypto_cflags="" crypto_libs="" cmocka_cflags="" cmocka_libs=""
if simple inih inih -linih '#include <ini.h>
static int h(void *u, const char *s, const char *n, const char *v) { (void)u; (void)s; (void)n; (void)v; return 1; }
int main(void) { return ini_parse("/dev/null", h, 0); }'; then
    inih_cflags=$found_cflags inih_libs=$found_libs
else
    lacks inih "libinih-dev" "inih-devel" "libinih" "inih" "- (scripts/setup.sh --prefix builds it)"
fi
if simple libcrypto libcrypto -lcrypto '#include <openssl/evp.h>
int main(void) { return EVP_sha256() == 0; }'; then
    crypto_cflags=$found_cflags crypto_libs=$found_libs
else
    lacks libcrypto "libssl-dev" "openssl-devel" "openssl" "openssl" "openssl"
fi
if simple cmocka cmocka -lcmocka '#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
int main(void) { return sizeof(struct CMUnitTest) == 0; }'; then
    cmocka_cflags=$found_cflags cmocka_libs=$found_libs
else
    say cmocka "left out: needed for \`make test\` only (apt: libcmocka-dev)"
fi

# ---- CUDA ----
nvcc="" cuda_kind=none cuda_flags="" cuda_libs="" cuda_arches="" cuda_version=""
# A host compiler that this nvcc takes: the default one, or an older one beside it.
find_host_compiler() {
    local candidate
    printf '#include <utility>\n__global__ void k() {}\nint main() { return 0; }\n' >"$work/t.cu"
    for candidate in "${CUDAHOSTCXX:-}" "" g++-14 g++-13 g++-12 g++-11 g++-10 g++-9 clang++; do
        [ -z "$candidate" ] || command -v "$candidate" >/dev/null 2>&1 || continue
        cuda_flags=${candidate:+-ccbin $candidate}
        # shellcheck disable=SC2086
        "$nvcc" -std=c++17 $cuda_flags -c -o "$work/t.o" "$work/t.cu" >"$work/log" 2>&1 && return
    done
    return 1
}
# Architectures: CUDA_ARCH="80 90", or those of the usual ones that the toolkit knows. Code of 8.0 runs on 8.6 and 8.9 as well. CUDA_ARCH=tested:
# without the newest, whose code comes from the same text as that of 8.0 and 9.0 (tests/cuda/test_compile.sh).
choose_arches() {
    local known arch wanted=${CUDA_ARCH:-70 75 80 90 100 120}
    case $wanted in native) wanted=$native ;; tested) wanted="70 75 80 90" ;; esac
    known=$("$nvcc" --list-gpu-arch 2>/dev/null | sed 's/compute_//')
    for arch in $wanted; do
        if grep -qx "$arch" <<<"$known"; then
            cuda_arches="$cuda_arches $arch"
        elif [ "${CUDA_ARCH:-tested}" != tested ]; then
            echo "mappo: CUDA_ARCH=$arch is not one of nvcc $cuda_version's: $(tr '\n' ' ' <<<"$known")" >&2
            exit 2
        fi
    done
    cuda_arches=${cuda_arches# }
}
# The GPUs of this machine, as CUDA_ARCH=native wants them: "80 90"; empty where there are none.
native=""
[ "${CUDA_ARCH:-}" = native ] && command -v nvidia-smi >/dev/null 2>&1 &&
    native=$(timeout 20 nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | sed -n 's/^\([0-9]*\)\.\([0-9]\) *$/\1\2/p' | sort -nu | tr '\n' ' ')
[ "$CUDA" = auto ] && [ "${CUDA_ARCH:-}" = native ] && [ -z "$native" ] && CUDA=none
case $CUDA in
none) say CUDA "left out: no GPU in this machine (make builds for all the usual ones, CUDA_ARCH=\"80 90\" for those)" ;;
0) say CUDA "left out (CUDA=0)" ;;
emulated)
    cuda_kind=emulated cuda_libs=-lstdc++
    say CUDA "emulated on the host, for tests"
    ;;
*)
    nvcc=$(command -v "${NVCC:-nvcc}" 2>/dev/null || { [ -x "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc" ] && echo "${CUDA_HOME:-/usr/local/cuda}/bin/nvcc"; })
    if [ -n "$nvcc" ]; then
        cuda_version=$("$nvcc" --version 2>/dev/null | sed -n 's/.*release \([0-9.]*\).*/\1/p')
        root=$(dirname "$(dirname "$(readlink -f "$nvcc")")")
        for lib in "$root/lib64" "$root/targets/x86_64-linux/lib" "$root/targets/sbsa-linux/lib" "$root/lib" /usr/lib/x86_64-linux-gnu; do
            [ -f "$lib/libcudart_static.a" ] && cuda_libs="-L$lib" && break
        done
        if ! find_host_compiler; then
            say CUDA "left out: nvcc $cuda_version does not take this machine's C++ compiler (CUDAHOSTCXX=g++-12 names another): $(grep -m1 error "$work/log")"
        elif [ -z "$cuda_libs" ]; then
            say CUDA "left out: nvcc $cuda_version is here, libcudart_static.a is not (apt: libcudart-dev of the toolkit's packages)"
        else
            choose_arches
            cuda_kind=nvcc cuda_libs="$cuda_libs -lcudart_static -lrt -ldl -lpthread -lstdc++"
            say CUDA "nvcc $cuda_version${cuda_flags:+ with${cuda_flags#-ccbin}}, for $cuda_arches and newer (CUDA_ARCH=... chooses)"
        fi
    fi
    if [ $cuda_kind = none ] && [ "$CUDA" = 1 ]; then
        lacks CUDA "nvidia-cuda-toolkit" "cuda-toolkit" "cuda-nvcc" "cuda" "cuda (then nvcc is on PATH; or CUDA_HOME=...)"
    elif [ -z "$nvcc" ]; then
        say CUDA "left out: no nvcc"
    fi
    ;;
esac

if [ ${#missing[@]} -gt 0 ]; then
    {
        echo
        echo "mappo: cannot build, missing here:"
        printf '  %s\n' "${missing[@]}"
        echo "mappo: on Debian or Ubuntu \`scripts/setup.sh\` installs them; without root \`scripts/setup.sh --prefix DIR --from ARCHIVES\` builds them; libraries elsewhere: DEPS=DIR (with include/ and lib/)"
    } >&2
    exit 2
fi

cflags="$deps_cflags $inih_cflags $crypto_cflags"
libs="$deps_libs $hdf5_libs $inih_libs $crypto_libs $mpi_libs -ldl -lpthread -fopenmp -lm"
# Libraries that stand where only a loaded module points (LD_LIBRARY_PATH, LIBRARY_PATH, -L): their folders go into the program, so that
# it also runs on a compute node without the modules. DT_RPATH, not DT_RUNPATH: the libraries' own dependencies need it as well.
rpath=
printf '#include <hdf5.h>\n#include <ini.h>\nint main(void) { return H5open() < 0; }\n' >"$work/t.c"
# shellcheck disable=SC2086
if $CC -std=c11 $cflags $hdf5_cflags $mpi_cflags -o "$work/t" "$work/t.c" -Wl,--no-as-needed $libs >"$work/log" 2>&1; then
    searched=$(printf '%s\n' $libs | sed -n 's/^-L//p' | tr '\n' ':')
    folders=$(LD_LIBRARY_PATH="$searched${LIBRARY_PATH:+$LIBRARY_PATH:}${LD_LIBRARY_PATH:-}" ldd "$work/t" 2>/dev/null | sed -n 's/.*=> \(\/.*\)\/[^/]* (.*/\1/p' | sort -u)
    for folder in $folders; do
        case $folder in
        /lib | /lib64 | /usr/lib | /usr/lib64 | /lib/*-linux-gnu* | /usr/lib/*-linux-gnu*) ;;
        *) rpath="$rpath -Wl,-rpath,$folder" ;;
        esac
    done
    [ -n "$rpath" ] && rpath="-Wl,--disable-new-dtags$rpath" && say rpath "$(printf '%s' "$rpath" | sed 's/-Wl,--disable-new-dtags//; s/-Wl,-rpath,//g; s/^ *//')"
else
    echo "mappo: the libraries were found one by one but do not link together:" >&2
    head -5 "$work/log" >&2
    exit 2
fi

tidy() { printf '%s' "$*" | tr -s ' ' | sed 's/^ //; s/ $//'; }
cat >"$out.new" <<END
# Written by scripts/probe.sh; \`make clean\` looks again.
TARGET := $target
LEVELS := $levels
WARN := $warnings
DEP_CFLAGS := $(tidy "$cflags")
MPI_CFLAGS := $(tidy "$mpi_cflags")
HDF5_CFLAGS := $(tidy "$hdf5_cflags")
DEP_LIBS := $(tidy "$rpath $libs")
CMOCKA_CFLAGS := $(tidy "$cmocka_cflags")
CMOCKA_LIBS := $(tidy "$cmocka_libs")
HAS_MPI := $([ -n "$mpi_name" ] && echo 1 || echo 0)
BLAS_FILE := $blas_file
CUDA_KIND := $cuda_kind
NVCC_FOUND := $nvcc
CUDA_FLAGS := $cuda_flags
CUDA_ARCHES := $cuda_arches
CUDA_LIBS := $cuda_libs
END
mv "$out.new" "$out"

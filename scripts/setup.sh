#!/usr/bin/env bash
# Gets what building and running needs.
#   scripts/setup.sh [--tests]                 Debian, Ubuntu (WSL2 too), as root or with sudo: installs what is missing. Elsewhere: names it.
#   scripts/setup.sh --prefix P --from DIR     without root and network: builds HDF5, OpenBLAS, inih and cmocka from source archives in DIR
#   scripts/setup.sh --list                    which archives
# Exit 0: all is there; 2: something is missing and was named; 1: a build failed.
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # as `sh setup.sh`
set -u +o posix
cd "$(dirname "$0")/.." || exit 1

tests=0 prefix="" from=""
while [ $# -gt 0 ]; do
    case $1 in
    --tests) tests=1 ;;
    --prefix | --from)
        [ -n "${2:-}" ] || { echo "setup.sh: $1 needs a folder (scripts/setup.sh --help)" >&2 && exit 2; }
        if [ "$1" = --prefix ]; then prefix=$2; else from=$2; fi
        shift
        ;;
    --list)
        cat <<'END'
Source archives that scripts/setup.sh --prefix P --from DIR builds, each only if its archive is in DIR (.tar.gz, .tar.bz2, .tar.xz or .zip):
  hdf5-*      HDF5 1.10 to 2.0; 2.0 needs cmake           (also named hdf5_*, as distributions name their source packages)
  OpenBLAS-*  0.3.10 or later; not needed: `mappo bench` compares with it (openblas_*)
  inih-*      r50 or later                                (libinih_*, r*.tar.gz)
  cmocka-*    1.1 or later; for the tests only            (cmocka_*)
Needed besides: a C compiler, GNU make, libcrypto with headers (OpenSSL), and MPI if ranks are wanted; clusters have these.
Then: make DEPS=P   (P=.deps inside this folder is found by itself)
OPENBLAS_TARGET=SKYLAKEX builds for one processor type: much quicker, but runs on that type only.
END
        exit 0
        ;;
    -h | --help) sed -n '2,6s/^# //p' "$0" && exit 0 ;;
    *) echo "setup.sh: unknown option $1 (scripts/setup.sh --help)" >&2 && exit 2 ;;
    esac
    shift
done

# ---- from archives -------------------------------------------------------------------------------------------------------------------
jobs=$(nproc 2>/dev/null || echo 2)
CC=${CC:-gcc}

# unpack PATTERN...: unpacks the first archive of DIR that matches; sets $source to its folder.
unpack() {
    local pattern archive
    source="" archive=""
    for pattern in "$@"; do
        archive=$(find "$from" -maxdepth 1 -type f -iname "$pattern" \( -name '*.tar.*' -o -name '*.tgz' -o -name '*.zip' \) ! -name '*.asc' ! -name '*debian.tar*' | sort -V | tail -1)
        [ -n "$archive" ] && break
    done
    [ -n "$archive" ] || return 1
    source=$work/$(basename "$archive" | tr -c 'A-Za-z0-9.\n' _)
    mkdir -p "$source"
    case $archive in
    *.zip) unzip -q "$archive" -d "$source" ;;
    *) tar -xf "$archive" -C "$source" ;;
    esac || { echo "setup.sh: $archive does not unpack" >&2 && exit 1; }
    # One folder inside, usually.
    [ "$(find "$source" -mindepth 1 -maxdepth 1 | wc -l)" = 1 ] && source=$(find "$source" -mindepth 1 -maxdepth 1)
    echo "setup.sh: building $(basename "$archive") (log: $prefix/log)"
}
step() { # one command of a build, its output in the log
    "$@" >>"$prefix/log" 2>&1 || {
        tail -15 "$prefix/log" >&2
        echo "setup.sh: failed: $* (whole log: $prefix/log)" >&2
        exit 1
    }
}
pkgconfig() { # NAME VERSION LIBS
    printf 'prefix=%s\nName: %s\nDescription: %s\nVersion: %s\nCflags: -I${prefix}/include\nLibs: -L${prefix}/lib %s\n' "$prefix" "$1" "$1" "$2" "$3" >"$prefix/lib/pkgconfig/$1.pc"
}

build_hdf5() {
    unpack 'hdf5-*' 'hdf5_*' || return
    if [ -f "$source/configure" ]; then
        (cd "$source" && step sh ./configure --prefix="$prefix" --libdir="$prefix/lib" CC="$CC" --disable-static --disable-tests --disable-tools --disable-cxx --disable-fortran --disable-hl --without-szlib --without-zlib &&
            step make -j"$jobs" && step make install) || exit 1
    elif command -v cmake >/dev/null 2>&1; then
        (cd "$source" && step cmake -S . -B build-mappo -DCMAKE_C_COMPILER="$CC" -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$prefix" -DCMAKE_INSTALL_LIBDIR=lib -DBUILD_TESTING=OFF -DBUILD_STATIC_LIBS=OFF \
            -DHDF5_BUILD_EXAMPLES=OFF -DHDF5_BUILD_TOOLS=OFF -DHDF5_BUILD_CPP_LIB=OFF -DHDF5_BUILD_FORTRAN=OFF -DHDF5_BUILD_HL_LIB=OFF -DHDF5_ENABLE_Z_LIB_SUPPORT=OFF -DHDF5_ENABLE_ZLIB_SUPPORT=OFF \
            -DHDF5_ENABLE_SZIP_SUPPORT=OFF && step cmake --build build-mappo -j "$jobs" && step cmake --install build-mappo) || exit 1
    else
        echo "setup.sh: this HDF5 has no configure script and there is no cmake: use an archive of HDF5 1.10 to 1.14" >&2 && exit 1
    fi
    # HDF5 links its own name of the library without a pkg-config file in some versions; ours is enough.
    pkgconfig hdf5 "$(sed -n 's/.*H5_VERS_INFO *"[^"]*version \([0-9.]*\).*/\1/p' "$prefix/include/H5public.h" | head -1)" "-lhdf5"
    built="$built HDF5"
}
build_openblas() {
    unpack 'openblas-*' 'openblas_*' || return
    # Many threads may call it at the same time, whatever the cores of the machine that builds.
    local flags=(NO_LAPACK=1 NOFORTRAN=1 NO_LAPACKE=1 NUM_THREADS=256 CC="$CC" PREFIX="$prefix")
    if [ -n "${OPENBLAS_TARGET:-}" ]; then
        flags+=(DYNAMIC_ARCH=0 TARGET="$OPENBLAS_TARGET")
    else
        flags+=(DYNAMIC_ARCH=1)
        [ "$(uname -m)" = x86_64 ] && flags+=(DYNAMIC_LIST="SANDYBRIDGE HASWELL ZEN SKYLAKEX")
    fi
    (cd "$source" && step make -j"$jobs" "${flags[@]}" libs && step make "${flags[@]}" shared && step make "${flags[@]}" install) || exit 1
    [ -f "$prefix/lib/pkgconfig/openblas.pc" ] || pkgconfig openblas 0.3 "-lopenblas"
    built="$built OpenBLAS"
}
build_inih() {
    unpack 'inih-*' 'inih_*' 'libinih_*' 'r[0-9]*' || return
    # INI_USE_STACK and long lines as distributions build it.
    (cd "$source" && step "$CC" -O2 -fPIC -shared -Wl,-soname,libinih.so.0 -o "$prefix/lib/libinih.so.0" ini.c && step cp ini.h "$prefix/include/" && step ln -sf libinih.so.0 "$prefix/lib/libinih.so") || exit 1
    pkgconfig inih 0 "-linih"
    built="$built inih"
}
build_cmocka() {
    unpack 'cmocka-*' 'cmocka_*' || return
    # Without cmake: one source file, and what it asks about a usual Linux.
    cat >"$source/config.h" <<'END'
#define _GNU_SOURCE
#define HAVE_ASSERT_H 1
#define HAVE_INTTYPES_H 1
#define HAVE_IO_H 0
#define HAVE_MALLOC_H 1
#define HAVE_MEMORY_H 1
#define HAVE_SETJMP_H 1
#define HAVE_SIGNAL_H 1
#define HAVE_STDARG_H 1
#define HAVE_STDDEF_H 1
#define HAVE_STDINT_H 1
#define HAVE_STDIO_H 1
#define HAVE_STDLIB_H 1
#define HAVE_STRING_H 1
#define HAVE_STRINGS_H 1
#define HAVE_SYS_STAT_H 1
#define HAVE_SYS_TYPES_H 1
#define HAVE_TIME_H 1
#define HAVE_UNISTD_H 1
#define HAVE_STRUCT_TIMESPEC 1
#define HAVE_CALLOC 1
#define HAVE_EXIT 1
#define HAVE_FPRINTF 1
#define HAVE_FREE 1
#define HAVE_LONGJMP 1
#define HAVE_SIGLONGJMP 1
#define HAVE_MALLOC 1
#define HAVE_MEMCPY 1
#define HAVE_MEMSET 1
#define HAVE_PRINTF 1
#define HAVE_SETJMP 1
#define HAVE_SIGNAL 1
#define HAVE_SNPRINTF 1
#define HAVE_STRCMP 1
#define HAVE_STRERROR 1
#define HAVE_STRSIGNAL 1
#define HAVE_VSNPRINTF 1
#define HAVE_CLOCK_GETTIME 1
#define HAVE_CLOCK_REALTIME 1
#define HAVE_MSVC_THREAD_LOCAL_STORAGE 0
#define HAVE_GCC_THREAD_LOCAL_STORAGE 1
END
    (cd "$source" && step "$CC" -O2 -std=gnu99 -fPIC -shared -DHAVE_CONFIG_H -I. -Iinclude -Wl,-soname,libcmocka.so.0 -o "$prefix/lib/libcmocka.so.0" src/cmocka.c && step cp include/cmocka*.h "$prefix/include/" &&
        step ln -sf libcmocka.so.0 "$prefix/lib/libcmocka.so") || exit 1
    pkgconfig cmocka 1 "-lcmocka"
    built="$built cmocka"
}

if [ -n "$prefix$from" ]; then
    [ -n "$prefix" ] && [ -d "$from" ] || { echo "setup.sh: --prefix P and --from DIR (an existing folder) belong together" >&2 && exit 2; }
    mkdir -p "$prefix/lib/pkgconfig" "$prefix/include" || exit 1
    prefix=$(cd "$prefix" && pwd) from=$(cd "$from" && pwd)
    work=$(mktemp -d --suffix=.mappo-setup) || exit 1
    trap 'rm -rf "$work"' EXIT
    : >"$prefix/log"
    built=""
    build_inih
    build_cmocka
    build_hdf5
    build_openblas
    [ -n "$built" ] || { echo "setup.sh: no archive in $from; scripts/setup.sh --list says which" >&2 && exit 2; }
    echo "setup.sh: built$built below $prefix; now: make DEPS=$prefix"
    exit 0
fi

# ---- from the package manager --------------------------------------------------------------------------------------------------------
packages="gcc make libc6-dev pkg-config libopenmpi-dev openmpi-bin libhdf5-dev hdf5-tools libinih-dev libssl-dev python3 python3-matplotlib libcairo2"
test_packages="libopenblas0 libcmocka-dev mpich libmpich-dev slurm-wlm munge python3-h5py python3-numpy gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user clang clang-format-14 libomp-dev shellcheck git g++ procps util-linux python3-venv python3-torch ffmpeg chromium"
[ $tests = 1 ] && packages="$packages $test_packages"

names() {
    cat <<'END'
What building needs, by the names of
  apt     gcc make pkg-config libopenmpi-dev libhdf5-dev libinih-dev libssl-dev python3-matplotlib
  dnf     gcc make pkgconf openmpi-devel hdf5-devel inih-devel openssl-devel python3-matplotlib   (then: module load mpi)
  conda   c-compiler make pkg-config openmpi hdf5 libinih openssl matplotlib                            (channel conda-forge)
  Spack   openmpi hdf5 inih openssl py-matplotlib
  modules gcc, openmpi (or mpich, intel-mpi), hdf5    `module avail` shows a cluster's own names; a login node has the rest
Without root and network: scripts/setup.sh --list
END
    [ $tests = 1 ] && echo "The tests need besides (apt): $test_packages"
}

missing=""
if command -v dpkg-query >/dev/null 2>&1 && command -v apt-get >/dev/null 2>&1; then
    here=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' 2>/dev/null | sed -n 's/ installed$//p')
    for package in $packages; do grep -qx "$package" <<<"$here" || missing="$missing $package"; done
    [ -z "$missing" ] && exit 0
    run=""
    if [ "$(id -u)" != 0 ]; then
        # With a terminal sudo may ask for the password.
        if command -v sudo >/dev/null 2>&1 && { sudo -n true 2>/dev/null || { [ -t 0 ] && [ -t 2 ]; }; }; then run=sudo; else run=none; fi
    fi
    if [ "$run" != none ]; then
        available() { # those that this release has
            local package
            for package in $missing; do apt-cache show --no-all-versions "$package" >/dev/null 2>&1 && echo "$package"; done
        }
        install() {
            # shellcheck disable=SC2046,SC2086
            $run env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $(available)
        }
        echo "setup.sh: installing$missing"
        # The package lists of a fresh system are empty or old.
        # shellcheck disable=SC2086
        if [ "$(available | wc -l)" -lt "$(wc -w <<<"$missing")" ] || ! install >/tmp/mappo-setup.$$ 2>&1; then
            $run apt-get update -q || { echo "setup.sh: apt-get update failed" >&2 && names >&2 && exit 2; }
            install >/tmp/mappo-setup.$$ 2>&1 || {
                tail -15 /tmp/mappo-setup.$$ >&2
                rm -f /tmp/mappo-setup.$$
                echo "setup.sh: apt-get could not install$missing" >&2
                exit 2
            }
        fi
        rm -f /tmp/mappo-setup.$$
        unavailable=$(for package in $missing; do apt-cache show "$package" >/dev/null 2>&1 || printf ' %s' "$package"; done)
        [ -n "$unavailable" ] && echo "setup.sh: this release has no$unavailable"
        echo "setup.sh: done"
        exit 0
    fi
fi
# Without rights, or with another package manager: it may all be here by other means (modules, conda, an own prefix).
if make "${BUILD:-build}/config.mk" >/dev/null 2>&1; then
    echo "setup.sh: everything that building needs is here${missing:+; packages not installed, and no right to:$missing}"
    [ $tests = 1 ] && exit 2
    exit 0
fi
echo "setup.sh: cannot install packages here${missing:+ (missing:$missing)}" >&2
names >&2
make "${BUILD:-build}/config.mk" 2>&1 | sed -n '/cannot build/,$p' | grep -v '^make' >&2
exit 2

#!/usr/bin/env bash
# Packs the program, its CUDA tests and every library they need into one file, for a machine that has a GPU driver and little else.
#   scripts/bundle.sh BUILD FILE.tar.xz      FILE.tar: not compressed. BUILD: a folder of `make BUILD=... all tests`. With MPI in the build, an Open MPI travels along.
# There: tar xJf FILE.tar.xz && bundle/run.sh      (bundle/run.sh --help; without xz: python3 -m tarfile -e FILE.tar.xz)
[ -n "${BASH_VERSION:-}" ] || exec bash "$0" "$@" # as `sh bundle.sh`
set -eu +o posix
cd "$(dirname "$0")/.."
case ${1:-} in -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' scripts/bundle.sh && exit 0 ;; esac
[ $# = 2 ] && [ -x "$1/mappo" ] || { echo "bundle.sh: scripts/bundle.sh BUILD FILE.tar.xz, BUILD with a mappo in it (scripts/bundle.sh --help)" >&2; exit 2; }
build=$1 file=$2
[[ $file == *.tar ]] || command -v xz >/dev/null || { echo "mappo: a bundle is packed with xz, which is not here (apt, dnf: xz-utils, xz); FILE.tar is not packed" >&2; exit 1; }
work=$(mktemp -d --suffix=.mappo-bundle)
trap 'rm -rf "$work"' EXIT
to=$work/bundle
mkdir -p "$to/lib" "$to/bin" "$to/build/tests" "$to/tests" "$to/scripts"

# Programs lie in bin; in their usual places stand scripts that start them with the libraries of lib.
stand_in() { # PLACE: of the program bin/<its name>
    cat >"$to/$1" <<'S'
#!/bin/sh
here=$(cd "$(dirname "$0")" && pwd)
while [ ! -d "$here/bin" ] || [ ! -d "$here/lib" ]; do here=$(dirname "$here"); done
. "$here/surroundings"
start "$(basename "$0")" "$@"
S
    chmod +x "$to/$1"
}
programs=("$build/mappo")
for test in "$build"/tests/test_*_cuda; do [ -x "$test" ] && programs+=("$test"); done
for program in "${programs[@]}"; do
    cp "$program" "$to/bin/"
    strip --strip-debug "$to/bin/$(basename "$program")"
    place=build/$(basename "$program")
    case $program in */tests/*) place=build/tests/$(basename "$program") ;; esac
    stand_in "$place"
done
[ ! -e "$build/tests/meeting.so" ] || cp "$build/tests/meeting.so" "$to/build/tests/" # an environment of the tests
ln -s build/mappo "$to/mappo"

mpi=""
if ldd "$build/mappo" | grep -q 'libmpi\.so' && command -v ompi_info >/dev/null; then
    mpi=1
    plugins=$(ompi_info --path pkglibdir | sed 's/.*: *//')
    mkdir -p "$to/openmpi/plugins" "$to/openmpi/pmix"
    cp "$plugins"/mca_*.so "$to/openmpi/plugins/"
    # What travels over networks, or starts ranks on other nodes, has no place here and needs libraries of its own.
    rm -f "$to"/openmpi/plugins/mca_{btl_openib,btl_usnic,btl_uct,mtl_ofi,mtl_psm,mtl_psm2,mtl_portals4,pml_ucx,osc_ucx,common_ucx,common_ofi,btl_ofi,common_verbs,plm_tm,ras_tm,plm_slurm,ras_slurm,ess_slurm,ess_tm,oob_ud}.so
    pmix=$(find "$(dirname "$(readlink -f "$(ldd "$plugins"/mca_pmix_ext*.so 2>/dev/null | sed -n 's/.*libpmix[^ ]* => \([^ ]*\).*/\1/p' | head -1)")")" -maxdepth 1 -type d -name pmix 2>/dev/null | head -1)
    [ -n "$pmix" ] && cp "$pmix"/*.so "$to/openmpi/pmix/"
    cp "$(readlink -f "$(command -v mpirun)")" "$to/bin/mpirun"
    stand_in mpirun
    programs+=("$to/bin/mpirun" "$to"/openmpi/plugins/*.so "$to"/openmpi/pmix/*.so)
fi

# Libraries, and the loader with the C library in a folder by itself: only a machine with an older one needs that.
mkdir -p "$to/lib/c"
ldd "${programs[@]}" 2>/dev/null | sed -nE 's/.* => (\/[^ ]+) .*/\1/p; s/^[[:space:]]*(\/[^ ]*ld-linux[^ ]*) .*/\1/p' | sort -u | while read -r library; do
    case $(basename "$library") in
    ld-linux* | libc.so* | libm.so* | libpthread.so* | libdl.so* | librt.so* | libresolv.so* | libutil.so*) cp -L "$library" "$to/lib/c/" ;;
    *) cp -L "$library" "$to/lib/" ;;
    esac
done

cat >"$to/surroundings" <<'S'
# Sourced: start NAME ARGUMENTS... starts bin/NAME; $here is this folder.
loader=$(echo "$here"/lib/c/ld-linux*)
driver=/usr/lib/x86_64-linux-gnu:/usr/lib64:/usr/lib/aarch64-linux-gnu:/usr/local/nvidia/lib64:/usr/local/nvidia/lib:/usr/local/cuda/lib64:/usr/local/cuda/compat
libraries=$here/lib:${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$driver
# The program would start itself again for these, and can't where the loader is named.
unset OMP_PROC_BIND OMP_PLACES GOMP_CPU_AFFINITY KMP_AFFINITY
export GOMP_SPINCOUNT="${GOMP_SPINCOUNT:-10000}"
if [ -d "$here/openmpi" ]; then
    export OMPI_MCA_mca_base_component_path="$here/openmpi/plugins" PMIX_MCA_mca_base_component_path="$here/openmpi/pmix"
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
    export OMPI_MCA_plm_rsh_agent=false OMPI_MCA_plm=isolated OMPI_MCA_btl=self,vader OMPI_MCA_pml=ob1
fi
start() {
    name=$1
    shift
    if [ -z "${MAPPO_LOADER:-}" ]; then
        if LD_LIBRARY_PATH=$here/lib "$here/bin/mappo" --version >/dev/null 2>&1; then MAPPO_LOADER=here; else MAPPO_LOADER=bundle; fi
        export MAPPO_LOADER
    fi
    if [ "$MAPPO_LOADER" = here ]; then
        LD_LIBRARY_PATH=$here/lib${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} exec "$here/bin/$name" "$@"
    fi
    exec "$loader" --library-path "$here/lib/c:$libraries" --argv0 "$here/bin/$name" "$here/bin/$name" "$@"
}
S
cp tests/run.sh "$to/tests/" && cp scripts/cuda_report.sh scripts/device.sh "$to/scripts/"
mkdir -p "$to/tests/cuda" "$to/tests/mpi"
cp tests/mpi/train.sh "$to/tests/mpi/"
for program in "$to"/bin/test_*_cuda; do [ ! -x "$program" ] || cp "tests/cuda/$(basename "$program").c" "$to/tests/cuda/"; done # which tests there are, and how long they may run
mkdir -p "$to/tests/data/algo" && cp tests/data/algo/algo_gru_*.h5 "$to/tests/data/algo/"
cp tests/cuda/test_train_cuda.sh tests/cuda/test_sanitizer.sh "$to/tests/cuda/"
[ -n "$mpi" ] && cp tests/mpi/test_pods.sh "$to/tests/mpi/"
cat >"$to/run.sh" <<'S'
#!/usr/bin/env bash
# Runs every CUDA test on this machine's GPU, then prints the table of `mappo bench backend=cuda`.
#   run.sh [NAME ...]     part of a test's path; --bench: only the table
# All that is worth knowing of a GPU within ten minutes, with a summary: scripts/device.sh FOLDER
cd "$(dirname "$0")" || exit 1
case ${1:-} in -h | --help) sed -n '2,4s/^# //p' run.sh && exit 0 ;; esac
export BUILD=build EMULATED=build MAPPO=$PWD/build/mappo MAPPO_EMULATED=$PWD/build/mappo
[ -x mpirun ] && export MAPPO_LAUNCH="$PWD/mpirun --oversubscribe --bind-to none"
failed=0
nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader 2>/dev/null
./mappo doctor | sed -n '1,/^MPI/p'
[ "${1:-}" = --bench ] || tests/run.sh -j 1 "${@:-cuda/}" || failed=1
[ "${1:-}" = --bench ] || [ $# = 0 ] && ./mappo bench backend=cuda
exit $failed
S
chmod +x "$to/run.sh"
mkdir -p "$(dirname "$file")"
# Every program has the same device code: a dictionary longer than one of them finds that (24 MB; gzip makes 92).
case $file in
*.tar) tar cf "$file" -C "$work" bundle ;;
*) tar cf - -C "$work" bundle | xz -T0 --lzma2=preset=3,dict=128MiB >"$file" ;;
esac
echo "mappo: $file, $(du -h "$file" | cut -f1): tar xf $(basename "$file") && bundle/run.sh, or bundle/scripts/device.sh FOLDER"

# mappo: `make` builds build/mappo, `make help` lists the rest. GNU make 3.82 or later; gcc 8 or later, or clang.
# What this machine has is looked for once, by scripts/probe.sh, and kept in $(BUILD)/config.mk.
BUILD  ?= build
ifeq ($(origin CC),default)
CC     := gcc
endif
MPI    ?= auto
MPICC  ?= mpicc
BLAS   ?= auto
CUDA   ?= auto
CUDA_ARCH ?=
CUDA_ENV_ARCH ?=
CUDA_KEPT ?= .cuda-objects
OBJ    ?= $(BUILD)/obj
DEBUG  ?= 0
SYMBOLS ?= -g
SAN    ?=
WERROR ?= 0
DEPS   ?= $(wildcard $(CURDIR)/.deps)
PREFIX ?= /usr/local
export CC MPI MPICC BLAS CUDA CUDA_ARCH CUDAHOSTCXX DEPS HDF5_HOME NVCC

.DEFAULT_GOAL := all
# These goals compile nothing here, or not for this machine, and so need no libraries.
ifneq ($(filter-out clean help aarch64,$(or $(MAKECMDGOALS),all)),)
PROBED := 1
include $(BUILD)/config.mk
endif

# A stamp is a file that changes when a text changes, so that what depends on it is made again. Only first_stamp is written while config.mk is not
# read, for the first time or by a goal that needs none: other texts would be others.
stamp = $(if $(DEP_LIBS),$(first_stamp))
first_stamp = $(shell mkdir -p $(dir $(1)); echo '$(subst ','\'',$(2))' | cmp -s - $(1) || echo '$(subst ','\'',$(2))' > $(1))

ifdef PROBED
# Also what may come later: a package installed since, another module loaded.
$(call first_stamp,$(BUILD)/probe.asked,$(CC) MPI=$(MPI) $(MPICC) BLAS=$(BLAS) CUDA=$(CUDA) $(CUDA_ARCH) $(CUDAHOSTCXX) $(NVCC) DEPS=$(DEPS) $(HDF5_HOME) $(PKG_CONFIG_PATH) $(LIBRARY_PATH) $(CPATH) \
    $(shell command -v $(CC) $(MPICC) h5cc nvcc) $(wildcard /usr/include/cmocka.h $(DEPS:%=%/include/*)))
$(BUILD)/config.mk: scripts/probe.sh $(BUILD)/probe.asked
	@mkdir -p $(BUILD); scripts/probe.sh $@
endif

# ---- flags ---------------------------------------------------------------------------------------------------------------------------
VERSION  := $(shell sed -n 's/^.*define MAPPO_VERSION "\(.*\)"/\1/p' src/base/version.c)
# No multiply-adds but in kernels: environments compute on the host what they compute on a device (src/env/float_math.h).
OPT      := $(if $(filter 1,$(DEBUG)),-O0 -DMAPPO_DEBUG,-O3) $(SYMBOLS) -fno-math-errno -fno-trapping-math -ffp-contract=off -fopenmp
SANITIZE := $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
# What only tests run takes longer to compile than to run; learning with real = double computes more.
LITTLE   := $(if $(filter 1,$(DEBUG)),,-O1)
LESS     := $(if $(filter 1,$(DEBUG)),,-O2)
CFLAGS_ALL   := -std=c11 -D_GNU_SOURCE $(WARN) $(OPT) -Isrc -I. $(SANITIZE) $(CFLAGS)
CPPFLAGS_ALL := $(DEP_CFLAGS) $(if $(filter-out baseline,$(LEVELS)),,-DBASELINE_ONLY) $(CPPFLAGS)
# For the few files that know of MPI or HDF5 (which may know of MPI itself).
OWN_CPPFLAGS := $(MPI_CFLAGS) $(HDF5_CFLAGS)
LIBS         := $(LDFLAGS) $(DEP_LIBS) $(CUDA_LIBS) $(SANITIZE)
LEVEL_baseline :=
LEVEL_avx2     := -mavx2 -mfma
LEVEL_avx512   := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mprefer-vector-width=512
$(call stamp,$(OBJ)/flags,$(CC) $(CFLAGS_ALL) $(CPPFLAGS_ALL) $(foreach l,$(LEVELS),$(LEVEL_$(l))))
$(call stamp,$(BUILD)/flags,$(CC) $(CFLAGS_ALL) $(LITTLE) $(LESS) $(CPPFLAGS_ALL) $(OWN_CPPFLAGS) $(LIBS) $(CUDA_KIND))
COMPILE = $(CC) $(CFLAGS_ALL) $(CPPFLAGS_ALL) $(if $(filter 1,$(WERROR)),-Werror) -MMD -MP
# One short line a file; V=1 shows the commands.
Q     := $(if $(filter 1,$(V)),,@)
says   = $(if $(filter 1,$(V))$(findstring s,$(filter-out --%,$(firstword $(MAKEFLAGS)))),,@echo "  $(1)  $@")

# ---- what there is ---------------------------------------------------------------------------------------------------------------------
# Environments are listed in envs/envs.def (suite.c and suite.ini are what those of a suite share): a line without its files stops make, and so does a file without a line.
ifneq ($(filter-out clean help,$(or $(MAKECMDGOALS),all)),)
LISTED := $(shell sed -nE 's,^(ENV|ENV_CALLED)\((\w+)\, *(\w+)\,.*WITH_KERNELS\).*,envs/\2/\3.c envs/\2/\3.cu,p; s,^(ENV|ENV_CALLED)\((\w+)\, *(\w+)\,.*HOST_ONLY\).*,envs/\2/\3.c,p' envs/envs.def)
FOUND  := $(filter-out envs/template/% %/suite.c,$(wildcard envs/*/*.c envs/*/*.cu))
TUNED  := $(patsubst %,envs/%.ini,$(shell sed -nE 's,^ENV.(\w+)\, *(\w+)\,.*,\1/\2,p; s,^ENV_CALLED.(\w+)\, *\w+\, *"([^"]*)".*,\1/\2,p; s,^VARIANT."([^"]*)".*,\1,p' envs/envs.def))
# Those of an algorithm with presets of its own are <env>.<algo>.ini.
TUNED  += $(foreach a,$(shell sed -nE 's,^ALGORITHM.(\w+)\,.*,\1,p' src/config/algorithms.def),$(TUNED:%.ini=%.$(a).ini) %/suite.$(a).ini)
ORPHANS := $(filter-out $(TUNED) %/suite.ini envs/presets/%,$(wildcard envs/*/*.ini))
$(foreach f,$(filter-out $(FOUND),$(LISTED)),$(error mappo: envs/envs.def lists an environment of $(f), which is not there))
$(foreach f,$(filter-out $(LISTED),$(FOUND)) $(ORPHANS),$(error mappo: no line of envs/envs.def is for $(f): add one, or take the file away))
endif
# Everything but main.c is one library; environments are part of it. Kernel files (*_kernels.c) are compiled once per instruction level.
# Learning is compiled a second time with real = double, for parity.
KERNELS        := $(wildcard src/backend/*_kernels.c)
SOURCES        := $(filter-out $(KERNELS),$(wildcard src/*/*.c src/*/*/*.c)) $(filter-out envs/template/%,$(wildcard envs/*/*.c))
DOUBLE_SOURCES := $(filter-out $(KERNELS),$(wildcard src/backend/*.c src/nn/*.c src/algo/*.c src/comm/*.c))
# Those that take longest first.
CUDA_SOURCES   := $(if $(filter nvcc emulated,$(CUDA_KIND)),$(wildcard cuda/fused*.cu) $(filter-out cuda/fused%,$(wildcard cuda/*.cu envs/*/*.cu)))
CUDA_OBJECTS   := $(CUDA_SOURCES:%.cu=$(BUILD)/obj/%.cu.o) $(if $(filter emulated,$(CUDA_KIND)),$(patsubst %.cc,$(BUILD)/obj/%.o,$(wildcard tests/cuda/emulation/*.cc)))
# Builds for another device or MPI library (make emulated, make mpich) take all objects from this one but those of the files that know of
# such things (no header does: make lint).
OWN_SOURCES    := $(shell grep -lE 'HAVE_CUDA|HAVE_MPI|<hdf5\.h>' src/*/*.c src/*/*/*.c)
OWN_OBJECTS    := $(OWN_SOURCES:%.c=$(BUILD)/obj/%.o)
# One with other flags (make sanitized) takes of another (LENT) what those flags are not for.
LENT           ?= $(OBJ)
LENT_OBJECTS   := $(patsubst %.c,$(LENT)/%.o,$(filter-out $(OWN_SOURCES),$(filter envs/% src/cmd/% src/check/%,$(SOURCES))))
COMMON_OBJECTS := $(LENT_OBJECTS) $(patsubst %.c,$(OBJ)/%.o,$(filter-out $(OWN_SOURCES) envs/% src/cmd/% src/check/%,$(SOURCES) src/main.c)) $(foreach l,$(LEVELS),$(KERNELS:%.c=$(OBJ)/%.$(l).o))
OBJECTS        := $(CUDA_OBJECTS) $(OWN_OBJECTS) $(filter-out $(OBJ)/src/main.o,$(COMMON_OBJECTS))
DOUBLE_OBJECTS := $(DOUBLE_SOURCES:%.c=$(BUILD)/double/%.o) $(foreach l,$(LEVELS),$(KERNELS:%.c=$(BUILD)/double/%.$(l).o)) \
    $(filter $(OBJ)/src/base/% $(OBJ)/src/config/% $(OBJ)/src/env/% $(OBJ)/envs/%,$(COMMON_OBJECTS))

# Test programs: tests/<folder>/test_*.c, linked with the double build where the name ends in _double; other C files of these folders are
# helpers that the scripts beside them start. tests/plugins/*.c become shared objects.
TEST_SOURCES := $(wildcard tests/unit/*.c tests/parity/*.c tests/mpi/*.c tests/faults/*.c) $(if $(CUDA_SOURCES),$(wildcard tests/cuda/*.c))
TEST_BINARIES := $(foreach t,$(TEST_SOURCES),$(BUILD)/tests/$(basename $(notdir $(t))))
TEST_PLUGINS := $(patsubst tests/plugins/%.c,$(BUILD)/tests/%.so,$(wildcard tests/plugins/*.c)) $(BUILD)/tests/meeting.so

all: $(BUILD)/mappo

$(BUILD)/mappo: $(OBJ)/src/main.o $(BUILD)/libmappo.a
	$(call says,ld)
	$(Q)$(CC) -rdynamic -o $@ $< $(BUILD)/libmappo.a $(LIBS)

# The list of members is a stamp: a source that is removed must leave the library as well.
$(call stamp,$(BUILD)/members,$(OBJECTS) $(DOUBLE_OBJECTS))
$(BUILD)/libmappo.a: $(OBJECTS) $(BUILD)/members
	@rm -f $@; ar rcs $@ $(OBJECTS)
$(BUILD)/libmappo_double.a: $(DOUBLE_OBJECTS) $(BUILD)/members
	@rm -f $@; ar rcs $@ $(DOUBLE_OBJECTS)

# The assembler reads the presets into this object (src/env/presets.c).
PRESETS := $(wildcard envs/*/*.ini)
PRESET_DEFINE := -DPRESETS='$(foreach p,$(PRESETS:envs/%.ini=%),PRESET("$(p)"))'
$(call stamp,$(OBJ)/presets,$(PRESETS))
$(OBJ)/src/env/presets.o: $(PRESETS) $(OBJ)/presets
$(OBJ)/src/env/presets.o: CPPFLAGS_ALL += $(PRESET_DEFINE)
# Likewise the modules that worker processes of Python run.
MODULES := $(wildcard src/env/python/*.py)
MODULE_DEFINE := -DMODULES='$(foreach m,$(MODULES:src/env/python/%.py=%),MODULE("$(m)"))'
$(OBJ)/src/env/python/module.o: $(MODULES)
$(OBJ)/src/env/python/module.o: CPPFLAGS_ALL += $(MODULE_DEFINE)
# And the page of mappo report into this one.
$(OBJ)/src/report/page.o: $(wildcard src/report/*.html src/report/*.css src/report/*.js)

define level_rules
$(OBJ)/%.$(1).o: %.c $(OBJ)/flags
	@mkdir -p $$(@D)
	$$(call says,cc)
	$$(Q)$$(COMPILE) -ffp-contract=fast $(LEVEL_$(1)) -DLEVEL=$(1) -c -o $$@ $$<
$(BUILD)/double/%.$(1).o: %.c $(BUILD)/flags
	@mkdir -p $$(@D)
	$$(call says,cc)
	$$(Q)$$(COMPILE) $(LESS) -ffp-contract=fast $(LEVEL_$(1)) -DLEVEL=$(1) -DMAPPO_REAL_DOUBLE -c -o $$@ $$<
endef
$(foreach l,$(LEVELS),$(eval $(call level_rules,$(l))))

$(OBJ)/%.o: %.c $(OBJ)/flags
	@mkdir -p $(@D)
	$(call says,cc)
	$(Q)$(COMPILE) -c -o $@ $<
$(OWN_OBJECTS): private CPPFLAGS_ALL += $(OWN_CPPFLAGS)
$(OWN_OBJECTS): $(BUILD)/obj/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call says,cc)
	$(Q)$(COMPILE) -c -o $@ $<
# The commit stands in one file only, which alone is compiled again when it changes.
COMMIT := $(shell git describe --always --dirty=+ 2>/dev/null)
$(call stamp,$(OBJ)/commit,$(COMMIT))
$(OBJ)/src/base/version.o: $(OBJ)/commit
$(OBJ)/src/base/version.o: CPPFLAGS_ALL += $(if $(COMMIT),-DMAPPO_BUILD='"$(COMMIT)"')
# Their own names, against which their last lines are held.
$(OBJ)/envs/%.o: CPPFLAGS_ALL += -DMAPPO_BUILT_IN='"$(subst /,_,$(@:$(OBJ)/envs/%.o=%))"'
# Likewise the library that `mappo bench` opens.
$(call stamp,$(OBJ)/blas,$(BLAS_FILE))
$(OBJ)/src/cmd/bench_blas.o: $(OBJ)/blas
$(OBJ)/src/cmd/bench_blas.o: CPPFLAGS_ALL += -DMAPPO_BLAS='"$(BLAS_FILE)"'
$(BUILD)/double/%.o: private CPPFLAGS_ALL += $(OWN_CPPFLAGS)
$(BUILD)/double/%.o: %.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call says,cc)
	$(Q)$(COMPILE) $(LESS) -DMAPPO_REAL_DOUBLE -c -o $@ $<

# ---- CUDA: by nvcc, or by the host's compiler against the tests' emulation of a device --------------------------------------------------------
$(OWN_OBJECTS): CPPFLAGS_ALL += $(if $(CUDA_SOURCES),-DHAVE_CUDA)
$(BUILD)/obj/cuda/devices.cu.o: CUDA_DEFINES := -DMAPPO_CUDA_ARCHES='"$(or $(CUDA_ARCHES),none)"'
ifeq ($(CUDA_KIND),nvcc)
# Code for every architecture, and what newer ones can compile for themselves when the program starts. From 8.0 on all come from one text,
# as nothing in it asks for more (__CUDA_ARCH__): half of the compiler's work is done once.
virtual  = $(if $(filter 70 75,$(1)),$(1),80)
NEWEST  := $(call virtual,$(lastword $(CUDA_ARCHES)))
GENCODE  = $(foreach a,$(ARCHES),-gencode arch=compute_$(call virtual,$(a)),code=sm_$(a)) -gencode arch=compute_$(NEWEST),code=compute_$(NEWEST)
# Environments' rules know of no architecture: the tests compile most of them for CUDA_ENV_ARCH alone (none: to PTX, which an assembler makes
# code of on the machine with the GPU), and those of envs/test for all, and read their PTX (tests/cuda/ptx_stores.py).
ARCHES  := $(CUDA_ARCHES)
$(BUILD)/obj/envs/%.cu.o: ARCHES := $(filter-out none,$(or $(CUDA_ENV_ARCH),$(CUDA_ARCHES)))
$(BUILD)/obj/envs/test/%.cu.o: ARCHES := $(CUDA_ARCHES)
# What ptxas tells of registers and spills is kept beside the object (make cuda-report).
CUDA_COMPILE = $(NVCC_FOUND) -std=c++17 -O3 --threads 0 -lineinfo $(CUDA_FLAGS) $(GENCODE) $(MATHS) -Xptxas -v -Isrc -I. $(CUDA_DEFINES)
$(call stamp,$(BUILD)/flags.cuda,$(CUDA_COMPILE) $(CUDA_ENV_ARCH))
# Environments compute as the host does: no fused multiply-adds. What the tests compile of them for one architecture is read, and run nowhere.
$(BUILD)/obj/envs/%.cu.o $(BUILD)/obj/cuda/env_device.cu.o: MATHS := -fmad=false $(if $(CUDA_ENV_ARCH),--no-compress -Xptxas -O0)
# Said before the first of them is compiled: about a minute for what is done once and one for each round of architectures.
CORES  := $(or $(shell nproc 2>/dev/null),2)
$(shell echo 'mappo: compiling kernels for $(CUDA_ARCHES) takes about $(shell echo $$((1 + ($(words $(CUDA_ARCHES)) + $(CORES) - 1) / $(CORES)))) minutes on $(CORES) cores, once: what has not changed is not compiled again.' \
    $(if $(word 2,$(CUDA_ARCHES)),'One architecture is sooner: make CUDA_ARCH=native (this machine) or CUDA_ARCH=90;' 'none: make CUDA=0','make CUDA=0 leaves them out') > $(BUILD)/cuda.notice)
$(BUILD)/obj/%.cu.o: %.cu $(BUILD)/flags.cuda scripts/compile_once.sh
	@mkdir -p $(@D)
	$(call says,nvcc)
	$(Q)scripts/compile_once.sh '$(CUDA_KEPT)' $(BUILD)/cuda.notice $@ $< $(CUDA_COMPILE)
else ifeq ($(CUDA_KIND),emulated)
EMULATE = g++ -std=c++17 -D_GNU_SOURCE -Wall -Wextra -Wno-unknown-pragmas $(OPT) $(LITTLE) -ffp-contract=off -Itests/cuda/emulation -Isrc -I. $(SANITIZE) $(CUDA_DEFINES) -MMD -MP
$(BUILD)/obj/%.cu.o: %.cu $(BUILD)/flags
	@mkdir -p $(@D)
	$(call says,g++)
	$(Q)$(EMULATE) -Ddlopen=emulation_dlopen -x c++ -c -o $@ $<
$(BUILD)/obj/tests/cuda/emulation/%.o: tests/cuda/emulation/%.cc $(BUILD)/flags
	@mkdir -p $(@D)
	$(call says,g++)
	$(Q)$(EMULATE) -c -o $@ $<
# Threads take turns here, millions of times in every test.
$(BUILD)/obj/tests/cuda/emulation/run.o: override LITTLE := $(LESS)
endif

# The whole program on an emulated device, with its tests.
CUDA_TESTS = $(patsubst tests/cuda/%.c,$(1)/tests/%,$(wildcard tests/cuda/*.c)) $(1)/tests/meeting.so $(1)/tests/off_policy
emulated: $(COMMON_OBJECTS)
	$(MAKE) BUILD=$(BUILD)/emulated OBJ=$(OBJ) CUDA=emulated all $(call CUDA_TESTS,$(BUILD)/emulated)
# Tests under sanitizers: of device code (environments' rules are in their kernels: the host's objects are the plain ones), of what reads files.
# Little optimisation, least of device code and tests, and one instruction level for the cores: with more, compiling takes longer than the tests.
SANITIZED := $(BUILD)/sanitized
sanitized: $(LENT_OBJECTS)
	$(MAKE) BUILD=$(SANITIZED) OBJ=$(SANITIZED)/obj LENT=$(LENT) CUDA=emulated LEVELS=baseline SAN=address,undefined LITTLE=-Og OPT='-O1 -g1 -fno-math-errno -fno-trapping-math -ffp-contract=off -fopenmp' \
	    $(patsubst %,$(SANITIZED)/tests/%,test_backend_cuda test_env_cuda test_fused_cuda test_learning_cuda test_checkpoint test_checkpoint_hostile config_fuzz)
# The program with the other MPI library.
mpich: $(COMMON_OBJECTS)
	$(MAKE) BUILD=$(BUILD)/mpich OBJ=$(OBJ) MPICC=mpicc.mpich CUDA=0 all
# The same tests on this machine's GPU, or packed for one that has a GPU and neither libraries nor compilers.
test-gpu:
	$(MAKE) CUDA=1 all $(call CUDA_TESTS,$(BUILD))
	BUILD=$(BUILD) EMULATED=$(BUILD) tests/run.sh -j 1 cuda/
bundle:
	$(MAKE) BUILD=$(BUILD)/single MPI=0 CUDA=1 all $(call CUDA_TESTS,$(BUILD)/single)
	scripts/bundle.sh $(BUILD)/single $(BUILD)/bundle.tar.xz
bundle-mpi:
	$(MAKE) CUDA=1 all $(call CUDA_TESTS,$(BUILD))
	scripts/bundle.sh $(BUILD) $(BUILD)/bundle-mpi.tar.xz

# Device code alone, for the tests.
cuda-objects: $(CUDA_OBJECTS)
# Registers, spills and stack of every kernel.
cuda-report: all
	@cat $(CUDA_OBJECTS:%=%.log) /dev/null | scripts/cuda_report.sh

# ---- tests -----------------------------------------------------------------------------------------------------------------------------
TEST_LIBS = $(CMOCKA_LIBS) $(LIBS)
$(BUILD)/tests/%: private CPPFLAGS_ALL += $(OWN_CPPFLAGS)
define test_rules
$(BUILD)/tests/%_double: tests/$(1)/%_double.c $(BUILD)/libmappo_double.a $(BUILD)/flags
	@mkdir -p $$(@D)
	$$(call says,cc)
	$$(Q)$$(COMPILE) $(LITTLE) $$(CMOCKA_CFLAGS) -DMAPPO_REAL_DOUBLE -DMAPPO_RULES_DOUBLE -Itests -o $$@ $$< $(BUILD)/libmappo_double.a $$(TEST_LIBS)
$(BUILD)/tests/%: tests/$(1)/%.c $(BUILD)/libmappo.a $(BUILD)/flags
	@mkdir -p $$(@D)
	$$(call says,cc)
	$$(Q)$$(COMPILE) $(LITTLE) $$(CMOCKA_CFLAGS) -rdynamic -Itests -o $$@ $$< $(BUILD)/libmappo.a $$(TEST_LIBS)
endef
$(foreach d,unit parity mpi faults cuda,$(eval $(call test_rules,$(d))))
$(BUILD)/tests/%.so: tests/plugins/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call says,cc)
	$(Q)$(COMPILE) -fPIC -shared -o $@ $<
$(BUILD)/tests/%.so: envs/template/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(call says,cc)
	$(Q)$(COMPILE) -fPIC -shared -o $@ $<

tests: $(TEST_BINARIES) $(TEST_PLUGINS)

test: all tests
	tests/run.sh

# Compares with every file of a folder of golden data; the tests run it over tests/data.
GOLDEN ?= tests/data
parity: $(BUILD)/tests/parity $(BUILD)/tests/parity_double
	@status=0; for p in parity_double parity; do $(BUILD)/tests/$$p $(GOLDEN) || status=1; done; exit $$status

bench: all
	$(BUILD)/mappo bench $(ARGS)

lint:
	scripts/lint.sh

# Pages that come from tables in the program. `make docs` writes them, `make lint` compares.
GENERATED_DOCS := configuration checkpoint-format metrics environment-list
docs: all
	@scripts/learning.py --pages && echo docs/benchmarks.md
	@for page in $(GENERATED_DOCS); do $(BUILD)/mappo docs $$page > $(BUILD)/page.md && cp $(BUILD)/page.md docs/$$page.md && echo "docs/$$page.md" || exit 1; done; rm -f $(BUILD)/page.md
	@scripts/compare_speed.py --write
	@scripts/compare_maddpg.py --write

# The learning table, or some of its rows (scripts/learning.ini), and all that shows what was reached. What was run before a preset changed is run
# again with FRESH=1.
learn: all
	scripts/learning.py $(if $(FRESH),--fresh) $(ROW)
	scripts/returns.py
	$(MAKE) docs

# ---- 64-bit Arm: what needs no library compiles, and the kernels run under an emulator -----------------------------------------------------
ARM_CC      ?= aarch64-linux-gnu-gcc
ARM         := $(BUILD)/aarch64
ARM_SOURCES  = $(filter %.c,$(shell grep -LE '^ *\# *include *<(hdf5|ini|openssl/|cmocka)' $(filter-out src/comm/comm_mpi.c,$(SOURCES)) $(KERNELS) /dev/null))
ARM_OBJECTS  = $(ARM_SOURCES:%.c=$(ARM)/%.o)
ARM_TESTS   := $(patsubst tests/aarch64/%.c,$(ARM)/%,$(wildcard tests/aarch64/*.c))
$(ARM)/src/env/presets.o: ARM_DEFINES = $(PRESET_DEFINE)
$(ARM)/src/env/python/module.o: ARM_DEFINES = $(MODULE_DEFINE)
ARM_COMPILE = $(ARM_CC) -std=c11 -D_GNU_SOURCE -Wall -Wextra -Werror -fno-math-errno -fno-trapping-math -fopenmp -DBASELINE_ONLY -Isrc -I. $(ARM_DEFINES) -MMD -MP
# As above, of which files the multiply-adds may be fused. The emulator has enough to do with the kernels; nothing else runs there for long.
ARM_CONTRACT = $(if $(filter $(KERNELS),$(1)),-O2 -ffp-contract=fast,-O0 -ffp-contract=off)
ifneq ($(filter aarch64,$(MAKECMDGOALS)),)
$(ARM)/%.o: %.c Makefile
	@mkdir -p $(@D)
	$(call says,cc)
	$(Q)$(ARM_COMPILE) $(call ARM_CONTRACT,$<) -DLEVEL=baseline -c -o $@ $<
$(ARM)/libmappo.a: $(ARM_OBJECTS)
	@rm -f $@; ar rcs $@ $^
$(ARM)/%: tests/aarch64/%.c $(ARM)/libmappo.a
	$(call says,cc)
	$(Q)$(ARM_COMPILE) -O1 -Itests/aarch64 -Itests -static -o $@ $< $(ARM)/libmappo.a -lm -lpthread
aarch64: $(ARM_OBJECTS) $(ARM_TESTS)
	@echo "mappo: $(words $(ARM_OBJECTS)) files compile for 64-bit Arm with $(ARM_CC); programs: $(or $(ARM_TESTS),none)"
endif

# ---- install ---------------------------------------------------------------------------------------------------------------------------
D = $(DESTDIR)$(PREFIX)
install: all
	install -d "$(D)"/bin "$(D)"/include/mappo/env "$(D)"/include/mappo/base "$(D)"/include/mappo/cuda "$(D)"/lib/pkgconfig "$(D)"/share/mappo/slurm "$(D)"/share/mappo/scripts "$(D)"/share/modulefiles/mappo "$(D)"/share/doc/mappo
	install -m 755 $(BUILD)/mappo "$(D)"/bin/mappo
	install -m 644 src/env/mappo_env.h src/env/lane_env.h src/env/describe.h src/env/rules.h src/env/slices.h src/env/account.h src/env/float_math.h "$(D)"/include/mappo/env
	install -m 644 src/base/philox.h src/base/fn.h src/base/check.h src/base/episode_end.h "$(D)"/include/mappo/base
	install -m 644 cuda/launch.h cuda/lane_kernels.h "$(D)"/include/mappo/cuda
	install -m 755 $(wildcard slurm/*.sh) "$(D)"/share/mappo/slurm
	install -m 644 $(wildcard slurm/*.example) "$(D)"/share/mappo/slurm
	install -m 755 scripts/plot.py "$(D)"/share/mappo/scripts
	install -m 644 $(wildcard LICENSE README.md CHANGELOG.md docs/*.md) "$(D)"/share/doc/mappo
	printf 'prefix=%s\nincludedir=$${prefix}/include\n\nName: mappo\nDescription: environment interface of mappo (headers only): compile a plugin with cc -shared -fPIC\nVersion: %s\nCflags: -I$${includedir}/mappo\n' \
	    '$(PREFIX)' '$(or $(VERSION),0)' > "$(D)"/lib/pkgconfig/mappo.pc
	printf '#%%Module1.0\nmodule-whatis "mappo: multi-agent PPO on MPI ranks"\nconflict mappo\nset prefix %s\nprepend-path PATH $$prefix/bin\nprepend-path CPATH $$prefix/include/mappo\nprepend-path PKG_CONFIG_PATH $$prefix/lib/pkgconfig\nsetenv MAPPO_SLURM $$prefix/share/mappo/slurm\n' \
	    '$(PREFIX)' > "$(D)"/share/modulefiles/mappo/$(or $(VERSION),0)
	@echo "mappo: installed below $(D)"

clean:
	rm -rf $(BUILD)

help:
	@echo "make               build/mappo"
	@echo "make test          builds and runs all tests (scripts/test.sh also installs what they need)"
	@echo "make bench         speed on this machine              ARGS='--json policy.hidden=128'"
	@echo "make lint          style, warnings, include arrows, generated pages"
	@echo "make parity        compares with golden data           GOLDEN=DIR"
	@echo "make learn         trains and measures the learning table of docs/benchmarks.md (hours)   ROW=\"cartpole pendulum\" FRESH=1"
	@echo "make docs          writes the pages that are generated from tables"
	@echo "make aarch64       compiles for 64-bit Arm what needs no library   ARM_CC=aarch64-linux-gnu-gcc"
	@echo "make install       PREFIX=/usr/local DESTDIR=          program, environment header, pkg-config file, modulefile, Slurm scripts"
	@echo "make emulated      the program and its CUDA tests on an emulated device, for machines without one"
	@echo "make sanitized     tests of files and of CUDA (on the emulated device) under sanitizers;  make mpich: the program with MPICH"
	@echo "make test-gpu      the CUDA tests on this machine's GPU"
	@echo "make bundle        build/bundle.tar.xz: program, CUDA tests and libraries for a machine with a GPU and little else; bundle-mpi: with Open MPI"
	@echo "                   scripts/device.sh FOLDER, there or in the unpacked bundle: all that ten minutes on a GPU should tell, with a summary"
	@echo "make cuda-report   registers, spills and stack of every CUDA kernel"
	@echo "make clean         (compiled kernels stay in .cuda-objects and are used again where nothing has changed)"
	@echo
	@echo "CC=gcc|clang  DEBUG=1  SYMBOLS=-g1  SAN=address,undefined  BUILD=build  MPI=auto|0|1  MPICC=mpicc  CUDA=auto|0|1|emulated"
	@echo "BLAS=auto|openblas|mkl|blis|flexiblas|cblas|none (what \`mappo bench\` compares with)"
	@echo "HDF5_HOME=DIR  DEPS=DIR (libraries of scripts/setup.sh --prefix)"
	@echo "CUDA_ARCH=\"80 90\"|native (GPUs of this machine)  CUDAHOSTCXX=g++-12 (for nvcc)  CUDA_KEPT=DIR (of compiled kernels; empty: none)"
	@echo "CFLAGS, CPPFLAGS, LDFLAGS are appended; V=1 shows the commands. Changing any of these builds again what depends on it."

# Objects of another folder (OBJ) are up to date by the make that called this one, which may still be writing there.
-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
.PHONY: emulated sanitized mpich test-gpu bundle bundle-mpi cuda-objects cuda-report all tests test parity bench lint docs learn aarch64 install clean help
.DELETE_ON_ERROR:

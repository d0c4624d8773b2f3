# mappo: `make` builds build/mappo, `make help` lists the rest.
BUILD   ?= build
CC      ?= gcc
MPI     ?= 1
DEBUG   ?= 0
SAN     ?=
PKG     := pkg-config

STD     := -std=c11 -D_GNU_SOURCE
WARN    := -Wall -Wextra -Wmissing-prototypes -Wstrict-prototypes -Wshadow=local
OPT     := $(if $(filter 1,$(DEBUG)),-O0,-O3) -g -fno-math-errno -fno-trapping-math -fopenmp
CFLAGS_ALL := $(STD) $(WARN) $(OPT) -Isrc -I. $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer) $(CFLAGS)
HDF5_CFLAGS := $(shell $(PKG) --cflags hdf5 2>/dev/null)
HDF5_LIBS   := $(shell $(PKG) --libs hdf5 2>/dev/null)
LIBS    := $(HDF5_LIBS) -lopenblas -linih -lcrypto -lm -ldl -lpthread -fopenmp
CPPFLAGS_ALL := $(HDF5_CFLAGS)
ifeq ($(MPI),1)
MPICC   ?= mpicc
CPPFLAGS_ALL += -DHAVE_MPI $(shell $(MPICC) --showme:compile 2>/dev/null || $(MPICC) -compile_info | cut -d' ' -f2-)
LIBS    += $(shell $(MPICC) --showme:link 2>/dev/null || $(MPICC) -link_info | cut -d' ' -f2-)
endif

# Everything but main.c is one library; environments are part of it. Kernel files (*_kernels.c) are compiled once per instruction level.
LEVELS     := baseline avx2 avx512
LEVEL_baseline :=
LEVEL_avx2     := -mavx2 -mfma
LEVEL_avx512   := -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx2 -mfma -mprefer-vector-width=512
KERNELS    := $(wildcard src/backend/*_kernels.c)
SOURCES    := $(filter-out src/main.c $(KERNELS),$(wildcard src/*/*.c)) $(wildcard envs/*/*.c)
# The double build of learning, for parity.
DOUBLE_SOURCES := $(filter-out $(KERNELS),$(wildcard src/backend/*.c src/nn/*.c src/algo/*.c src/comm/*.c))

OBJECTS    := $(SOURCES:%.c=$(BUILD)/obj/%.o) $(foreach l,$(LEVELS),$(KERNELS:%.c=$(BUILD)/obj/%.$(l).o))
DOUBLE_OBJECTS := $(DOUBLE_SOURCES:%.c=$(BUILD)/double/%.o) $(foreach l,$(LEVELS),$(KERNELS:%.c=$(BUILD)/double/%.$(l).o)) \
                  $(filter $(BUILD)/obj/src/base/% $(BUILD)/obj/src/config/% $(BUILD)/obj/src/env/% $(BUILD)/obj/envs/%,$(OBJECTS))

all: $(BUILD)/mappo

$(BUILD)/mappo: $(BUILD)/obj/src/main.o $(BUILD)/libmappo.a
	$(CC) $(if $(SAN),-fsanitize=$(SAN)) -rdynamic -o $@ $< -Wl,--whole-archive $(BUILD)/libmappo.a -Wl,--no-whole-archive $(LIBS)

$(BUILD)/libmappo.a: $(OBJECTS)
	@rm -f $@; ar rcs $@ $^
$(BUILD)/libmappo_double.a: $(DOUBLE_OBJECTS)
	@rm -f $@; ar rcs $@ $^

define level_rules
$(BUILD)/obj/%.$(1).o: %.c
	@mkdir -p $$(@D)
	$(CC) $(CFLAGS_ALL) -ffp-contract=fast $(LEVEL_$(1)) -DLEVEL=$(1) $(CPPFLAGS_ALL) -MMD -MP -c -o $$@ $$<
$(BUILD)/double/%.$(1).o: %.c
	@mkdir -p $$(@D)
	$(CC) $(CFLAGS_ALL) -ffp-contract=fast $(LEVEL_$(1)) -DLEVEL=$(1) -DMAPPO_REAL_DOUBLE $(CPPFLAGS_ALL) -MMD -MP -c -o $$@ $$<
endef
$(foreach l,$(LEVELS),$(eval $(call level_rules,$(l))))

$(BUILD)/obj/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $(CPPFLAGS_ALL) -MMD -MP -c -o $@ $<
$(BUILD)/double/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -DMAPPO_REAL_DOUBLE $(CPPFLAGS_ALL) -MMD -MP -c -o $@ $<

# Tests: tests/unit/test_*.c (float build), tests/parity/test_*.c (linked with the double build where named *_double.c).
UNIT_TESTS   := $(patsubst tests/unit/%.c,$(BUILD)/tests/%,$(wildcard tests/unit/test_*.c))
$(BUILD)/tests/%: tests/unit/%.c $(BUILD)/libmappo.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $(CPPFLAGS_ALL) -Itests -MMD -MP -o $@ $< $(BUILD)/libmappo.a -lcmocka $(LIBS)
$(BUILD)/tests/%_double: tests/parity/%_double.c $(BUILD)/libmappo_double.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -DMAPPO_REAL_DOUBLE $(CPPFLAGS_ALL) -Itests -MMD -MP -o $@ $< $(BUILD)/libmappo_double.a -lcmocka $(LIBS)
$(BUILD)/tests/%: tests/parity/%.c $(BUILD)/libmappo.a
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) $(CPPFLAGS_ALL) -Itests -MMD -MP -o $@ $< $(BUILD)/libmappo.a -lcmocka $(LIBS)

clean:
	rm -rf $(BUILD)

help:
	@echo "targets: all clean help"

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
.PHONY: all clean help

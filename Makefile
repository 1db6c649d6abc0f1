# make deps      installs what is missing (Debian packages, npm for the tests)
# make           builds objs/ngx_http_tccbs_module.so and objs/tccbs
# make test      everything that CI checks
# make demo      builds, starts an emulator and the gateway, sends real copies
# make serve     leaves the gateway running; "make stop" ends it
# make asan      the test suite with AddressSanitizer and UBSan, on an nginx
#                whose pools are not pools, so that these see each allocation
# make memcheck  the same with valgrind, for the unit tests and what MEMCHECK
#                names
# make coverage  how much of the code the test suite runs, by gcov
# make bench     the gateway beside proxy_pass, njs, Lua, Node.js and HAProxy
# make bench-growth  a call with more accounts, workers, bytes, records;
#                PLOTS=docs draws as well
# make bench-limits  how exact and how fair the limits are
# make bench-fleet   the same of a fleet, simulated; PLOTS=docs draws as well
# make lint      layers and style
# make fleet     3 and 5 gateways in network namespaces, for minutes
# make faults    kills and failures at every system call, more than in a test
# make kill      a thousand killed workers, killed masters, upgrades
# make crowd     2000 slow connections, and a flood, beside honest calls
# make soak      an hour of calls with faults; SOAK=seconds
# make fuzz-ci   libFuzzer, a minute for each target ("make fuzz": ten)
# make fuzz-whole  the same for nginx with the module, in one process
# make fuzz-long 10^8 inputs for each target, for hours; FUZZ_TARGETS chooses
# make torture   each allocation fails, one after the other
# make dudect    whether time tells a secret, ten million samples
# make static    cppcheck, clang-tidy and gcc -fanalyzer
# make mutants   whether the tests notice each check that is taken out
# make mutants-all  the same for each part of each condition of MUTATED
# make install   puts the module into nginx's module directory
# make deb       builds the Debian packages, in objs/deb
# make test-deb  installs, upgrades and purges them in a chroot
# make test-container  carries out examples/Containerfile with chroots
# make test-matrix  builds and tests on the nginx of Debian 12, 13 and unstable,
#                in chroots below objs-matrix; SUITES="trixie sid" chooses
#
# NGX_SRC=dir    builds against an nginx source tree instead of nginx-dev,
#                and that nginx as well
# OBJS=dir       builds there, below the repository
# V=1            shows nginx's own make

OBJS =		objs
NGX_DEV =	/usr/share/nginx/src
NGX_SRC =	$(NGINX_SRC)
MODULES_DIR =	/usr/lib/nginx/modules
BIN_DIR =	/usr/bin
MAN_DIR =	/usr/share/man
SAN =
COVERAGE =
DEFINES =
V =

ROOT :=		$(CURDIR)
MODULE =	$(OBJS)/ngx_http_tccbs_module.so
WARN =		-Wall -Wextra -Wno-unused-parameter -Werror

# what instruments the code, for the linker as well

ifneq ($(SAN),)
PROBES =	-fsanitize=address,undefined -fno-sanitize-recover=undefined \
		-fno-omit-frame-pointer -O1
endif

ifneq ($(COVERAGE),)
PROBES =	--coverage -O0
endif

CC_OPT =	-g -O2 $(WARN) $(DEFINES) $(PROBES)

NGX_DIR =	$(if $(NGX_SRC),$(abspath $(NGX_SRC)),$(NGX_DEV))
NGX_KIND =	$(if $(NGX_SRC),source,dev)

ifneq ($(NGX_SRC),)
export TCCBS_NGINX = $(ROOT)/$(OBJS)/nginx/nginx
endif

export TCCBS_OBJS = $(OBJS)

# what the module consists of; the command line tool is no part of it

SOURCES =	ngx_http_tccbs_module.c \
		$(sort $(filter-out src/ngx_tccbs_shim.c, $(wildcard src/*.c)))
HEADERS =	$(sort $(wildcard src/*.h))
PAGE =		$(wildcard status/*.* status/uplot/*)
BUILD =		$(SOURCES) $(HEADERS) $(NGX_DIR) $(CC_OPT)

# what a program outside of nginx can use; the shim stands in for nginx

PURE =		$(filter-out src/ngx_tccbs_conf.c src/ngx_tccbs_secret.c \
				src/ngx_tccbs_resp.c, \
			$(sort $(wildcard src/ngx_tccbs_*.c)))
PURE_OBJS =	$(patsubst src/%.c,$(OBJS)/pure/%.o,$(PURE))

NGX_OBJS =	$(OBJS)/nginx
NGX_INC =	-I$(NGX_DIR)/src/core -I$(NGX_DIR)/src/event \
		-I$(NGX_DIR)/src/event/quic -I$(NGX_DIR)/src/os/unix \
		-I$(NGX_OBJS) -Isrc
UNIT_CC =	$(CC) -std=gnu11 $(CC_OPT) $(NGX_INC) -It/unit
UNIT_LIBS =	-lyajl -lcrypto -lz


.PHONY: all module tools deps demo serve stop test unit units lint asan clean
.PHONY: install bench bench-growth bench-limits bench-fleet fleet
.PHONY: coverage memcheck unpooled mutants mutants-all faults kill crowd soak
.PHONY: FORCE
.DELETE_ON_ERROR:

all: module tools

module: $(MODULE)

tools: $(OBJS)/tccbs

# A configure is due when the list of files or the options have changed; what
# to compile again after that is known to the makefile of nginx.  The lock is
# for two makes at once.

$(OBJS)/files: FORCE
	@mkdir -p $(OBJS)
	@echo '$(BUILD)' | cmp -s - $@ || echo '$(BUILD)' > $@

FORCE:

$(OBJS)/nginx/Makefile: config tools/configure $(OBJS)/files
	flock $(OBJS)/.lock tools/configure "$(NGX_DIR)" $(NGX_KIND) \
		"$(ROOT)/$(OBJS)" "$(CC_OPT)" "$(PROBES)"

# one file includes the page

$(OBJS)/page: tools/page $(PAGE) $(OBJS)/nginx/Makefile
	tools/page status $(OBJS)/nginx/ngx_http_tccbs_page.h
	rm -f $(OBJS)/nginx/addon/src/ngx_http_tccbs_status.o
	touch $@

$(MODULE): $(OBJS)/nginx/Makefile $(OBJS)/page $(SOURCES) $(HEADERS)
	flock $(OBJS)/.lock $(MAKE) $(if $(V),,-s) --no-print-directory \
		-C $(OBJS)/tree -f "$(ROOT)/$(OBJS)/nginx/Makefile" \
		$(if $(NGX_SRC),binary) modules
	cp $(OBJS)/nginx/ngx_http_tccbs_module.so $@.new
	mv $@.new $@

# programs

UNITS =		$(patsubst t/unit/%.c,$(OBJS)/unit/%.t,$(wildcard t/unit/*.c))

$(OBJS)/pure/%.o: src/%.c $(HEADERS) $(NGX_OBJS)/Makefile
	@mkdir -p $(@D)
	$(UNIT_CC) -c -o $@ $<

$(OBJS)/tccbs: $(sort $(wildcard tools/*.c tools/*.h)) $(PURE_OBJS)
	$(UNIT_CC) $(LDFLAGS) -o $@ $(filter %.c %.o,$^) $(UNIT_LIBS) -lssl

# what needs shared memory and nothing else of nginx

SHARED_OBJS =	$(OBJS)/pure/ngx_http_tccbs_queue.o

$(OBJS)/unit/queue.t: $(SHARED_OBJS)
$(OBJS)/unit/store.t: $(OBJS)/pure/ngx_http_tccbs_store.o \
		$(OBJS)/pure/ngx_http_tccbs_held.o
$(OBJS)/unit/replay.t: $(OBJS)/pure/ngx_http_tccbs_replay.o
$(OBJS)/unit/grant.t: $(OBJS)/pure/ngx_http_tccbs_grant.o
$(OBJS)/unit/takeover.t: $(OBJS)/pure/ngx_http_tccbs_takeover.o

AUDIT =		audit batch chain heads

$(OBJS)/unit/audit.t: $(AUDIT:%=$(OBJS)/pure/ngx_http_tccbs_%.o)

$(OBJS)/unit/heads.t: $(OBJS)/pure/ngx_http_tccbs_heads.o
$(OBJS)/unit/heads.t: UNIT_LIBS += -Wl,--wrap=kill

# the one in which system calls fail; the names are those of 64-bit offsets

FILES =		open64 close fstat64 stat64 access write fdatasync fsync \
		fallocate64 fstatvfs64 fchown link unlink geteuid \
		ngx_pnalloc ngx_tccbs_gcra_now

$(OBJS)/unit/journal.t: $(OBJS)/pure/ngx_http_tccbs_journal.o
$(OBJS)/unit/journal.t: UNIT_LIBS += $(FILES:%=-Wl,--wrap=%)

# those in which memory and OpenSSL fail; CALLS are those of t/unit/calls.h

FAILING =	ngx_palloc ngx_pnalloc ngx_pcalloc mmap64 mprotect \
		EVP_MD_fetch EVP_MD_CTX_new
CALLS =		EVP_DigestInit_ex2 EVP_DigestUpdate EVP_DigestFinal_ex \
		EVP_MD_CTX_copy_ex RAND_bytes

$(OBJS)/unit/failing.t: UNIT_LIBS += $(FAILING:%=-Wl,--wrap=%) \
		$(CALLS:%=-Wl,--wrap=%)

$(OBJS)/unit/audit.t: UNIT_LIBS += $(CALLS:%=-Wl,--wrap=%)

# the one that needs hiredis

$(OBJS)/unit/resp.t: $(OBJS)/pure/ngx_tccbs_resp.o
$(OBJS)/unit/resp.t: UNIT_LIBS += -lhiredis

$(OBJS)/unit/%.t: t/unit/%.c $(wildcard t/unit/*.h) $(PURE_OBJS)
	@mkdir -p $(@D)
	$(UNIT_CC) $(LDFLAGS) -o $@ $(filter %.c %.o,$^) $(UNIT_LIBS)

$(OBJS)/bench/limits: $(SHARED_OBJS)

# its pools are those of nginx, not the ones of the programs outside of it

$(OBJS)/bench/crypto: UNIT_LIBS += -Wl,--wrap=ngx_palloc,--wrap=ngx_pnalloc

$(OBJS)/bench/%: bench/%.c $(wildcard t/unit/*.h) $(PURE_OBJS)
	@mkdir -p $(@D)
	$(UNIT_CC) $(LDFLAGS) -o $@ $(filter %.c %.o,$^) $(UNIT_LIBS)

bench: all $(OBJS)/bench/load $(OBJS)/bench/crypto
	tools/deps bench
	bench/compare
	$(OBJS)/bench/crypto

bench-growth: all $(OBJS)/bench/load
	bench/growth

bench-limits: all $(OBJS)/bench/limits
	bench/limits

$(OBJS)/bench/fleet $(OBJS)/unit/fleet.t: bench/fleet.h

bench-fleet: $(OBJS)/bench/fleet
	bench/fleet

# programs that tests in t/ compare with something else

TESTERS =	$(patsubst t/tools/%.c,$(OBJS)/test/%,$(wildcard t/tools/*.c)) \
		$(patsubst t/preload/%.c,$(OBJS)/test/%.so, \
			$(wildcard t/preload/*.c)) \
		$(OBJS)/test/timing

$(OBJS)/test/%: t/tools/%.c $(PURE_OBJS)
	@mkdir -p $(@D)
	$(UNIT_CC) $(LDFLAGS) -o $@ $(filter %.c %.o,$^) $(UNIT_LIBS)

$(OBJS)/test/%.so: t/preload/%.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -g -O2 $(WARN) -shared -fPIC -o $@ $<

# the index of keys is a part of a file that needs nginx for the rest

$(OBJS)/test/timing: t/timing.c src/ngx_tccbs_conf.c $(PURE_OBJS)
	@mkdir -p $(@D)
	$(UNIT_CC) -ffunction-sections -Wl,--gc-sections -o $@ \
		$(filter %.c %.o,$^) $(UNIT_LIBS) -lm

units: $(UNITS)

unit: units $(TESTERS) replays

include t/fuzz/rules.mk t/torture/rules.mk

deps:
	tools/deps

lint:
	tools/lint

static: $(OBJS)/nginx/Makefile
	NGX_DIR=$(NGX_DIR) tools/static

dudect: unit
	TCCBS_SAMPLES=10000000 prove -v t/timing.t

torture: all unit
	prove -v $(wildcard t/torture*.t)

mutants:
	tools/mutants

# what unit tests test, of which this is a matter of minutes

MUTATED =	$(addprefix src/ngx_tccbs_,authorization.c call.c key.c policy.c \
			reply.c tc3.c value.c) \
		$(addprefix src/ngx_http_tccbs_,audit.c batch.c chain.c heads.c \
			journal.c replay.c store.c)

mutants-all:
	tools/mutants -a $(MUTATED)

fleet: all
	TCCBS_FLEET=long prove -v t/fleet.t

faults: all unit
	TCCBS_FAULTS=all TCCBS_KILLS=100 TCCBS_RELOADS=50 TCCBS_TAMPER=100 \
		TCCBS_OFFSETS=8 TCCBS_UPGRADES=20 \
		TCCBS_MATRIX=all prove -v t/faults.t t/fault_matrix.t t/kill.t \
		t/tamper.t t/disk.t t/upgrade.t

# what these find is kept by "tools/trust keep"

TRUST =		TCCBS_TRUST=$${TCCBS_TRUST:-$(OBJS)/trust.jsonl}
SOAK =		3600

kill: all
	$(TRUST) TCCBS_KILLS=1000 TCCBS_RELOADS=100 TCCBS_MASTER_KILLS=200 \
		TCCBS_UPGRADES=50 prove -v t/kill.t t/kill_master.t t/upgrade.t

crowd: all
	$(TRUST) TCCBS_CROWD=2000 TCCBS_ROUNDS=10 TCCBS_FLOOD=2000 \
		prove -v t/crowd.t

soak: all
	$(TRUST) t/bin/soak $(SOAK)

test: deps
	$(MAKE) all unit
	tools/runtests $(OBJS)/unit t

# An nginx with NGX_DEBUG_PALLOC: an allocation from a pool is one of its own.
# It is not instrumented itself, its code is not ours.  The module is built
# against the same source: the structures of the distribution's nginx differ.

UNPOOLED =	$(ROOT)/objs-unpooled
FOR_UNPOOLED =	NGX_DIR=$(UNPOOLED)/nginx-src NGX_KIND=source

unpooled:
	tools/nginx-source $(UNPOOLED)/nginx-src
	$(MAKE) OBJS=objs-unpooled NGX_SRC=$(UNPOOLED)/nginx-src \
		DEFINES=-DNGX_DEBUG_PALLOC=1 module

asan: deps unpooled
	$(MAKE) OBJS=objs-asan SAN=1 $(FOR_UNPOOLED) all unit
	TCCBS_OBJS=objs-asan TCCBS_NGINX=$(UNPOOLED)/nginx/nginx \
		tools/runtests objs-asan/unit t

MEMCHECK =	answers bypass copy credential_sts http2 policy request settle \
		signature trace upstream upstream_tls

memcheck: deps unpooled
	$(MAKE) OBJS=objs-memcheck $(FOR_UNPOOLED) all unit
	TCCBS_OBJS=objs-memcheck TCCBS_BINARY=$(UNPOOLED)/nginx/nginx \
		tools/memcheck $(MEMCHECK)

coverage: deps
	$(MAKE) OBJS=objs-coverage COVERAGE=1 all unit
	TCCBS_OBJS=objs-coverage tools/coverage

demo: deps
	$(MAKE) all
	tools/demo

# the last line of "make serve" is for programs

serve:
	@$(MAKE) --no-print-directory deps all >&2
	@tools/serve

stop:
	tools/serve stop

install: all
	install -D -m 0644 $(MODULE) \
		$(DESTDIR)$(MODULES_DIR)/ngx_http_tccbs_module.so
	install -D -m 0755 $(OBJS)/tccbs $(DESTDIR)$(BIN_DIR)/tccbs
	install -D -m 0644 docs/tccbs.1 $(DESTDIR)$(MAN_DIR)/man1/tccbs.1

.PHONY: deb test-deb test-container test-matrix

deb:
	tools/deb objs/deb

test-deb: deps
	tools/test-deb

test-container: deps
	tools/test-container

test-matrix: deps
	tools/matrix $(SUITES)

clean:
	@[ ! -e $(OBJS)/serve/serve.json ] || tools/serve stop
	rm -rf $(OBJS) objs-asan objs-coverage objs-memcheck objs-unpooled

# make deps      installs what is missing (Debian packages, npm for the tests)
# make           builds objs/ngx_http_tccbs_module.so and objs/tccbs
# make test      everything that CI checks
# make demo      builds, starts an emulator and the gateway, sends real copies
# make serve     leaves the gateway running; "make stop" ends it
# make asan      the test suite with AddressSanitizer and UBSan
# make bench-limits  how exact and how fair the limits are
# make bench-fleet   the same of a fleet, simulated; PLOTS=docs draws as well
# make lint      layers and style
# make faults    kills and failures at every system call, more than in a test
# make fuzz-ci   libFuzzer, a minute for each target ("make fuzz": ten)
# make mutants   whether the tests notice each check that is taken out
# make install   puts the module into nginx's module directory
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
SAN =
V =

ROOT :=		$(CURDIR)
MODULE =	$(OBJS)/ngx_http_tccbs_module.so
WARN =		-Wall -Wextra -Wno-unused-parameter -Werror

ifneq ($(SAN),)
SAN_FLAGS =	-fsanitize=address,undefined -fno-sanitize-recover=undefined \
		-fno-omit-frame-pointer -O1
endif

CC_OPT =	-g -O2 $(WARN) $(SAN_FLAGS)

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
BUILD =		$(SOURCES) $(HEADERS) $(NGX_DIR) $(CC_OPT)

# what a program outside of nginx can use; the shim stands in for nginx

PURE =		$(filter-out src/ngx_tccbs_conf.c, \
			$(sort $(wildcard src/ngx_tccbs_*.c)))
PURE_OBJS =	$(patsubst src/%.c,$(OBJS)/pure/%.o,$(PURE))

NGX_INC =	-I$(NGX_DIR)/src/core -I$(NGX_DIR)/src/event \
		-I$(NGX_DIR)/src/os/unix -I$(OBJS)/nginx -Isrc
UNIT_CC =	$(CC) -std=gnu11 $(CC_OPT) $(NGX_INC) -It/unit
UNIT_LIBS =	-lyajl -lcrypto -lz


.PHONY: all module tools deps demo serve stop test unit lint asan clean
.PHONY: install bench-limits bench-fleet mutants faults FORCE
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
		"$(ROOT)/$(OBJS)" "$(CC_OPT)" "$(if $(SAN),$(SAN_FLAGS))"

$(MODULE): $(OBJS)/nginx/Makefile $(SOURCES) $(HEADERS)
	flock $(OBJS)/.lock $(MAKE) $(if $(V),,-s) --no-print-directory \
		-C $(OBJS)/tree -f "$(ROOT)/$(OBJS)/nginx/Makefile" \
		$(if $(NGX_SRC),binary) modules
	cp $(OBJS)/nginx/ngx_http_tccbs_module.so $@.new
	mv $@.new $@

# programs

UNITS =		$(patsubst t/unit/%.c,$(OBJS)/unit/%.t,$(wildcard t/unit/*.c))

$(OBJS)/pure/%.o: src/%.c $(HEADERS) $(OBJS)/nginx/Makefile
	@mkdir -p $(@D)
	$(UNIT_CC) -c -o $@ $<

$(OBJS)/tccbs: $(sort $(wildcard tools/*.c tools/*.h)) $(PURE_OBJS)
	$(UNIT_CC) -o $@ $(filter %.c %.o,$^) $(UNIT_LIBS)

# what needs shared memory and nothing else of nginx

SHARED_OBJS =	$(OBJS)/pure/ngx_http_tccbs_queue.o

$(OBJS)/unit/queue.t: $(SHARED_OBJS)

$(OBJS)/unit/%.t: t/unit/%.c $(wildcard t/unit/*.h) $(PURE_OBJS)
	@mkdir -p $(@D)
	$(UNIT_CC) -o $@ $(filter %.c %.o,$^) $(UNIT_LIBS)

$(OBJS)/bench/limits: $(SHARED_OBJS)

$(OBJS)/bench/%: bench/%.c $(wildcard t/unit/*.h) $(PURE_OBJS)
	@mkdir -p $(@D)
	$(UNIT_CC) -o $@ $(filter %.c %.o,$^) $(UNIT_LIBS)

bench-limits: all $(OBJS)/bench/limits
	bench/limits

$(OBJS)/bench/fleet $(OBJS)/unit/fleet.t: bench/fleet.h

bench-fleet: $(OBJS)/bench/fleet
	bench/fleet

# programs that tests in t/ compare with something else

TESTERS =	$(patsubst t/tools/%.c,$(OBJS)/test/%,$(wildcard t/tools/*.c)) \
		$(patsubst t/preload/%.c,$(OBJS)/test/%.so, \
			$(wildcard t/preload/*.c))

$(OBJS)/test/%: t/tools/%.c $(PURE_OBJS)
	@mkdir -p $(@D)
	$(UNIT_CC) -o $@ $(filter %.c %.o,$^) $(UNIT_LIBS)

$(OBJS)/test/%.so: t/preload/%.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -g -O2 $(WARN) -shared -fPIC -o $@ $<

unit: $(UNITS) $(TESTERS) replays
	@mkdir -p $(OBJS)/unit

include t/fuzz/rules.mk

deps:
	tools/deps

lint:
	tools/lint

mutants:
	tools/mutants

faults: all
	TCCBS_FAULTS=all TCCBS_KILLS=100 TCCBS_RELOADS=50 TCCBS_TAMPER=100 \
		TCCBS_OFFSETS=8 TCCBS_UPGRADES=20 \
		prove -v t/faults.t t/kill.t t/tamper.t t/disk.t t/upgrade.t

test: deps
	$(MAKE) all unit
	tools/runtests $(OBJS)/unit t

asan: deps
	$(MAKE) OBJS=objs-asan SAN=1 all unit
	TCCBS_OBJS=objs-asan tools/runtests objs-asan/unit t

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

clean:
	@[ ! -e $(OBJS)/serve/serve.json ] || tools/serve stop
	rm -rf $(OBJS) objs-asan

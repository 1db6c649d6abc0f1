# make deps      installs what is missing (Debian packages, npm for the tests)
# make           builds objs/ngx_http_tccbs_module.so and objs/tccbs
# make test      everything that CI checks
# make demo      builds, starts an emulator and the gateway, sends real copies
# make serve     leaves the gateway running; "make stop" ends it
# make asan      the test suite with AddressSanitizer and UBSan
#
# NGX_SRC=dir    builds against an nginx source tree instead of nginx-dev

OBJS =		objs
NGX_DEV =	/usr/share/nginx/src
NGX_SRC =
SAN =

ROOT :=		$(CURDIR)
MODULE =	$(OBJS)/ngx_http_tccbs_module.so
WARN =		-Wall -Wextra -Wno-unused-parameter -Werror

ifneq ($(SAN),)
SAN_FLAGS =	-fsanitize=address,undefined -fno-sanitize-recover=undefined \
		-fno-omit-frame-pointer -O1
endif

CC_OPT =	-g -O2 $(WARN) $(SAN_FLAGS)

ifeq ($(NGX_SRC),)
NGX_DIR =	$(NGX_DEV)
else
NGX_DIR =	$(NGX_SRC)
endif

SOURCES =	ngx_http_tccbs_module.c $(sort $(wildcard src/*.c))
HEADERS =	$(sort $(wildcard src/*.h))

PURE =		crypto out json value call reply tc3 authorization
UNITS =		$(patsubst t/unit/%.c,$(OBJS)/unit/%.t,$(wildcard t/unit/*.c))

NGX_INC =	-I$(NGX_DIR)/src/core -I$(NGX_DIR)/src/event \
		-I$(NGX_DIR)/src/os/unix -I$(OBJS)/nginx -Isrc
UNIT_CC =	$(CC) -std=gnu11 $(CC_OPT) $(NGX_INC) -It/unit
PURE_OBJS =	$(patsubst %,$(OBJS)/pure/ngx_tccbs_%.o,$(PURE) shim)


.PHONY: all module tools deps demo serve stop test unit lint asan clean install

all: module tools

module: $(MODULE)

tools: $(OBJS)/tccbs

# nginx's own makefile knows the dependencies; a new file needs a new configure

$(OBJS)/nginx/Makefile: config tools/configure $(OBJS)/files
	tools/configure "$(NGX_DIR)" "$(if $(NGX_SRC),source,dev)" \
		"$(ROOT)/$(OBJS)" "$(CC_OPT)" "$(if $(SAN),$(SAN_FLAGS))"

$(OBJS)/files: FORCE
	@mkdir -p $(OBJS)
	@echo "$(SOURCES) $(NGX_DIR) $(CC_OPT)" | cmp -s - $@ \
		|| echo "$(SOURCES) $(NGX_DIR) $(CC_OPT)" > $@

FORCE:

$(MODULE): $(OBJS)/nginx/Makefile $(SOURCES) $(HEADERS)
	$(MAKE) -s -C $(OBJS)/tree -f "$(ROOT)/$(OBJS)/nginx/Makefile" \
		$(if $(NGX_SRC),binary) modules
	cp $(OBJS)/nginx/ngx_http_tccbs_module.so $@

$(OBJS)/pure/%.o: src/%.c $(HEADERS) $(OBJS)/nginx/Makefile
	@mkdir -p $(@D)
	$(UNIT_CC) -c -o $@ $<

$(OBJS)/tccbs: tools/tccbs.c $(PURE_OBJS)
	$(UNIT_CC) -o $@ $^ -lyajl -lcrypto

$(OBJS)/unit/%.t: t/unit/%.c t/unit/tap.h $(PURE_OBJS)
	@mkdir -p $(@D)
	$(UNIT_CC) -o $@ $(filter %.c %.o,$^) -lyajl -lcrypto

unit: $(UNITS)

deps:
	tools/deps

lint:
	tools/lint

test: deps
	$(MAKE) all unit
	tools/runtests $(OBJS)/unit t

asan:
	$(MAKE) OBJS=objs-asan SAN=1 module unit
	TCCBS_OBJS=objs-asan tools/runtests objs-asan/unit t

demo: deps
	$(MAKE) all
	tools/demo

serve: deps
	@$(MAKE) -s all >&2
	@tools/serve

stop:
	tools/serve stop

install: module
	install -D -m 0644 $(MODULE) \
		$(DESTDIR)/usr/lib/nginx/modules/ngx_http_tccbs_module.so
	install -D -m 0755 $(OBJS)/tccbs $(DESTDIR)/usr/bin/tccbs

clean:
	rm -rf $(OBJS) objs-asan

# Fuzz targets: with libFuzzer as $(OBJS)/fuzz/NAME, or with a program of our
# own, which replays the corpus and changes it blindly, as $(OBJS)/replay/NAME.

FUZZERS =	authorization tc3 request reply audit note source http resp scan

FUZZ_SRC =	$(PURE) tools/chain.c tools/log.c tools/note.c \
		tools/verify.c
FUZZ_SAN =	-g -O1 -fno-omit-frame-pointer -fsanitize=address,undefined \
		-fno-sanitize-recover=undefined

# Without comparisons it is faster, for long runs from what others have found.

FUZZ_COVER =	-fsanitize=fuzzer-no-link
FUZZ_COUNT =	-fsanitize=fuzzer-no-link \
		-fno-sanitize-coverage=trace-cmp,trace-div,trace-gep

FUZZ_INC =	-std=gnu11 $(NGX_INC) -Itools -It/fuzz -It/unit
FUZZ_H =	$(HEADERS) $(wildcard tools/*.h t/fuzz/*.h t/unit/*.h) \
		src/ngx_http_tccbs_line.c src/ngx_http_tccbs_scan.c

# the one that needs hiredis

$(OBJS)/replay/resp: $(OBJS)/replay/src/ngx_tccbs_resp.o
$(OBJS)/fuzz/resp: $(OBJS)/fuzz/src/ngx_tccbs_resp.o
$(OBJS)/replay/resp $(OBJS)/fuzz/resp: UNIT_LIBS += -lhiredis

$(OBJS)/replay/%.o: %.c $(FUZZ_H) $(OBJS)/nginx/Makefile
	@mkdir -p $(@D)
	$(CC) $(WARN) $(FUZZ_SAN) $(FUZZ_INC) -c -o $@ $<

$(OBJS)/replay/%: $(OBJS)/replay/t/fuzz/%.o $(OBJS)/replay/t/fuzz/main.o \
		$(FUZZ_SRC:%.c=$(OBJS)/replay/%.o)
	$(CC) $(FUZZ_SAN) -o $@ $^ $(UNIT_LIBS)

$(OBJS)/fuzz/%.o: %.c $(FUZZ_H) $(OBJS)/nginx/Makefile
	@mkdir -p $(@D)
	clang $(FUZZ_SAN) $(FUZZ_COVER) $(FUZZ_INC) -c -o $@ $<

$(OBJS)/fuzz/%: $(OBJS)/fuzz/t/fuzz/%.o $(FUZZ_SRC:%.c=$(OBJS)/fuzz/%.o)
	clang $(FUZZ_SAN) -fsanitize=fuzzer -o $@ $^ $(UNIT_LIBS)

.SECONDARY:

replays: $(FUZZERS:%=$(OBJS)/replay/%)

fuzzers: $(FUZZERS:%=$(OBJS)/fuzz/%)

.PHONY: replays fuzzers fuzz fuzz-ci fuzz-whole whole fuzz-long

FUZZ_TIME =	600

fuzz: deps
	tools/deps fuzz
	$(MAKE) all fuzzers
	tools/fuzz -t $(FUZZ_TIME)

# nginx in one process, which needs its source: NGX_SRC, or that of Debian.
# "-n 0" is the corpus alone, which must pass.

FUZZ_HOW =	-t $(FUZZ_TIME)

fuzz-whole:
	tools/deps fuzz
	$(MAKE) whole
	tools/fuzz $(FUZZ_HOW) whole

whole:
	@mkdir -p $(OBJS)
	$(if $(NGX_SRC),,tools/nginx-source $(OBJS)/nginx-src)
	tools/fuzz-whole $(or $(NGX_SRC),$(OBJS)/nginx-src) $(OBJS) \
		"$(FUZZ_COVER)"

FUZZ_SECONDS =	60

fuzz-ci:
	$(MAKE) fuzz FUZZ_TIME=$(FUZZ_SECONDS)

# without "whole", which is named to be among them

FUZZ_RUNS =	100000000
FUZZ_TARGETS =	$(FUZZERS)

fuzz-long:
	tools/deps fuzz
	$(MAKE) OBJS=objs-fuzz FUZZ_COVER="$(FUZZ_COUNT)" fuzzers \
		$(filter whole,$(FUZZ_TARGETS))
	TCCBS_OBJS=objs-fuzz tools/fuzz -n $(FUZZ_RUNS) $(FUZZ_TARGETS)

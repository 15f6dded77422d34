# Kẻng: one Makefile, no recursion, no configure step.  `make help` lists the targets.
#
# Objects go to build/<flavour>/, so that flavours never share an object; the
# programs of the release flavour are linked straight into build/.

.DEFAULT_GOAL := all
SHELL := /bin/sh
export PYTHONDONTWRITEBYTECODE := 1

# ---- Debian packages: the one list that `make deps` installs when missing ----
PACKAGES_BUILD := gcc clang libclang-rt-dev llvm make pkg-config libsodium-dev libprotobuf-c-dev \
	protobuf-c-compiler protobuf-compiler libserialport-dev libsqlite3-dev libjansson-dev libconfuse-dev \
	libmicrohttpd-dev libcurl4-gnutls-dev libgnutls28-dev libutf8proc-dev gettext libpq-dev libzstd-dev libexpat1-dev libxlsxwriter-dev zlib1g-dev
PACKAGES_TEST := libcmocka-dev postgresql-15 python3 python3-nacl python3-zstandard curl chromium \
	fonts-dejavu-core mandoc procps time
PACKAGES := $(PACKAGES_BUILD) $(PACKAGES_TEST)
# Large, and for `make test-office` alone.
PACKAGES_OFFICE := libreoffice-calc-nogui libxml2-utils
# For `make test-console` alone.
PACKAGES_BROWSER := nodejs npm

# ---- flavours -----------------------------------------------------------------
FLAVOUR ?= release
OUT := build/$(FLAVOUR)
GEN := build/gen
PROGRAM_DIR := $(if $(filter release,$(FLAVOUR)),build,$(OUT))

PKGS := libsodium libprotobuf-c libserialport sqlite3 jansson libconfuse libmicrohttpd libcurl gnutls libutf8proc libpq libzstd \
	expat xlsxwriter
# Asked once, and only when something is compiled: `make deps` must work before pkg-config exists.
PKG_CFLAGS = $(eval PKG_CFLAGS := $(shell pkg-config --cflags $(PKGS)))$(PKG_CFLAGS)

WARN := -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wvla -Wundef -Wstrict-prototypes \
	-Wmissing-prototypes -Wcast-qual -Wformat=2 -Wswitch-enum -Wimplicit-fallthrough
CPPFLAGS += -D_GNU_SOURCE -I. -I$(GEN)
BASE_CFLAGS := -std=c11 -g -fno-strict-aliasing $(WARN)

ifeq ($(FLAVOUR),release)
FLAVOUR_CFLAGS := -O2 -D_FORTIFY_SOURCE=2 -fstack-protector-strong -fPIE
FLAVOUR_LDFLAGS := -pie -Wl,-z,relro,-z,now
else ifeq ($(FLAVOUR),gcc-san)
CC := gcc
FLAVOUR_CFLAGS := -O1 -Werror -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FLAVOUR_LDFLAGS := -fsanitize=address,undefined
else ifeq ($(FLAVOUR),clang-san)
CC := clang
FLAVOUR_CFLAGS := -O1 -Werror -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
FLAVOUR_LDFLAGS := -fsanitize=address,undefined
else ifeq ($(FLAVOUR),fuzz)
CC := clang
FLAVOUR_CFLAGS := -O1 -Werror -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
FLAVOUR_LDFLAGS := -fsanitize=fuzzer,address,undefined
else
$(error unknown FLAVOUR '$(FLAVOUR)': release, gcc-san, clang-san or fuzz)
endif
ALL_CFLAGS = $(BASE_CFLAGS) $(FLAVOUR_CFLAGS) $(PKG_CFLAGS) $(CFLAGS)

# ---- rooms: every program's main file is named here, all else is a library -----
PROGRAMS := kengd keng keng-gateway keng-province keng-air keng-sim
MAIN_kengd := node/kengd.c
MAIN_keng := node/keng.c
MAIN_keng-gateway := gateway/keng-gateway.c
MAIN_keng-province := gateway/keng-province.c
MAIN_keng-air := hw/keng-air.c
MAIN_keng-sim := tests/sim/keng-sim.c
MAINS := $(foreach p,$(PROGRAMS),$(MAIN_$(p)))

PROTO_SRCS := $(wildcard proto/*.c)
CORE_SRCS := $(wildcard node/core/*.c)
HW_SRCS := $(filter-out $(MAINS),$(wildcard hw/*.c))
NODE_SRCS := $(filter-out $(MAINS),$(wildcard node/*.c))
GATEWAY_SRCS := $(filter-out $(MAINS),$(wildcard gateway/*.c))
GATEWAY_ASM := $(wildcard gateway/*.S)
SUPPORT_SRCS := $(wildcard tests/support/*.c)
SIM_SRCS := $(filter-out $(MAINS),$(wildcard tests/sim/*.c))
UNIT_SRCS := $(wildcard tests/unit/test_*.c)
TOOL_SRCS := $(wildcard tests/bench/*.c tests/crash/*.c tests/office/*.c)

objs = $(patsubst %.c,$(OUT)/%.o,$(filter %.c,$(1))) $(patsubst %.S,$(OUT)/%.o,$(filter %.S,$(1)))
PROTO_OBJS := $(call objs,$(PROTO_SRCS)) $(OUT)/gen/keng.pb-c.o
CORE_OBJS := $(call objs,$(CORE_SRCS))
# Who may link whom is the order of the rooms in node/DESIGN.md.
LIB_proto := $(OUT)/libkeng-proto.a
LIB_core := $(OUT)/libkeng-core.a
LIB_hw := $(OUT)/libkeng-hw.a
LIB_node := $(OUT)/libkeng-node.a
LIB_gateway := $(OUT)/libkeng-gateway.a
LIB_support := $(OUT)/libkeng-support.a
LIB_sim := $(OUT)/libkeng-sim.a
LIBS_ALL := $(LIB_sim) $(LIB_support) $(LIB_gateway) $(LIB_node) $(LIB_hw) $(LIB_core) $(LIB_proto)

libs = $(shell pkg-config --libs $(1))
SYS_BASE = $(call libs,libsodium libprotobuf-c libutf8proc)
LINK_kengd := $(LIB_node) $(LIB_hw) $(LIB_core) $(LIB_proto)
SYS_kengd = $(SYS_BASE) $(call libs,sqlite3 jansson libconfuse libserialport)
LINK_keng := $(LIB_node) $(LIB_hw) $(LIB_core) $(LIB_proto)
SYS_keng = $(SYS_BASE) $(call libs,sqlite3 jansson libconfuse libserialport gnutls)
LINK_keng-gateway := $(LIB_gateway) $(LIB_node) $(LIB_hw) $(LIB_core) $(LIB_proto)
SYS_keng-gateway = $(SYS_BASE) $(call libs,sqlite3 jansson libconfuse libmicrohttpd libcurl gnutls libserialport libpq libzstd expat xlsxwriter)
LINK_keng-province := $(LINK_keng-gateway)
SYS_keng-province = $(SYS_keng-gateway)
LINK_keng-air := $(LIB_hw) $(LIB_proto)
SYS_keng-air = $(SYS_BASE) $(call libs,jansson libserialport)
LINK_keng-sim := $(LIB_sim) $(LIB_support) $(LIB_hw) $(LIB_core) $(LIB_proto)
SYS_keng-sim = $(SYS_BASE) $(call libs,jansson)
SYS_ALL = $(SYS_BASE) $(call libs,$(PKGS) cmocka) -lm

.PHONY: all
all: $(addprefix $(PROGRAM_DIR)/,$(PROGRAMS)) ## build the programs into build/

define program_rule
$(PROGRAM_DIR)/$(1): $(call objs,$(MAIN_$(1))) $(LINK_$(1))
	@mkdir -p $$(@D)
	$$(CC) $(FLAVOUR_LDFLAGS) $$(LDFLAGS) -o $$@ $$< -Wl,--as-needed -Wl,--start-group $(LINK_$(1)) -Wl,--end-group $$(SYS_$(1)) -lm
endef
$(foreach p,$(PROGRAMS),$(eval $(call program_rule,$(p))))

define library_rule
$(1): $(2)
	@mkdir -p $$(@D)
	@rm -f $$@
	$$(AR) rcs $$@ $(2)
endef
$(eval $(call library_rule,$(LIB_proto),$(PROTO_OBJS)))
$(eval $(call library_rule,$(LIB_core),$(CORE_OBJS)))
$(eval $(call library_rule,$(LIB_hw),$(call objs,$(HW_SRCS))))
$(eval $(call library_rule,$(LIB_node),$(call objs,$(NODE_SRCS))))
$(eval $(call library_rule,$(LIB_gateway),$(call objs,$(GATEWAY_SRCS) $(GATEWAY_ASM))))
$(eval $(call library_rule,$(LIB_support),$(call objs,$(SUPPORT_SRCS))))
$(eval $(call library_rule,$(LIB_sim),$(call objs,$(SIM_SRCS))))

$(OUT)/%.o: %.c | $(GEN)/keng.pb-c.h
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(ALL_CFLAGS) -MMD -MP -c -o $@ $<
$(OUT)/%.o: %.S
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -MMD -MP -c -o $@ $<
# What .incbin reads, no compiler writes into a .d file.
$(patsubst %.S,$(OUT)/%.o,$(GATEWAY_ASM)): $(wildcard gateway/console/* gateway/console/leaflet/*) $(GEN)/vi.mo
$(GEN)/%.mo: gateway/po/%.po
	@mkdir -p $(GEN)
	msgfmt --check-format --endianness=little -o $@ $<
.PHONY: po
po: $(GEN)/keng.pot ## merge new texts into the translations in gateway/po/
	@for po in gateway/po/*.po; do msgmerge --quiet --update --backup=none --no-fuzzy-matching --no-wrap $$po $(GEN)/keng.pot; done
# The console's and keng-province's texts stand in lang*.h; what keng-gateway says to
# who runs it, where it says it.
TEXT_SRCS := gateway/lang.h gateway/lang_province.h gateway/keng-gateway.c gateway/keys.c gateway/people.c
$(GEN)/keng.pot: $(TEXT_SRCS)
	@mkdir -p $(GEN)
	@xgettext --language=C --from-code=UTF-8 --keyword=X:2 --keyword=TR --keyword=lang_said --keyword=fail_usage --keyword=fail:1,1t --keyword=fail:2,2t --no-location --omit-header -o $@ $^
# Generated code is not ours to lint.
$(OUT)/gen/keng.pb-c.o: $(GEN)/keng.pb-c.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -std=c11 -g $(filter-out -Werror,$(FLAVOUR_CFLAGS)) $(PKG_CFLAGS) -fno-sanitize=undefined -c -o $@ $<
$(GEN)/keng.pb-c.c $(GEN)/keng.pb-c.h &: proto/keng.proto
	@mkdir -p $(GEN)
	protoc-c --c_out=$(GEN) --proto_path=proto $<

# ---- tests --------------------------------------------------------------------
UNIT_BINS := $(patsubst tests/%.c,$(OUT)/tests/%,$(UNIT_SRCS))
TOOL_BINS := $(patsubst tests/%.c,$(OUT)/tests/%,$(TOOL_SRCS))
$(UNIT_BINS) $(TOOL_BINS): $(OUT)/tests/%: $(OUT)/tests/%.o $(LIBS_ALL)
	$(CC) $(FLAVOUR_LDFLAGS) $(LDFLAGS) -o $@ $< -Wl,--as-needed -Wl,--start-group $(LIBS_ALL) -Wl,--end-group $(SYS_ALL)
.PHONY: unit
unit: $(UNIT_BINS) ## build the unit tests of this FLAVOUR
# `make test` and `make demo` start on a machine that may lack the compiler: they install what is
# missing and only then let a second make look at libraries and sources.
INSTALLED = dpkg-query -W -f '$${db:Status-Status}\n' $$p 2>/dev/null | grep -q '^installed'
.PHONY: deps
deps: ## install the Debian packages that are missing (as root or with sudo)
	@missing=; for p in $(PACKAGES); do $(INSTALLED) || missing="$$missing $$p"; done; \
	 test -z "$$missing" && exit 0; \
	 echo "installing:$$missing"; \
	 as_root=; test "$$(id -u)" = 0 || as_root=sudo; \
	 run() { $$as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$$@"; }; \
	 log=$$(mktemp); { run update && run install -y --no-install-recommends $$missing; } >$$log 2>&1 \
	 || { tail -n 20 $$log; rm -f $$log; echo "deps: could not install:$$missing" >&2; exit 1; }; rm -f $$log

.PHONY: test check tidy core-purity
test: deps ## everything: both sanitised builds, house rules, end to end (installs packages)
	@MAKE='$(MAKE)' sh tests/run.sh all
check: ## the quick part of test, for every commit; installs nothing
	@MAKE='$(MAKE)' sh tests/run.sh quick
tidy: ## include directions, banned calls, lengths, layout
	@sh tests/tidy.sh
# On release objects, since sanitisers add symbols of their own.
core-purity: ## the core calls nothing but tests/core-symbols.txt
ifeq ($(FLAVOUR),release)
# With it, the parts of proto/ that it stands on and that go with it onto bare metal.
PURE_OBJS := $(CORE_OBJS) $(patsubst %,$(OUT)/proto/%.o,airtime frame record)
core-purity: $(PURE_OBJS)
	@sh tests/core-purity.sh tests/core-symbols.txt $^
else
	@$(MAKE) --no-print-directory FLAVOUR=release core-purity
endif

# ---- fuzzing: new finds go to build/fuzz/NAME/, what is kept to seeds/fuzz/NAME/ ------
TARGET ?= frame
SECS ?= 60
.PHONY: fuzz
build/fuzz/fuzz_%: build/fuzz/tests/fuzz/fuzz_%.o $(LIBS_ALL)
	$(CC) $(FLAVOUR_LDFLAGS) -o $@ $< -Wl,--as-needed -Wl,--start-group $(LIBS_ALL) -Wl,--end-group $(SYS_ALL)
# One source for all drivers: TARGET=modem_NAME.
build/fuzz/tests/fuzz/fuzz_modem_%.o: tests/fuzz/fuzz_modem.c | $(GEN)/keng.pb-c.h
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -DFUZZ_MODEM='"$*"' $(ALL_CFLAGS) -MMD -MP -c -o $@ $<
fuzz: ## TARGET=frame SECS=60: libFuzzer on one of tests/fuzz/, from its corpus
	@$(MAKE) --no-print-directory -s FLAVOUR=fuzz build/fuzz/fuzz_$(TARGET)
	@mkdir -p build/fuzz/$(TARGET)
	@build/fuzz/fuzz_$(TARGET) -max_total_time=$(SECS) -timeout=10 -max_len=4096 -print_final_stats=1 \
	 -artifact_prefix=build/fuzz/$(TARGET)- build/fuzz/$(TARGET) seeds/fuzz/$(TARGET)

# ---- seen to work ---------------------------------------------------------------
.PHONY: demo demo-built crash-demo test-console test-office bench-console bench-size bench-node bench-sync bench-reconcile bench-truth bench-import bench-modems test-mixed test-modems test-province test-uplink sim-campaign
demo: deps ## handheld, two villages, gateway, province: a storm in three minutes (installs packages)
	@$(MAKE) --no-print-directory demo-built
demo-built:
	@$(MAKE) --no-print-directory -s -j2 all
	@python3 tests/demo.py
crash-demo: all ## kill -9 at 100 random moments of a four-node exchange
	@python3 tests/crash/crash.py --kills 100
test-office: all $(OUT)/tests/office/cap_judge ## exports opened by LibreOffice, GeoJSON and CAP against their standards (installs both)
	@$(MAKE) --no-print-directory deps PACKAGES='$(PACKAGES_OFFICE)'
	@python3 tests/office/exports.py
	@python3 tests/office/cap.py $(OUT)/tests/office/cap_judge
# npm brings what tests/browser/package-lock.json names by hash, and runs nothing of it.
BROWSER := build/browser/node_modules/.package-lock.json
$(BROWSER): tests/browser/package.json tests/browser/package-lock.json
	@command -v npm >/dev/null || $(MAKE) --no-print-directory deps PACKAGES='$(PACKAGES_BROWSER)'
	@mkdir -p build/browser && cp $^ build/browser/
	@cd build/browser && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@
test-console: deps $(BROWSER) ## a storm afternoon at the desk in Chromium, axe on every page, exports, attacks; pictures into build/screens/
	@MAKE='$(MAKE)' sh tests/run.sh console
bench-console: all $(OUT)/tests/bench/console ## the console's pages with 100,000 reports in the store, 200 open live pages
	@$(OUT)/tests/bench/console; pages=$$?; python3 tests/bench/live.py && exit $$pages
bench-size: $(OUT)/tests/bench/size ## bytes on air of each reference report
	@$(OUT)/tests/bench/size
bench-node: all $(OUT)/tests/bench/fill ## memory, idle CPU and start of kengd with 10,000 records
	@FILL=$(CURDIR)/$(OUT)/tests/bench/fill python3 tests/bench/node.py
bench-modems: all ## CPU and wake-ups of kengd with an idle modem of each driver, into tests/bench/modems.txt
	@python3 tests/bench/modems.py tests/bench/modems.txt
MODEM_TESTS := $(addprefix $(OUT)/tests/unit/test_modem_,conformance faults replay)
test-modems: all $(MODEM_TESTS) ## every driver: 1,000 frames, each fault 200 times, conversations, real daemons
	@python3 tests/bench/modem_suite.py $(OUT)/tests/unit
test-mixed: all ## twelve boxes with every driver, 100 reports everywhere
	@python3 tests/e2e/mixed_commune.py --reports 100 --speed 20 --limit-s 900
bench-sync: $(PROGRAM_DIR)/keng-sim ## every scenario by the core and by floods, medians of 10 seeds, into tests/bench/sync.txt
	@python3 tests/bench/sync.py $<
bench-truth: all ## real daemons over keng-air against the simulator, into tests/bench/truth.txt (8 minutes)
	@python3 tests/bench/truth.py $(PROGRAM_DIR)/keng-sim
bench-reconcile: $(OUT)/tests/bench/reconcile ## bytes until two nodes with 10,000 records are equal, into tests/bench/reconcile.txt
	@{ echo "Commit $$(git rev-parse --short=12 HEAD)$$(git diff --quiet HEAD -- node/core proto hw tests/support || echo ' and changes')."; $<; } \
	 >tests/bench/reconcile.txt; status=$$?; cat tests/bench/reconcile.txt; exit $$status
RECORDS ?= 1000000
bench-import: all $(OUT)/tests/bench/import ## RECORDS=1000000 DB=postgresql://...: import against verification alone (both databases), into tests/bench/import.txt
	@python3 tests/bench/import.py $(RECORDS) $(DB)
test-province: all $(OUT)/tests/bench/import ## 200,000 records of 40 communes on both databases, 20 kills, 100,000 changed bytes, 259,200 figures in every form
	@python3 tests/e2e/province.py --communes 40 --records 200000 --kills 20 --samples 100000 --wide 12000
test-uplink: all $(OUT)/tests/bench/fill ## both ways between tiers: 10,000 records, 1,000 cuts of the link, kills, full disk
	@python3 tests/e2e/uplink.py --cycles 1000 --records 10000 --directives 200 --kills 100
SEEDS ?= 1-100
SCENARIO ?= seeds/scenarios/storm-faults.json
sim-campaign: $(PROGRAM_DIR)/keng-sim ## SEEDS=1-1000 SCENARIO=FILE: a scenario under many seeds; names those that fail
	@$< --seeds $(SEEDS) --goals $(SCENARIO)

.PHONY: clean
clean: ## remove everything that was built
	rm -rf build
.PHONY: help
help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-14s %s\n",$$1,$$2}' $(MAKEFILE_LIST)

.SECONDARY:
-include $(shell find build -name '*.d' 2>/dev/null)

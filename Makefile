# A thin front for meson: see ./configure --help and docs/testing.md.
BUILD ?= build
GUESTS ?= $(BUILD)/guests
ISO ?= $(GUESTS)/tinamou.iso
MEM ?= 512
# make bench: which accelerator, which work (a regular expression), how often
ACCEL ?= dbt
ONLY ?=
RUNS ?= 1

all: $(BUILD)/build.ninja
	ninja -C $(BUILD)

$(BUILD)/build.ninja:
	./configure --build=$(BUILD)

deps:
	scripts/install-deps.sh build run guests

# Build, make a bootable ISO from Debian's packages and boot it here; make run ISO=path boots yours.
run: deps
	$(MAKE) all
	$(if $(filter $(GUESTS)/tinamou.iso,$(ISO)),scripts/guests.sh $(GUESTS) linux iso)
	@echo "Starting Tinamou on $(ISO). Power off from inside, or press Ctrl-A x to leave."
	$(BUILD)/tinamou -nographic -m $(MEM) -cdrom $(ISO)

check:
	scripts/check.sh

bench: deps
	scripts/install-deps.sh bench
	$(MAKE) all
	scripts/guests.sh $(GUESTS) linux
	python3 tests/bench/boot.py --build $(BUILD) --guests $(GUESTS)
	python3 tests/bench/work.py --build $(BUILD) --guests $(GUESTS) --accel $(ACCEL) --only '$(ONLY)' --runs $(RUNS)

install: all
	ninja -C $(BUILD) install

clean:
	rm -rf $(BUILD) $(BUILD)-asan $(BUILD)-clang $(BUILD)-tsan $(BUILD).log

.PHONY: all deps run check bench install clean

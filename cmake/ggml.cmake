# Brings in ggml as static targets. third_party/ggml/resolve.py decides where its source comes from.

set(crispvl_resolve_args)
if(CRISPVL_GGML_DIR)
    list(APPEND crispvl_resolve_args --user-dir "${CRISPVL_GGML_DIR}")
endif()
if(CRISPVL_CACHE_DIR)
    list(APPEND crispvl_resolve_args --cache-dir "${CRISPVL_CACHE_DIR}")
endif()
execute_process(
    COMMAND "${Python_EXECUTABLE}" "${PROJECT_SOURCE_DIR}/third_party/ggml/resolve.py" ${crispvl_resolve_args}
    OUTPUT_VARIABLE crispvl_ggml_source OUTPUT_STRIP_TRAILING_WHITESPACE
    RESULT_VARIABLE crispvl_resolve_result)
if(NOT crispvl_resolve_result EQUAL 0)
    message(FATAL_ERROR "ggml's source could not be resolved; see above for the reason and the remedies.")
endif()
message(STATUS "ggml source: ${crispvl_ggml_source}")
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS
    third_party/ggml/resolve.py third_party/ggml/pin.json)

if(CMAKE_CROSSCOMPILING)
    set(crispvl_native OFF)
else()
    set(crispvl_native ON)
endif()
option(GGML_NATIVE "ggml: optimize for the CPU of this machine (OFF for wheels)" ${crispvl_native})

# ggml's git probe would report the commit of whichever repository surrounds the folder; what is
# known is the release it came in.
if(NOT CRISPVL_GGML_DIR)
    set(GIT_EXE "" CACHE FILEPATH "")
    file(READ third_party/ggml/pin.json crispvl_pin)
    string(JSON crispvl_pin_package GET "${crispvl_pin}" package)
    string(JSON crispvl_pin_release GET "${crispvl_pin}" package_version)
    set(GGML_BUILD_COMMIT "${crispvl_pin_package}-${crispvl_pin_release}")
endif()

set(BUILD_SHARED_LIBS OFF)
set(GGML_STATIC OFF)              # that switch is for static executables
set(GGML_BUILD_TESTS OFF)
set(GGML_BUILD_EXAMPLES OFF)
set(GGML_CCACHE OFF)              # CMAKE_<LANG>_COMPILER_LAUNCHER does it for everything
set(GGML_ALL_WARNINGS OFF)
set(GGML_OPENMP OFF)              # the engine brings a persistent thread pool; no second runtime in the process
set(GGML_LLAMAFILE ON)            # tiled sgemm inside ggml-cpu: faster prefill and encoding
set(GGML_CUDA_GRAPHS_DEFAULT ON)
add_subdirectory("${crispvl_ggml_source}" "${PROJECT_BINARY_DIR}/ggml" EXCLUDE_FROM_ALL SYSTEM)
include(cmake/ggml_waiting.cmake)

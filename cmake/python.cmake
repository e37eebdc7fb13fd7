# The extension module crispvl._core: exports PyInit__core and nothing else.

find_package(pybind11 3.0 CONFIG REQUIRED)
file(GLOB crispvl_binding_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/python/src/*.cpp")
pybind11_add_module(_core MODULE NO_EXTRAS ${crispvl_binding_sources})
target_compile_definitions(_core PRIVATE CRISPVL_VERSION="${PROJECT_VERSION}")
target_link_libraries(_core PRIVATE crispvl_core)
crispvl_strict_warnings(_core)
if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
    # ggml's headers mark its API visible; another copy of ggml in the process must not bind to ours.
    target_link_options(_core PRIVATE LINKER:--exclude-libs,ALL)
endif()
install(TARGETS _core LIBRARY DESTINATION crispvl RUNTIME DESTINATION crispvl)

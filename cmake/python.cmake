# The extension module crispvl._core: exports PyInit__core and nothing else, so that another copy of
# ggml in the process never binds to ours, nor ours to it.

find_package(pybind11 3.0 CONFIG REQUIRED)
file(GLOB crispvl_binding_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/python/src/*.cpp")
pybind11_add_module(_core MODULE NO_EXTRAS ${crispvl_binding_sources})
target_compile_definitions(_core PRIVATE CRISPVL_VERSION="${PROJECT_VERSION}")
target_link_libraries(_core PRIVATE crispvl_core)
crispvl_strict_warnings(_core)
if(APPLE)
    target_link_options(_core PRIVATE LINKER:-exported_symbol,_PyInit__core)
elseif(UNIX)
    set(crispvl_exports "${PROJECT_SOURCE_DIR}/cmake/python_exports.map")
    target_link_options(_core PRIVATE "LINKER:--version-script=${crispvl_exports}")
    set_target_properties(_core PROPERTIES LINK_DEPENDS "${crispvl_exports}")
endif()
install(TARGETS _core LIBRARY DESTINATION crispvl RUNTIME DESTINATION crispvl)

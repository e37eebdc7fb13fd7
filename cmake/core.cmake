# crispvl_core: everything under csrc/ as one static library.

file(GLOB_RECURSE crispvl_sources CONFIGURE_DEPENDS "${PROJECT_SOURCE_DIR}/csrc/*.cpp")
list(FILTER crispvl_sources EXCLUDE REGEX "/csrc/tests/")
add_library(crispvl_core STATIC ${crispvl_sources})
target_include_directories(crispvl_core PUBLIC
    "${PROJECT_SOURCE_DIR}/csrc" "${PROJECT_SOURCE_DIR}/csrc/include")
target_compile_definitions(crispvl_core PRIVATE CRISPVL_VERSION="${PROJECT_VERSION}")
find_package(Threads REQUIRED)
target_link_libraries(crispvl_core PUBLIC ggml Threads::Threads)
crispvl_strict_warnings(crispvl_core)

# The Unicode tables of the tokenizers come from the building Python's unicodedata.
set(crispvl_unicode_script "${PROJECT_SOURCE_DIR}/csrc/text/generate_unicode_tables.py")
if(EXISTS "${crispvl_unicode_script}")
    set(crispvl_generated_dir "${PROJECT_BINARY_DIR}/generated")
    set(crispvl_unicode_tables "${crispvl_generated_dir}/crispvl_unicode_tables.inc")
    file(MAKE_DIRECTORY "${crispvl_generated_dir}")
    add_custom_command(
        OUTPUT "${crispvl_unicode_tables}"
        COMMAND "${Python_EXECUTABLE}" "${crispvl_unicode_script}" "${crispvl_unicode_tables}"
        DEPENDS "${crispvl_unicode_script}"
        COMMENT "Generating Unicode tables"
        VERBATIM)
    target_sources(crispvl_core PRIVATE "${crispvl_unicode_tables}")
    target_include_directories(crispvl_core PRIVATE "${crispvl_generated_dir}")
endif()

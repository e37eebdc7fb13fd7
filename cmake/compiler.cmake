# Compiler settings: warnings for crispvl's own targets, sanitizers for everything.

# Strict warnings on one of crispvl's targets; ggml and pybind11 are not ours to warn about.
function(crispvl_strict_warnings target)
    if(MSVC)
        target_compile_options(${target} PRIVATE /W4 /permissive- /utf-8 $<$<BOOL:${CRISPVL_WERROR}>:/WX>)
        target_compile_definitions(${target} PRIVATE NOMINMAX WIN32_LEAN_AND_MEAN _CRT_SECURE_NO_WARNINGS)
    else()
        target_compile_options(${target} PRIVATE
            -Wall -Wextra -Wpedantic -Wshadow -Wconversion $<$<BOOL:${CRISPVL_WERROR}>:-Werror>)
    endif()
endfunction()

if(CRISPVL_SANITIZE)
    if(MSVC)
        message(FATAL_ERROR "[build] CRISPVL_SANITIZE needs gcc or clang; found MSVC; use clang or leave it empty.")
    endif()
    list(JOIN CRISPVL_SANITIZE "," crispvl_sanitizers)
    # ggml as well: a race or an overflow is often seen only from its side.
    add_compile_options(-fsanitize=${crispvl_sanitizers} -fno-omit-frame-pointer -g)
    add_link_options(-fsanitize=${crispvl_sanitizers})
endif()

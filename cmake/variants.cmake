# CRISPVL_PORTABLE: one build for every CPU of an architecture. ggml's CPU kernels are compiled once
# per row below, each linked into an extension module of its own; python/crispvl/variants.py
# picks the module when crispvl is imported. Without it there is one module, for this machine's CPU.

option(CRISPVL_PORTABLE "Build the extension for every CPU of this architecture (wheels)" OFF)
option(CRISPVL_CUDA_PACKAGE "Build the core of the package crispvl-cuda (packaging/cuda)" OFF)

# What the CPU side of crispvl-cuda needs: ggml's choice for builds that are not native.
set(crispvl_avx2 sse4.2 avx f16c fma avx2 bmi2)
if(CRISPVL_CUDA_PACKAGE)
    set(GGML_NATIVE OFF CACHE BOOL "" FORCE)
    set(GGML_CUDA ON CACHE BOOL "")
    set(GGML_CUDA_NCCL OFF CACHE BOOL "" FORCE)  # a library that the wheel does not bring
endif()
if(NOT CRISPVL_PORTABLE)
    return()
endif()

# A wheel has the core once per row, so each copy keeps only what it can reach. (MSVC's release builds do so anyway.)
if(APPLE)
    add_link_options(LINKER:-dead_strip)
elseif(NOT MSVC)
    add_compile_options(-ffunction-sections -fdata-sections)
    add_link_options(LINKER:--gc-sections)
endif()

# What is beside the variants is the baseline, with nothing beyond the architecture itself.
set(GGML_NATIVE OFF CACHE BOOL "" FORCE)
foreach(feature SSE42 AVX AVX2 AVX_VNNI BMI2 FMA F16C AVX512 AVX512_VBMI AVX512_VNNI AVX512_BF16)
    set(GGML_${feature} OFF CACHE BOOL "" FORCE)
endforeach()

# Slowest first. Features are named as in csrc/kernels/cpu_features.cpp.
set(crispvl_variants)
macro(crispvl_variant name)
    list(APPEND crispvl_variants ${name})
    set(crispvl_variant_${name}_features ${ARGN})
endmacro()

if(APPLE)
    # Every Mac that Metal is built for has these; its GPU does the heavy work.
    set(GGML_CPU_ARM_ARCH "armv8.2-a+dotprod+fp16" CACHE STRING "" FORCE)
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    set(crispvl_avx512 ${crispvl_avx2} avx512f avx512cd avx512vl avx512dq avx512bw)
    if(NOT MSVC)
        crispvl_variant(sse42 sse4.2)
    endif()
    crispvl_variant(avx2 ${crispvl_avx2})
    crispvl_variant(avxvnni ${crispvl_avx2} avxvnni)
    crispvl_variant(avx512 ${crispvl_avx512})
    crispvl_variant(avx512vnni ${crispvl_avx512} avx512vbmi avx512vnni)
    if(NOT MSVC)
        crispvl_variant(avx512bf16 ${crispvl_avx512} avx512vbmi avx512vnni avx512bf16)
    endif()
elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "aarch64|arm64|ARM64")
    set(GGML_CPU_ARM_ARCH "armv8-a" CACHE STRING "" FORCE)
    crispvl_variant(dotprod dotprod fp16)
    crispvl_variant(i8mm dotprod fp16 i8mm)
    crispvl_variant(sve dotprod fp16 i8mm sve)
endif()

# The compiler's flags for a list of features.
function(crispvl_feature_flags features flags_variable definitions_variable)
    set(definitions)
    if(MSVC)
        # It has levels instead of features; ggml asks for the macros that it does not define.
        set(flags /arch:AVX2)
        list(APPEND definitions __BMI2__)
        if("avx512f" IN_LIST features)
            set(flags /arch:AVX512)
        endif()
        foreach(feature avxvnni avx512vbmi avx512vnni)
            if("${feature}" IN_LIST features)
                string(TOUPPER "__${feature}__" macro)
                list(APPEND definitions ${macro})
            endif()
        endforeach()
    elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
        list(TRANSFORM features PREPEND "-m" OUTPUT_VARIABLE flags)
    else()
        list(JOIN features "+" joined)
        set(flags "-march=armv8.2-a+${joined}")
    endif()
    set(${flags_variable} ${flags} PARENT_SCOPE)
    set(${definitions_variable} ${definitions} PARENT_SCOPE)
endfunction()

# ggml-cpu once more, for one row: its sources and settings with other instruction sets.
function(crispvl_add_ggml_cpu name)
    get_target_property(sources ggml-cpu SOURCES)
    get_target_property(folder ggml-cpu SOURCE_DIR)
    list(FILTER sources EXCLUDE REGEX "[.]h$")
    list(TRANSFORM sources PREPEND "${folder}/" REGEX "^[^/]")
    crispvl_feature_flags("${crispvl_variant_${name}_features}" flags definitions)
    add_library(ggml-cpu-${name} OBJECT ${sources})
    target_include_directories(ggml-cpu-${name} SYSTEM PRIVATE
        $<TARGET_PROPERTY:ggml-cpu,INCLUDE_DIRECTORIES>
        $<TARGET_PROPERTY:ggml-base,INTERFACE_INCLUDE_DIRECTORIES>)
    target_compile_definitions(ggml-cpu-${name} PRIVATE
        $<TARGET_PROPERTY:ggml-cpu,COMPILE_DEFINITIONS> ${definitions})
    target_compile_options(ggml-cpu-${name} PRIVATE ${flags})
    set_target_properties(ggml-cpu-${name} PROPERTIES C_STANDARD 11)
endfunction()

# The rows as C++: {"avx2", {"sse4.2", "avx", ...}},
function(crispvl_variant_rows out_variable)
    set(rows)
    foreach(name IN LISTS crispvl_variants)
        list(JOIN crispvl_variant_${name}_features "\", \"" features)
        string(APPEND rows "{\"${name}\", {\"${features}\"}},\n")
    endforeach()
    set(${out_variable} "${rows}" PARENT_SCOPE)
endfunction()

# ggml's threads spin at every barrier until the last one arrives. Beside other busy processes the last
# one is often not running at all, and the others burn the very core that it waits for. One file of ggml
# is therefore compiled with a barrier that spins briefly and then sleeps (csrc/runtime/barrier_wait.h).

set(crispvl_barrier_arrive "atomic_fetch_add_explicit(&tp->n_barrier_passed, 1, memory_order_seq_cst);")
set(crispvl_barrier_spin "while (atomic_load_explicit(&tp->n_barrier_passed, memory_order_relaxed) == n_passed) {
        ggml_thread_cpu_relax();")

file(READ "${crispvl_ggml_source}/src/ggml-cpu/ggml-cpu.c" crispvl_ggml_cpu)
foreach(expected IN ITEMS "${crispvl_barrier_arrive}" "${crispvl_barrier_spin}")
    string(FIND "${crispvl_ggml_cpu}" "${expected}" crispvl_found)
    if(crispvl_found EQUAL -1)
        message(FATAL_ERROR "[ggml-cpu.c] expected the barrier of the pinned ggml; found another; "
            "adapt cmake/ggml_waiting.cmake to this version")
    endif()
endforeach()
string(REPLACE "${crispvl_barrier_arrive}" "${crispvl_barrier_arrive}
        crispvl_wake(&tp->n_barrier_passed);" crispvl_ggml_cpu "${crispvl_ggml_cpu}")
string(REPLACE "${crispvl_barrier_spin}" "for (unsigned n_spins = 0; atomic_load_explicit(&tp->n_barrier_passed, memory_order_relaxed) == n_passed;) {
        if (++n_spins < CRISPVL_SPINS) ggml_thread_cpu_relax();
        else crispvl_sleep_while(&tp->n_barrier_passed, n_passed);" crispvl_ggml_cpu "${crispvl_ggml_cpu}")
# After ggml's own includes, which declare the atomics.
string(REPLACE "// Helpers for polling loops" "#include \"runtime/barrier_wait.h\"

// Helpers for polling loops" crispvl_ggml_cpu "${crispvl_ggml_cpu}")
file(CONFIGURE OUTPUT "${PROJECT_BINARY_DIR}/ggml-waiting/ggml-cpu.c" CONTENT "@crispvl_ggml_cpu@" @ONLY)

get_target_property(crispvl_ggml_cpu_sources ggml-cpu SOURCES)
list(TRANSFORM crispvl_ggml_cpu_sources REPLACE "^ggml-cpu/ggml-cpu[.]c$"
    "${PROJECT_BINARY_DIR}/ggml-waiting/ggml-cpu.c")
set_target_properties(ggml-cpu PROPERTIES SOURCES "${crispvl_ggml_cpu_sources}")
target_include_directories(ggml-cpu PRIVATE "${PROJECT_SOURCE_DIR}/csrc")

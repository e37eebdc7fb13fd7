/* What a thread does that waits at ggml's barrier: compiled into ggml-cpu.c
 * (cmake/ggml_waiting.cmake). Plain C over <stdatomic.h>, or over ggml's own atomics with MSVC. */
#pragma once

#if defined(__linux__)
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Threads asleep at any barrier of the process; nobody is woken where there is none. */
static atomic_int crispvl_n_asleep;
#endif

/* Looks before a thread sleeps: 20 to 50 us, longer than threads that run together wait for each
 * other, much shorter than a time slice of the system. */
#define CRISPVL_SPINS 1000

/* Sleeps until crispvl_wake on this word, unless it already differs from `seen`; may return early.
 */
static inline void crispvl_sleep_while(atomic_int* word, int seen) {
#if defined(__linux__)
    atomic_fetch_add_explicit(&crispvl_n_asleep, 1, memory_order_seq_cst);
    syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
    atomic_fetch_add_explicit(&crispvl_n_asleep, -1, memory_order_seq_cst);
#else
    (void)word;
    (void)seen;
    sched_yield();
#endif
}

/* Wakes the threads that sleep on this word, which has just been changed. */
static inline void crispvl_wake(atomic_int* word) {
#if defined(__linux__)
    if (atomic_load_explicit(&crispvl_n_asleep, memory_order_seq_cst) > 0) {
        syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
    }
#else
    (void)word;
#endif
}

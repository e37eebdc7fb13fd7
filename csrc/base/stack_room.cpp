#include "base/stack_room.h"

#if defined(_WIN32)
#include <intrin.h>
#include <windows.h>
#else
#include <pthread.h>
#endif

#include <cstdint>
#include <string>

#include "base/error.h"

namespace crispvl {
namespace {

// Addresses, the stack growing from `top` to `bottom`; both 0 where the system does not tell.
struct Stack {
    uintptr_t bottom = 0, top = 0;
};

Stack stack_of_thread() {
    Stack stack;
#if defined(_WIN32)
    ULONG_PTR bottom = 0, top = 0;
    GetCurrentThreadStackLimits(&bottom, &top);
    stack = {bottom, top};
#elif defined(__APPLE__)
    stack.top = reinterpret_cast<uintptr_t>(pthread_get_stackaddr_np(pthread_self()));
    stack.bottom = stack.top - pthread_get_stacksize_np(pthread_self());
#elif defined(__linux__)
    pthread_attr_t attributes;
    if (pthread_getattr_np(pthread_self(), &attributes) != 0) return stack;
    void* bottom = nullptr;
    size_t n_bytes = 0;
    if (pthread_attr_getstack(&attributes, &bottom, &n_bytes) == 0) {
        stack.bottom = reinterpret_cast<uintptr_t>(bottom);
        stack.top = stack.bottom + n_bytes;
    }
    pthread_attr_destroy(&attributes);
#endif
    return stack;
}

uintptr_t here() {
#if defined(_MSC_VER)
    return reinterpret_cast<uintptr_t>(_AddressOfReturnAddress());
#else
    return reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
#endif
}

}  // namespace

void require_stack() {
    thread_local const Stack stack = stack_of_thread();
    const uintptr_t at = here();
    if (at <= stack.bottom || at > stack.top || at - stack.bottom >= kStackBytes) return;
    throw Error(ErrorKind::memory,
                "[thread] expected " + std::to_string(kStackBytes >> 10) +
                    " KiB of the thread's stack to be left; found " +
                    std::to_string((at - stack.bottom) >> 10) +
                    "; start it with a larger one (threading.stack_size in Python, "
                    "pthread_attr_setstacksize in C)");
}

}  // namespace crispvl

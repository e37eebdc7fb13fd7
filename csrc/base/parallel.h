// Work in equal shares on threads of its own; graphs run on ggml's pool instead.
#pragma once

#include <functional>

namespace crispvl {

// Calls work(0) … work(n - 1) at once, as far as the system gives threads, and one after the other
// beyond that. Throws what the first share that failed has thrown, once all have ended.
void run_parallel(int n, const std::function<void(int)>& work);

}  // namespace crispvl

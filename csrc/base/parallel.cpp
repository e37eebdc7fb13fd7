#include "base/parallel.h"

#include <exception>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <vector>

namespace crispvl {

void run_parallel(int n, const std::function<void(int)>& work) {
    std::mutex mutex;
    std::exception_ptr failure;
    const auto run_share = [&](int i) {
        try {
            work(i);
        } catch (...) {
            std::lock_guard<std::mutex> lock(mutex);
            if (!failure) failure = std::current_exception();
        }
    };
    std::vector<std::thread> threads;
    int n_started = 1;
    try {
        threads.reserve(static_cast<size_t>(n));
        for (; n_started < n; ++n_started) threads.emplace_back(run_share, n_started);
    } catch (const std::system_error&) {
        // Fewer threads do the same work.
    } catch (const std::bad_alloc&) {
    }
    run_share(0);
    for (int i = n_started; i < n; ++i) run_share(i);
    for (std::thread& thread : threads) thread.join();
    if (failure) std::rethrow_exception(failure);
}

}  // namespace crispvl

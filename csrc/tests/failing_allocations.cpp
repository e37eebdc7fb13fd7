// Lets one allocation fail after another, ours (operator new) and ggml's buffers (posix_memalign),
// while a model is loaded and while it reads. Each failure has to be CRISPVL_ERROR_MEMORY, and the
// next reading has to be as good as ever. `failing_allocations MODEL STEP`: every STEP-th one.
#include <atomic>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <new>
#include <string>
#include <vector>

#include "small_page.h"

namespace {

std::atomic<long> countdown{0};  // the allocation at which it comes to 0 fails

bool fails() {
    return countdown.load() > 0 && countdown.fetch_sub(1) == 1;
}

void* allocate(size_t n_bytes, size_t alignment) {
    if (fails()) return nullptr;
    return std::aligned_alloc(alignment, (n_bytes + alignment) / alignment * alignment);
}

void* allocate_or_throw(size_t n_bytes, size_t alignment) {
    if (void* block = allocate(n_bytes, alignment)) return block;
    throw std::bad_alloc();
}

constexpr size_t kAlignment = alignof(std::max_align_t);

}  // namespace

void* operator new(size_t n_bytes) {
    return allocate_or_throw(n_bytes, kAlignment);
}
void* operator new[](size_t n_bytes) {
    return allocate_or_throw(n_bytes, kAlignment);
}
void* operator new(size_t n_bytes, std::align_val_t alignment) {
    return allocate_or_throw(n_bytes, static_cast<size_t>(alignment));
}
void* operator new(size_t n_bytes, const std::nothrow_t&) noexcept {
    return allocate(n_bytes, kAlignment);
}
void operator delete(void* block) noexcept {
    std::free(block);
}
void operator delete[](void* block) noexcept {
    std::free(block);
}
void operator delete(void* block, size_t) noexcept {
    std::free(block);
}
void operator delete[](void* block, size_t) noexcept {
    std::free(block);
}
void operator delete(void* block, std::align_val_t) noexcept {
    std::free(block);
}

// ggml_aligned_malloc asks for its buffers here. Below a page it is ggml's own state, such as its
// thread pool's, without which ggml ends the process.
extern "C" int posix_memalign(void** out, size_t alignment, size_t n_bytes) {
    constexpr size_t kLeastBuffer = 4096;
    const bool is_buffer = n_bytes >= kLeastBuffer;
    *out = is_buffer ? allocate(n_bytes, alignment) : std::aligned_alloc(alignment, kLeastBuffer);
    return *out == nullptr ? 12 /* ENOMEM */ : 0;
}

namespace {

constexpr int kTokens = 4;

void require(bool ok, const char* what, long n) {
    if (ok) return;
    countdown = 0;
    std::fprintf(stderr, "%s when allocation %ld fails: %s\n", what, n, crispvl_last_error());
    std::exit(1);
}

// Calls `work` with the first, the STEP-th, … allocation failing until none is left to fail.
template <class Work>
long fail_each(long step, Work&& work) {
    for (long n = 1;; n += step) {
        countdown = n;
        const crispvl_status status = work(n);
        const bool has_failed = countdown.exchange(0) <= 0;
        // An allocation that can be done without may fail unnoticed.
        require(status == CRISPVL_OK || (has_failed && status == CRISPVL_ERROR_MEMORY),
                "another error", n);
        if (!has_failed) return n - 1;
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    const long step = std::atol(argv[2]);
    crispvl_model* model = nullptr;
    std::string expected, text;
    require(load_model(argv[1], &model) == CRISPVL_OK, "loading", 0);
    require(read_page(model, kTokens, nullptr, &expected) == CRISPVL_OK, "reading", 0);

    const long n_loading = fail_each(step, [&](long) {
        crispvl_model* another = nullptr;
        const crispvl_status status = load_model(argv[1], &another);
        crispvl_model_free(another);
        return status;
    });
    const long n_reading = fail_each(step, [&](long n) {
        const crispvl_status status = read_page(model, kTokens, nullptr, &text);
        const long left = countdown.exchange(0);
        require(read_page(model, kTokens, nullptr, &text) == CRISPVL_OK && text == expected,
                "no usable model", n);
        countdown = left;
        return status;
    });
    crispvl_model_free(model);
    std::printf("allocations failed: %ld while loading, %ld while reading\n", n_loading, n_reading);
}

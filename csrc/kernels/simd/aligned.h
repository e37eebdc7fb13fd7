// Memory aligned to a cache line, for packed weights and scratch.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

namespace crispvl::kernels {

inline constexpr size_t kCacheLine = 64;

struct AlignedDelete {
    void operator()(void* p) const { ::operator delete(p, std::align_val_t{kCacheLine}); }
};

template <typename T>
using AlignedArray = std::unique_ptr<T[], AlignedDelete>;

// Uninitialised. Throws std::bad_alloc.
template <typename T>
AlignedArray<T> allocate_aligned(size_t n) {
    void* p = ::operator new(n * sizeof(T), std::align_val_t{kCacheLine});
    return AlignedArray<T>(static_cast<T*>(p));
}

}  // namespace crispvl::kernels

// A file that appears under its name only when it is complete.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

namespace crispvl {

class AtomicFile {
public:
    // Opens a temporary file in `path`'s folder (UTF-8). Throws Error{not_found} without a folder.
    explicit AtomicFile(const std::string& path);
    // Removes the temporary file unless commit() was reached.
    ~AtomicFile();
    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;

    // Throws Error{argument} when the disk is full or fails.
    void write(const void* data, size_t n_bytes);
    // Zeros up to a multiple of `alignment`.
    void pad(size_t alignment);
    // Forces the bytes to disk and renames. Throws Error{argument}.
    void commit();

private:
    [[noreturn]] void fail(const char* action) const;

    std::string path_, temporary_;
    std::FILE* file_ = nullptr;
    uint64_t n_written_ = 0;
};

}  // namespace crispvl

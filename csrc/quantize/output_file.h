// A file that is written from its beginning to its end.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>

namespace crispvl {

class OutputFile {
public:
    // Creates `path` (UTF-8). Throws Error{not_found} without a folder.
    explicit OutputFile(const std::string& path);
    ~OutputFile();
    OutputFile(const OutputFile&) = delete;
    OutputFile& operator=(const OutputFile&) = delete;

    // Throws Error{argument} when the disk is full or fails.
    void write(const void* data, size_t n_bytes);
    // Zeros up to a multiple of `alignment`.
    void pad(size_t alignment);
    // Has the system take all bytes. Throws Error{argument}.
    void close();

private:
    std::FILE* file_;
    uint64_t n_written_ = 0;
};

}  // namespace crispvl

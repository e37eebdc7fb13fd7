// A file's bytes in memory, read-only: mapped, or copied.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "base/interrupt.h"

namespace crispvl {

// How a file comes into memory. A mapping costs no memory of its own, but its pages stay the
// file's; what happens to the file after it was copied matters no more.
struct FileAccess {
    bool mmap = true;
    Interrupt* interrupt = nullptr;  // asked while a file is copied
};

// A file's bytes that the caller holds in memory.
struct FileBytes {
    const void* data = nullptr;
    size_t n_bytes = 0;
};

class MappedFile {
public:
    // Opens a file; until load() its bytes are had only through read(). Throws Error{not_found}
    // when `path` (UTF-8) is not there, Error{model_file} when it is not a readable regular file.
    explicit MappedFile(const std::string& path);
    // Copies the bytes. Throws Error{memory}, or Error{model_file} when there are none.
    explicit MappedFile(FileBytes bytes);
    ~MappedFile();
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;

    // Brings an opened file's bytes into memory, once. Throws Error{model_file} when they cannot be
    // mapped or change while they are copied, Error{memory, cancelled} of a copy.
    void load(FileAccess access);

    const std::string& path() const { return path_; }
    const uint8_t* data() const { return data_; }
    size_t size() const { return n_bytes_; }
    // Copies up to `n_bytes` from `offset` and returns how many there are. Asks the file itself, so
    // that one that has shrunk ends early where the mapping would fault.
    size_t read(size_t offset, void* out, size_t n_bytes) const;
    // What has happened to the file since it was opened; empty when nothing has.
    std::string change() const;
    // Drops the resident pages that are wholly in [data, data + n_bytes), where the range is this
    // file's; reading them again reads the file again.
    void release(const uint8_t* data, size_t n_bytes) const;

private:
    MappedFile() = default;
    void map();
    void copy(Interrupt* interrupt);
    uint8_t* allocate();  // pages for a copy of n_bytes_, to write to until protect()
    void protect();

    // The file itself. Nothing keeps it open behind a copy.
    void open();
    bool is_open() const;
    void close();
    size_t read_file(size_t offset, uint8_t* out, size_t n_bytes) const;

    std::string path_ = "(memory)";  // where there is no file
    const uint8_t* data_ = nullptr;
    size_t n_bytes_ = 0;
    void* file_ = nullptr;    // Windows
    void* handle_ = nullptr;  // Windows: the mapping object, which keeps others from writing
    int fd_ = -1;             // elsewhere
    int64_t modified_ns_ = 0;
};

}  // namespace crispvl

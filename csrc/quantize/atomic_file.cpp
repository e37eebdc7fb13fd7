#include "quantize/atomic_file.h"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <random>

#include "base/error.h"

#ifdef _WIN32
#include <io.h>
#else
#include <fcntl.h>
#include <unistd.h>
#endif

namespace crispvl {
namespace {

namespace fs = std::filesystem;

std::string random_suffix() {
    static const char kDigits[] = "0123456789abcdef";
    std::random_device source;
    std::string text;
    for (int i = 0; i < 8; ++i) text += kDigits[source() % 16];
    return text;
}

std::FILE* open_new(const fs::path& path) {
#ifdef _WIN32
    return _wfopen(path.c_str(), L"wbx");
#else
    return std::fopen(path.c_str(), "wbx");
#endif
}

bool sync_file(std::FILE* file) {
#ifdef _WIN32
    return _commit(_fileno(file)) == 0;
#else
    return fsync(fileno(file)) == 0;
#endif
}

// Makes the new name last through a power cut, where the system can.
void sync_folder(const fs::path& folder) {
#ifndef _WIN32
    const int descriptor = open(folder.empty() ? "." : folder.c_str(), O_RDONLY);
    if (descriptor < 0) return;
    fsync(descriptor);
    close(descriptor);
#else
    (void)folder;
#endif
}

}  // namespace

AtomicFile::AtomicFile(const std::string& path) : path_(path) {
    const fs::path wanted = fs::u8path(path);
    // Short: a name as long as the system allows leaves no room for a suffix.
    const fs::path temporary = wanted.parent_path() / fs::u8path("." + random_suffix() + ".part");
    temporary_ = temporary.u8string();
    file_ = open_new(temporary);
    if (file_ == nullptr) {
        throw Error(ErrorKind::not_found, "[output] expected a folder to write '" + path +
                                              "' in; " + std::strerror(errno) +
                                              "; create it first");
    }
}

AtomicFile::~AtomicFile() {
    if (file_ != nullptr) std::fclose(file_);
    std::error_code ignored;
    if (!temporary_.empty()) fs::remove(fs::u8path(temporary_), ignored);
}

void AtomicFile::fail(const char* action) const {
    throw Error(ErrorKind::argument, std::string("[output] expected to ") + action + " '" + path_ +
                                         "'; " + std::strerror(errno) +
                                         "; free space or choose another folder");
}

void AtomicFile::write(const void* data, size_t n_bytes) {
    if (std::fwrite(data, 1, n_bytes, file_) != n_bytes) fail("write");
    n_written_ += n_bytes;
}

void AtomicFile::pad(size_t alignment) {
    static const char kZeros[64] = {};
    while (n_written_ % alignment != 0) {
        const size_t missing = alignment - static_cast<size_t>(n_written_ % alignment);
        write(kZeros, missing < sizeof kZeros ? missing : sizeof kZeros);
    }
}

void AtomicFile::commit() {
    if (std::fflush(file_) != 0 || !sync_file(file_)) fail("write");
    std::FILE* file = file_;
    file_ = nullptr;
    if (std::fclose(file) != 0) fail("write");
    const fs::path wanted = fs::u8path(path_);
    std::error_code error;
    fs::rename(fs::u8path(temporary_), wanted, error);
    if (error) {
        errno = error.value();
        fail("rename the finished file to");
    }
    temporary_.clear();
    sync_folder(wanted.parent_path());
}

}  // namespace crispvl

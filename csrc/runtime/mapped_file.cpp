#include "runtime/mapped_file.h"

#include "runtime/error.h"

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>
#else
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#endif

#include <algorithm>
#include <cstring>

namespace crispvl {
namespace {

[[noreturn]] void fail_missing(const std::string& path) {
    throw Error(ErrorKind::not_found,
                "[model] expected a GGUF file; '" + path + "' does not exist; check the path");
}

[[noreturn]] void fail_unreadable(const std::string& path, const std::string& reason) {
    throw Error(ErrorKind::model_file, "[model] expected a readable GGUF file; '" + path +
                                           "': " + reason + "; check the path and its permissions");
}

void check_bytes(FileBytes bytes) {
    if (bytes.data == nullptr || bytes.n_bytes == 0) {
        fail_unreadable("(memory)", "there are no bytes");
    }
}

Error no_memory(size_t n_bytes) {
    return Error(ErrorKind::memory, "[model] expected " + std::to_string(n_bytes >> 20) +
                                        " MiB for a copy of the model; none are free; load it from "
                                        "a file");
}

}  // namespace

#ifdef _WIN32

MappedFile::MappedFile(const std::string& path) {
    const int n_wide = MultiByteToWideChar(CP_UTF8, 0, path.c_str(), -1, nullptr, 0);
    std::wstring wide(static_cast<size_t>(n_wide > 0 ? n_wide : 1), L'\0');
    MultiByteToWideChar(CP_UTF8, 0, path.c_str(), -1, wide.data(), n_wide);
    HANDLE file = CreateFileW(wide.c_str(), GENERIC_READ, FILE_SHARE_READ, nullptr, OPEN_EXISTING,
                              FILE_ATTRIBUTE_NORMAL, nullptr);
    if (file == INVALID_HANDLE_VALUE) {
        const DWORD code = GetLastError();
        if (code == ERROR_FILE_NOT_FOUND || code == ERROR_PATH_NOT_FOUND) fail_missing(path);
        fail_unreadable(path, "Windows error " + std::to_string(code));
    }
    LARGE_INTEGER size{};
    GetFileSizeEx(file, &size);
    if (size.QuadPart == 0) {
        CloseHandle(file);
        fail_unreadable(path, "the file is empty");
    }
    handle_ = CreateFileMappingW(file, nullptr, PAGE_READONLY, 0, 0, nullptr);
    CloseHandle(file);
    if (handle_ == nullptr) fail_unreadable(path, "it cannot be mapped");
    data_ = static_cast<const uint8_t*>(MapViewOfFile(handle_, FILE_MAP_READ, 0, 0, 0));
    if (data_ == nullptr) {
        CloseHandle(handle_);
        fail_unreadable(path, "it cannot be mapped");
    }
    n_bytes_ = static_cast<size_t>(size.QuadPart);
}

MappedFile::MappedFile(FileBytes bytes) : n_bytes_(bytes.n_bytes), is_copy_(true) {
    check_bytes(bytes);
    const uint64_t size = bytes.n_bytes;
    handle_ = CreateFileMappingW(INVALID_HANDLE_VALUE, nullptr, PAGE_READWRITE,
                                 static_cast<DWORD>(size >> 32), static_cast<DWORD>(size), nullptr);
    void* mapped = handle_ == nullptr ? nullptr : MapViewOfFile(handle_, FILE_MAP_WRITE, 0, 0, 0);
    if (mapped == nullptr) {
        if (handle_ != nullptr) CloseHandle(handle_);
        throw no_memory(n_bytes_);
    }
    std::memcpy(mapped, bytes.data, n_bytes_);
    data_ = static_cast<const uint8_t*>(mapped);
}

void MappedFile::release(const uint8_t*, size_t) const {}  // the system trims working sets itself

std::string MappedFile::change() const {
    return {};
}

MappedFile::~MappedFile() {
    UnmapViewOfFile(data_);
    CloseHandle(handle_);
}

#else

namespace {

int64_t modified_ns(const struct stat& info) {
#ifdef __APPLE__
    const timespec& time = info.st_mtimespec;
#else
    const timespec& time = info.st_mtim;
#endif
    return int64_t{time.tv_sec} * 1000000000 + time.tv_nsec;
}

}  // namespace

MappedFile::MappedFile(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        if (errno == ENOENT || errno == ENOTDIR) fail_missing(path);
        fail_unreadable(path, std::strerror(errno));
    }
    struct stat info{};
    const bool is_file = ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
    n_bytes_ = is_file ? static_cast<size_t>(info.st_size) : 0;
    void* mapped =
        n_bytes_ > 0 ? ::mmap(nullptr, n_bytes_, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;
    const int code = errno;
    if (mapped == MAP_FAILED) ::close(fd);
    if (!is_file) fail_unreadable(path, "it is not a regular file");
    if (n_bytes_ == 0) fail_unreadable(path, "the file is empty");
    if (mapped == MAP_FAILED) fail_unreadable(path, std::strerror(code));
    data_ = static_cast<const uint8_t*>(mapped);
    fd_ = fd;
    modified_ns_ = modified_ns(info);
}

MappedFile::MappedFile(FileBytes bytes) : n_bytes_(bytes.n_bytes), is_copy_(true) {
    check_bytes(bytes);
    void* mapped = ::mmap(nullptr, n_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                          /*fd=*/-1, 0);
    if (mapped == MAP_FAILED) throw no_memory(n_bytes_);
    std::memcpy(mapped, bytes.data, n_bytes_);
    ::mprotect(mapped, n_bytes_, PROT_READ);
    data_ = static_cast<const uint8_t*>(mapped);
}

void MappedFile::release(const uint8_t* data, size_t n_bytes) const {
    if (is_copy_ || data < data_ || data + n_bytes > data_ + n_bytes_) return;
    const uintptr_t page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
    const uintptr_t begin = (reinterpret_cast<uintptr_t>(data) + page - 1) / page * page;
    const uintptr_t end = reinterpret_cast<uintptr_t>(data + n_bytes) / page * page;
    if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

std::string MappedFile::change() const {
    struct stat info{};
    if (fd_ < 0 || ::fstat(fd_, &info) != 0) return {};
    if (static_cast<size_t>(info.st_size) != n_bytes_) {
        return "it had " + std::to_string(n_bytes_) + " bytes and has " +
               std::to_string(info.st_size);
    }
    return modified_ns(info) == modified_ns_ ? "" : "it was written to";
}

MappedFile::~MappedFile() {
    ::munmap(const_cast<uint8_t*>(data_), n_bytes_);
    if (fd_ >= 0) ::close(fd_);
}

#endif

size_t MappedFile::read(size_t offset, void* out, size_t n_bytes) const {
    if (offset >= n_bytes_) return 0;
    const size_t n_wanted = std::min(n_bytes, n_bytes_ - offset);
#ifndef _WIN32
    size_t n_read = 0;
    while (fd_ >= 0 && n_read < n_wanted) {
        const ssize_t n = ::pread(fd_, static_cast<uint8_t*>(out) + n_read, n_wanted - n_read,
                                  static_cast<off_t>(offset + n_read));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return n_read;
        n_read += static_cast<size_t>(n);
    }
    if (fd_ >= 0) return n_read;
#endif
    std::memcpy(out, data_ + offset, n_wanted);
    return n_wanted;
}

}  // namespace crispvl

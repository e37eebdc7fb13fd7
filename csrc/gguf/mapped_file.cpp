#include "gguf/mapped_file.h"

#include "base/error.h"

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#ifndef NOMINMAX
#define NOMINMAX  // MinGW defines it itself
#endif
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
    throw Error(ErrorKind::not_found, "[model] expected a GGUF file; found that '" + path +
                                          "' does not exist; check the path");
}

[[noreturn]] void fail_unreadable(const std::string& path, const std::string& reason) {
    throw Error(ErrorKind::model_file, "[model] expected a readable GGUF file; found '" + path +
                                           "': " + reason + "; check the path and its permissions");
}

[[noreturn]] void fail_folder(const std::string& path) {
    throw Error(ErrorKind::model_file, "[model] expected a GGUF file; found a folder, '" + path +
                                           "'; name the file in it, or convert a checkpoint with "
                                           "'crispvl convert'");
}

Error no_memory(size_t n_bytes) {
    return Error(ErrorKind::memory,
                 "[model] expected " + std::to_string(n_bytes >> 20) +
                     " MiB for a copy of the model; found too few free; load it from "
                     "a file, mapped");
}

// Of a file that is copied; what cancels it waits for one at most.
constexpr size_t kChunkBytes = size_t{16} << 20;

}  // namespace

// Both constructors begin with the empty one: with it the object exists, and where they throw the
// destructor gives back what they have taken.

MappedFile::MappedFile(const std::string& path) : MappedFile() {
    path_ = path;
    open();
    if (n_bytes_ == 0) fail_unreadable(path_, "the file is empty");
}

MappedFile::MappedFile(FileBytes bytes) : MappedFile() {
    if (bytes.data == nullptr || bytes.n_bytes == 0) fail_unreadable(path_, "there are no bytes");
    n_bytes_ = bytes.n_bytes;
    std::memcpy(allocate(), bytes.data, n_bytes_);
    protect();
}

void MappedFile::load(FileAccess access) {
    if (access.mmap) {
        map();
    } else {
        copy(access.interrupt);
    }
}

void MappedFile::copy(Interrupt* interrupt) {
    uint8_t* pages = allocate();
    for (size_t offset = 0; offset < n_bytes_; offset += kChunkBytes) {
        throw_if_requested(interrupt);
        const size_t n_wanted = std::min(kChunkBytes, n_bytes_ - offset);
        if (read(offset, pages + offset, n_wanted) < n_wanted) {
            fail_unreadable(path_, "it was cut while it was read");
        }
    }
    const std::string changed = change();
    if (!changed.empty()) fail_unreadable(path_, "while it was read " + changed);
    close();
    protect();
}

size_t MappedFile::read(size_t offset, void* out, size_t n_bytes) const {
    if (offset >= n_bytes_) return 0;
    const size_t n_wanted = std::min(n_bytes, n_bytes_ - offset);
    if (is_open()) return read_file(offset, static_cast<uint8_t*>(out), n_wanted);
    std::memcpy(out, data_ + offset, n_wanted);
    return n_wanted;
}

#ifdef _WIN32

void MappedFile::open() {
    const int n_wide = MultiByteToWideChar(CP_UTF8, 0, path_.c_str(), -1, nullptr, 0);
    std::wstring wide(static_cast<size_t>(n_wide > 0 ? n_wide : 1), L'\0');
    MultiByteToWideChar(CP_UTF8, 0, path_.c_str(), -1, wide.data(), n_wide);
    HANDLE file = CreateFileW(wide.c_str(), GENERIC_READ, FILE_SHARE_READ, nullptr, OPEN_EXISTING,
                              FILE_ATTRIBUTE_NORMAL, nullptr);
    if (file == INVALID_HANDLE_VALUE) {
        const DWORD code = GetLastError();
        if (code == ERROR_FILE_NOT_FOUND || code == ERROR_PATH_NOT_FOUND) fail_missing(path_);
        fail_unreadable(path_, "Windows error " + std::to_string(code));
    }
    file_ = file;
    LARGE_INTEGER size{};
    GetFileSizeEx(file, &size);
    n_bytes_ = static_cast<size_t>(size.QuadPart);
}

bool MappedFile::is_open() const {
    return file_ != nullptr;
}

void MappedFile::close() {
    if (is_open()) CloseHandle(file_);
    file_ = nullptr;
}

void MappedFile::map() {
    handle_ = CreateFileMappingW(file_, nullptr, PAGE_READONLY, 0, 0, nullptr);
    if (handle_ == nullptr) fail_unreadable(path_, "it cannot be mapped");
    data_ = static_cast<const uint8_t*>(MapViewOfFile(handle_, FILE_MAP_READ, 0, 0, 0));
    if (data_ == nullptr) fail_unreadable(path_, "it cannot be mapped");
    close();  // the mapping keeps others from writing
}

uint8_t* MappedFile::allocate() {
    const uint64_t size = n_bytes_;
    handle_ = CreateFileMappingW(INVALID_HANDLE_VALUE, nullptr, PAGE_READWRITE,
                                 static_cast<DWORD>(size >> 32), static_cast<DWORD>(size), nullptr);
    void* pages = handle_ == nullptr ? nullptr : MapViewOfFile(handle_, FILE_MAP_WRITE, 0, 0, 0);
    if (pages == nullptr) throw no_memory(n_bytes_);
    data_ = static_cast<const uint8_t*>(pages);
    return static_cast<uint8_t*>(pages);
}

void MappedFile::protect() {
    DWORD before = 0;
    VirtualProtect(const_cast<uint8_t*>(data_), n_bytes_, PAGE_READONLY, &before);
}

size_t MappedFile::read_file(size_t offset, uint8_t* out, size_t n_bytes) const {
    size_t n_read = 0;
    while (n_read < n_bytes) {
        const uint64_t begin = offset + n_read;
        OVERLAPPED place{};
        place.Offset = static_cast<DWORD>(begin);
        place.OffsetHigh = static_cast<DWORD>(begin >> 32);
        const size_t n_wanted = std::min(n_bytes - n_read, kChunkBytes);
        DWORD n = 0;
        if (!ReadFile(file_, out + n_read, static_cast<DWORD>(n_wanted), &n, &place) || n == 0) {
            break;
        }
        n_read += n;
    }
    return n_read;
}

void MappedFile::release(const uint8_t*, size_t) const {}  // the system trims working sets itself

std::string MappedFile::change() const {
    return {};
}

MappedFile::~MappedFile() {
    if (data_ != nullptr) UnmapViewOfFile(data_);
    if (handle_ != nullptr) CloseHandle(handle_);
    close();
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

void MappedFile::open() {
    // Nonblocking: a pipe without a writer would never open. Regular files know no difference.
    fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd_ < 0) {
        if (errno == ENOENT || errno == ENOTDIR) fail_missing(path_);
        fail_unreadable(path_, std::strerror(errno));
    }
    struct stat info{};
    const bool is_known = ::fstat(fd_, &info) == 0;
    if (is_known && S_ISDIR(info.st_mode)) fail_folder(path_);
    if (!is_known || !S_ISREG(info.st_mode)) {
        fail_unreadable(path_, "it is not a regular file");
    }
    n_bytes_ = static_cast<size_t>(info.st_size);
    modified_ns_ = modified_ns(info);
}

bool MappedFile::is_open() const {
    return fd_ >= 0;
}

void MappedFile::close() {
    if (is_open()) ::close(fd_);
    fd_ = -1;
}

void MappedFile::map() {
    void* pages = ::mmap(nullptr, n_bytes_, PROT_READ, MAP_SHARED, fd_, 0);
    if (pages == MAP_FAILED) fail_unreadable(path_, std::strerror(errno));
    data_ = static_cast<const uint8_t*>(pages);
}

uint8_t* MappedFile::allocate() {
    void* pages = ::mmap(nullptr, n_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
                         /*fd=*/-1, 0);
    if (pages == MAP_FAILED) throw no_memory(n_bytes_);
    data_ = static_cast<const uint8_t*>(pages);
    return static_cast<uint8_t*>(pages);
}

void MappedFile::protect() {
    ::mprotect(const_cast<uint8_t*>(data_), n_bytes_, PROT_READ);
}

size_t MappedFile::read_file(size_t offset, uint8_t* out, size_t n_bytes) const {
    size_t n_read = 0;
    while (n_read < n_bytes) {
        const ssize_t n =
            ::pread(fd_, out + n_read, n_bytes - n_read, static_cast<off_t>(offset + n_read));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) break;
        n_read += static_cast<size_t>(n);
    }
    return n_read;
}

void MappedFile::release(const uint8_t* data, size_t n_bytes) const {
    if (!is_open() || data < data_ || data + n_bytes > data_ + n_bytes_) return;
    const uintptr_t page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
    const uintptr_t begin = (reinterpret_cast<uintptr_t>(data) + page - 1) / page * page;
    const uintptr_t end = reinterpret_cast<uintptr_t>(data + n_bytes) / page * page;
    if (begin < end) ::madvise(reinterpret_cast<void*>(begin), end - begin, MADV_DONTNEED);
}

std::string MappedFile::change() const {
    struct stat info{};
    if (!is_open() || ::fstat(fd_, &info) != 0) return {};
    if (static_cast<size_t>(info.st_size) != n_bytes_) {
        return "it had " + std::to_string(n_bytes_) + " bytes and has " +
               std::to_string(info.st_size);
    }
    return modified_ns(info) == modified_ns_ ? "" : "it was written to";
}

MappedFile::~MappedFile() {
    if (data_ != nullptr) ::munmap(const_cast<uint8_t*>(data_), n_bytes_);
    close();
}

#endif

}  // namespace crispvl

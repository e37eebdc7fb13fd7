#include "quantize/output_file.h"

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "base/error.h"

namespace crispvl {
namespace {

std::FILE* create(const std::filesystem::path& path) {
#ifdef _WIN32
    return _wfopen(path.c_str(), L"wb");
#else
    return std::fopen(path.c_str(), "wb");
#endif
}

[[noreturn]] void fail() {
    throw Error(ErrorKind::argument, std::string("[output] expected room for the file; found '") +
                                         std::strerror(errno) +
                                         "'; free space or choose another folder");
}

}  // namespace

OutputFile::OutputFile(const std::string& path) : file_(create(std::filesystem::u8path(path))) {
    if (file_ != nullptr) return;
    throw Error(ErrorKind::not_found,
                std::string("[output] expected a folder to write in; found '") +
                    std::strerror(errno) + "'; choose another folder");
}

OutputFile::~OutputFile() {
    if (file_ != nullptr) std::fclose(file_);
}

void OutputFile::write(const void* data, size_t n_bytes) {
    if (std::fwrite(data, 1, n_bytes, file_) != n_bytes) fail();
    n_written_ += n_bytes;
}

void OutputFile::pad(size_t alignment) {
    static const char kZeros[64] = {};
    while (n_written_ % alignment != 0) {
        const size_t missing = alignment - static_cast<size_t>(n_written_ % alignment);
        write(kZeros, missing < sizeof kZeros ? missing : sizeof kZeros);
    }
}

void OutputFile::close() {
    std::FILE* file = file_;
    file_ = nullptr;
    if (std::fclose(file) != 0) fail();
}

}  // namespace crispvl

#include "image/png_chunks.h"

#include <array>

namespace crispvl {
namespace {

// PNG 1.2, annex D: the CRC of ISO 3309, by the lower four bits.
constexpr std::array<uint32_t, 16> kRemainders = {
    0x00000000, 0x1DB71064, 0x3B6E20C8, 0x26D930AC, 0x76DC4190, 0x6B6B51F4, 0x4DB26158, 0x5005713C,
    0xEDB88320, 0xF00F9344, 0xD6D6A3E8, 0xCB61B38C, 0x9B64C2B0, 0x86D3D2D4, 0xA00AE278, 0xBDBDF21C};

uint32_t checksum(std::string_view bytes) {
    uint32_t rest = 0xFFFFFFFF;
    for (const char byte : bytes) {
        rest ^= static_cast<unsigned char>(byte);
        rest = rest >> 4 ^ kRemainders[rest & 15];
        rest = rest >> 4 ^ kRemainders[rest & 15];
    }
    return ~rest;
}

struct Chunk {
    std::string_view kind, data, checked;  // the last: kind and data
    uint32_t checksum;
    size_t end;
};

// Length, kind, data, checksum.
std::optional<Chunk> chunk_at(const Bytes& file, size_t at) {
    const size_t n = file.integer(at, 4);
    if (!file.has(at, 12) || !file.has(at + 8, n)) return std::nullopt;
    return Chunk{file.view.substr(at + 4, 4), file.view.substr(at + 8, n),
                 file.view.substr(at + 4, n + 4), file.integer(at + 8 + n, 4), at + 12 + n};
}

constexpr size_t kFirst = 8;  // behind the file's mark

}  // namespace

std::string_view png_chunk(const Bytes& file, std::string_view kind) {
    for (auto chunk = chunk_at(file, kFirst); chunk; chunk = chunk_at(file, chunk->end)) {
        if (chunk->kind == kind) return chunk->data;
    }
    return {};
}

bool png_is_damaged(const Bytes& file) {
    for (auto chunk = chunk_at(file, kFirst); chunk; chunk = chunk_at(file, chunk->end)) {
        const bool is_needed = (chunk->kind[0] & 0x20) == 0 || chunk->kind == "tRNS";
        if (is_needed && checksum(chunk->checked) != chunk->checksum) return true;
        if (chunk->kind == "IEND") break;
    }
    return false;
}

}  // namespace crispvl

#include "image/png_chunks.h"

namespace crispvl {

std::string_view png_chunk(const Bytes& file, std::string_view kind) {
    for (size_t at = 8; file.has(at, 12);) {  // length, kind, data, checksum
        const size_t n = file.integer(at, 4);
        if (!file.has(at + 8, n)) break;
        if (file.view.substr(at + 4, 4) == kind) return file.view.substr(at + 8, n);
        at += 12 + n;
    }
    return {};
}

}  // namespace crispvl

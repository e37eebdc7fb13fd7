// A file's bytes with bounds: reads outside them give nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace crispvl {

struct Bytes {
    std::string_view view;
    bool little_endian = false;

    bool begins(std::string_view magic) const { return view.substr(0, magic.size()) == magic; }
    bool has(size_t at, size_t n) const { return at <= view.size() && n <= view.size() - at; }
    uint32_t integer(size_t at, size_t n) const {
        uint32_t value = 0;
        if (!has(at, n)) return 0;
        for (size_t i = 0; i < n; ++i) {
            const size_t from = little_endian ? at + n - 1 - i : at + i;
            value = (value << 8) | static_cast<unsigned char>(view[from]);
        }
        return value;
    }
};

inline Bytes bytes_of(const uint8_t* data, size_t n_bytes, bool little_endian = false) {
    return {{reinterpret_cast<const char*>(data), n_bytes}, little_endian};
}

}  // namespace crispvl

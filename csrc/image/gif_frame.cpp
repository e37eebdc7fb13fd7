#include "image/gif_frame.h"

#include <algorithm>

namespace crispvl {
namespace {

constexpr uint32_t kExtension = 0x21, kImage = 0x2C, kGraphicControl = 0xF9;

// Bytes of the colour table that `flags` announce.
size_t table_bytes(uint32_t flags) {
    return (flags & 0x80) == 0 ? 0 : size_t{6} << (flags & 7);
}

// Behind a chain of blocks, each with its length before it, that an empty one ends.
std::optional<size_t> behind_blocks(const Bytes& file, size_t at) {
    while (file.has(at, 1)) {
        const size_t n = file.integer(at, 1);
        at += 1 + n;
        if (n == 0) return at;
    }
    return std::nullopt;
}

}  // namespace

std::optional<GifFrame> first_gif_frame(const uint8_t* data, size_t n_bytes) {
    const Bytes file = bytes_of(data, n_bytes, /*little_endian=*/true);
    size_t at = 13, table = at;  // after the screen's description
    at += table_bytes(file.integer(10, 1));
    bool is_transparent = false;
    while (file.integer(at, 1) == kExtension) {
        if (file.integer(at + 1, 1) == kGraphicControl) {
            is_transparent = (file.integer(at + 3, 1) & 1) != 0;
        }
        const std::optional<size_t> next = behind_blocks(file, at + 2);
        if (!next) return std::nullopt;
        at = *next;
    }
    if (file.integer(at, 1) != kImage) return std::nullopt;
    const uint32_t flags = file.integer(at + 9, 1);
    GifFrame frame{file.integer(at + 1, 2),
                   file.integer(at + 3, 2),
                   file.integer(at + 5, 2),
                   file.integer(at + 7, 2),
                   {255, 255, 255}};
    at += 10;
    if (table_bytes(flags) != 0) table = at;
    for (size_t i = 0; i < 3 && !is_transparent; ++i) {
        frame.beside[i] = static_cast<uint8_t>(file.integer(table + i, 1));
    }
    // The width of the first codes is a byte before the data.
    if (!behind_blocks(file, at + table_bytes(flags) + 1)) return std::nullopt;
    return frame;
}

void fill_beside(const GifFrame& frame, RgbImage& screen) {
    uint8_t* to = screen.pixels.data();
    for (int64_t y = 0; y < screen.height; ++y) {
        const bool is_row = y >= frame.top && y < frame.top + frame.height;
        for (int64_t x = 0; x < screen.width; ++x, to += 3) {
            if (is_row && x >= frame.left && x < frame.left + frame.width) continue;
            std::copy(frame.beside.begin(), frame.beside.end(), to);
        }
    }
}

}  // namespace crispvl

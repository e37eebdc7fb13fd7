#include "image/gif_frame.h"

#include <algorithm>
#include <string>

#include "image/lzw_damage.h"

namespace crispvl {
namespace {

constexpr uint32_t kExtension = 0x21, kImage = 0x2C, kGraphicControl = 0xF9, kTrailer = 0x3B;
constexpr size_t kFirst = 13;  // behind the screen's description

// Bytes of the colour table that `flags` announce.
size_t table_bytes(uint32_t flags) {
    return (flags & 0x80) == 0 ? 0 : size_t{6} << (flags & 7);
}

// Behind a chain of blocks, each with its length before it, that an empty one ends. `joined` gets
// what is in them.
std::optional<size_t> behind_blocks(const Bytes& file, size_t at, std::string* joined = nullptr) {
    while (file.has(at, 1)) {
        const size_t n = file.integer(at, 1);
        if (n == 0) return at + 1;
        if (joined != nullptr && file.has(at + 1, n)) joined->append(file.view.substr(at + 1, n));
        at += 1 + n;
    }
    return std::nullopt;
}

// Behind an image, whose mark is at `at`; nothing where it breaks off or has too few or too many
// pixels.
std::optional<size_t> behind_whole_image(const Bytes& file, size_t at) {
    const int64_t n_px = int64_t{file.integer(at + 5, 2)} * file.integer(at + 7, 2);
    at += 10 + table_bytes(file.integer(at + 9, 1));
    const int n_bits = static_cast<int>(file.integer(at, 1));
    std::string codes;
    const std::optional<size_t> end = behind_blocks(file, at + 1, &codes);
    if (n_bits < 1 || n_bits > 8) return std::nullopt;
    const std::optional<int64_t> n =
        count_lzw_values(reinterpret_cast<const uint8_t*>(codes.data()), codes.size(),
                         LzwForm{n_bits, false, false}, n_px);
    return n == n_px ? end : std::nullopt;
}

}  // namespace

std::optional<GifFrame> first_gif_frame(const uint8_t* data, size_t n_bytes) {
    const Bytes file = bytes_of(data, n_bytes, /*little_endian=*/true);
    size_t at = kFirst, table = at;
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

std::optional<size_t> damaged_gif_frame(const uint8_t* data, size_t n_bytes, size_t n_frames) {
    const Bytes file = bytes_of(data, n_bytes, /*little_endian=*/true);
    std::optional<size_t> at = kFirst + table_bytes(file.integer(10, 1));
    for (size_t i_frame = 0; i_frame < n_frames && file.has(*at, 1);) {
        const uint32_t kind = file.integer(*at, 1);
        if (kind == kTrailer) break;
        if (kind == kImage) {
            at = behind_whole_image(file, *at);
            if (!at) return i_frame;
            ++i_frame;
        } else if (kind == kExtension) {
            at = behind_blocks(file, *at + 2);
            if (!at) return i_frame;
        } else {
            ++*at;  // nothing to decoders
        }
    }
    return std::nullopt;
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

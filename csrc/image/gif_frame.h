// Where the first frame of a GIF file (GIF89a) is, what is beside it, and which frames are damaged.
#pragma once

#include <array>
#include <optional>

#include "image/bytes.h"
#include "image/pixels.h"

namespace crispvl {

struct GifFrame {
    int64_t left, top, width, height;  // px, within the screen
    std::array<uint8_t, 3> beside;     // RGB of the rest of the screen, as Pillow fills it
};

// Nothing where the file breaks off before the frame's last block of data.
std::optional<GifFrame> first_gif_frame(const uint8_t* data, size_t n_bytes);

// The first of the first `n_frames` frames whose data is damaged, counted from 0; of a file that
// breaks off, the one behind those that are whole. Nothing where there is none.
std::optional<size_t> damaged_gif_frame(const uint8_t* data, size_t n_bytes, size_t n_frames);

// Colours what the frame leaves free of its screen.
void fill_beside(const GifFrame& frame, RgbImage& screen);

}  // namespace crispvl

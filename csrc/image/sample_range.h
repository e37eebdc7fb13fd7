#pragma once

#include <cstddef>
#include <cstdint>

namespace crispvl {

// Returns white of RGBA samples: the least depth of masks, scanners and cameras that holds all
// colours but those of a few hot pixels. As in crispvl.inputs.sample_range, which says why.
uint32_t white_of(const uint16_t* samples, size_t width, size_t height);

}  // namespace crispvl

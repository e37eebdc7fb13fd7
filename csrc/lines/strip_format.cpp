#include "lines/strip_format.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "base/error.h"

namespace crispvl::lines {
namespace {

constexpr int64_t kLeastWidthPx = 16;  // of a strip, which has 3 px of white beside its ink

bool fits(const StripFormat& form) {
    return form.height_px >= 4 && form.height_px <= form.pitch_px && form.n_rows >= 1 &&
           form.pitch_px <= form.tile_px && form.n_rows <= form.tile_px / form.pitch_px &&
           form.left_px >= 0 && form.gap_px >= 0 && form.left_px < form.tile_px / 4 &&
           form.width_px() >= kLeastWidthPx;
}

}  // namespace

StripFormat strip_format(int64_t tile_px, int64_t tokens_per_tile, const StripHints& hints) {
    const auto n_token_rows =
        static_cast<int64_t>(std::sqrt(static_cast<double>(std::max<int64_t>(1, tokens_per_tile))));
    const int64_t pitch_px = hints.pitch_px.value_or(tile_px / n_token_rows);
    const StripFormat form{
        tile_px,
        hints.n_rows.value_or(tile_px / std::max<int64_t>(1, pitch_px)),
        pitch_px,
        hints.height_px.value_or(pitch_px - 2),
        hints.left_px.value_or(pitch_px / 4 - 1),
        hints.gap_px.value_or(0),
    };
    if (fits(form)) return form;
    throw Error(ErrorKind::model_file,
                "[crispvl.strips] expected strips that fit a tile of " + std::to_string(tile_px) +
                    " px; found " + std::to_string(form.n_rows) + " of " +
                    std::to_string(form.height_px) + " px, " + std::to_string(form.pitch_px) +
                    " px apart and " + std::to_string(form.left_px) +
                    " px from the left; convert the model again");
}

}  // namespace crispvl::lines

// The C skin: pages read block by block, where their print is too small to be read as it is.
#include "capi/guard.h"
#include "capi/handles.h"
#include "capi/image.h"
#include "capi/params.h"
#include "engine/block_reader.h"
#include "engine/clock.h"
#include "layout/regions.h"

namespace crispvl::capi {
namespace {

PixelView view_of(const RgbImage& page) {
    return {page.pixels.data(), page.width, page.height, PixelFormat::rgb,
            static_cast<size_t>(page.width) * 3};
}

void keep(BlockReading& reading, crispvl_result& result) {
    result.generation = std::move(reading.generation);
    result.info.n_tiles = static_cast<int32_t>(reading.n_tiles);
    result.info.n_prompt_tokens = static_cast<int32_t>(reading.n_prompt_tokens);
    result.info.image_ms += reading.image_ms;
}

}  // namespace

bool read_blocks(const crispvl_model& model, const crispvl_image* image, const std::string& prompt,
                 const crispvl_recognize_params& params, crispvl_result& result) {
    Clock clock;
    const RgbImage page = open_image(image);
    check_readable(page.width, page.height);
    const TilingConfig tiling =
        tiling_config(model.core->config(), params.min_tiles, params.max_tiles, /*alone=*/true);
    CancelInterrupt interrupt(params.cancel);
    const BlockRequest request{
        find_layout(view_of(page), &interrupt),
        prompt,
        {sampling_options(params), token_limit(params), params.ignore_stop_tokens == 0},
        tiling};
    const bool is_ours = number_of(params.layout) == CRISPVL_LAYOUT_AUTO;
    if (is_ours && is_legible(request.layout, tiling)) return false;
    result.info.damaged = static_cast<int32_t>(page.is_damaged);
    result.info.width_px = static_cast<int32_t>(page.width);
    result.info.height_px = static_cast<int32_t>(page.height);
    result.info.layout = CRISPVL_LAYOUT_BLOCKS;
    clock.lap(result.info.image_ms);
    BlockReading reading;
    try {
        read_by_blocks(model.core, *model.prompts, page, request, reading_callbacks(params),
                       &interrupt, reading);
    } catch (const Error&) {
        keep(reading, result);
        throw;
    }
    keep(reading, result);
    return true;
}

}  // namespace crispvl::capi

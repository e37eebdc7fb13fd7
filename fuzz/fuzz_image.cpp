// Any bytes as an encoded image, decoded, turned upright and tiled.
#include "base/error.h"
#include "image/decode.h"
#include "image/tiling.h"

using namespace crispvl;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t n_bytes) {
    try {
        const RgbImage image = decode_image(data, n_bytes);
        if (image.width * image.height > 1 << 18) return 0;  // slow, and no other code
        tile_image(image, {/*tile_px=*/16, /*min_tiles=*/1, /*max_tiles=*/6, /*thumbnail=*/true});
    } catch (const Error&) {
    }
    return 0;
}

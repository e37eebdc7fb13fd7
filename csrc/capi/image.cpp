#include "capi/image.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <vector>

#include "capi/guard.h"
#include "image/decode.h"

namespace crispvl::capi {
namespace {

// `format` is a crispvl_image_format, if it is one.
PixelFormat pixel_format(int64_t format) {
    switch (format) {
        case CRISPVL_IMAGE_GREY8:
            return PixelFormat::grey;
        case CRISPVL_IMAGE_RGB8:
            return PixelFormat::rgb;
        case CRISPVL_IMAGE_RGBA8:
            return PixelFormat::rgba;
        case CRISPVL_IMAGE_BGR8:
            return PixelFormat::bgr;
        case CRISPVL_IMAGE_BGRA8:
            return PixelFormat::bgra;
        default:
            break;
    }
    throw Error(ErrorKind::argument, "[image] expected a crispvl_image_format; found " +
                                         std::to_string(format) +
                                         "; set the format to one of its values");
}

PixelView checked_view(const crispvl_image& image) {
    const PixelFormat format = pixel_format(number_of(image.format));
    const int64_t width = image.width_px, height = image.height_px;
    if (width < 1 || height < 1 || width * height > kMaxPixels) {
        throw Error(ErrorKind::image, "[image] expected 1 to " + std::to_string(kMaxPixels) +
                                          " pixels; found " + std::to_string(width) + "x" +
                                          std::to_string(height) + "; set width_px and height_px");
    }
    const size_t row_bytes = static_cast<size_t>(width) * bytes_per_pixel(format);
    const size_t stride = image.stride_bytes == 0 ? row_bytes : image.stride_bytes;
    const size_t n_gaps = static_cast<size_t>(height) - 1;
    const bool fits = stride >= row_bytes && image.n_bytes >= row_bytes &&
                      (n_gaps == 0 || stride <= (image.n_bytes - row_bytes) / n_gaps);
    if (!fits) {
        throw Error(ErrorKind::argument, "[image] expected " + std::to_string(height) +
                                             " rows of at least " + std::to_string(row_bytes) +
                                             " bytes; found n_bytes " +
                                             std::to_string(image.n_bytes) + " and stride_bytes " +
                                             std::to_string(stride) + "; correct the sizes");
    }
    return {static_cast<const uint8_t*>(image.data), width, height, format, stride};
}

std::string read_file(const char* path) {
    const std::filesystem::path file = std::filesystem::u8path(path);
    std::error_code error;
    if (!std::filesystem::exists(file, error)) {
        throw Error(ErrorKind::not_found, "[image] expected an image file; found that '" +
                                              std::string(path) +
                                              "' does not exist; check the path");
    }
    std::ifstream stream(file, std::ios::binary);
    if (!std::filesystem::is_regular_file(file, error) || !stream) {
        throw Error(ErrorKind::image, "[image] expected a readable image file; found that '" +
                                          std::string(path) + "' is not; check the path");
    }
    std::string bytes;
    std::vector<char> buffer(size_t{1} << 16);
    while (stream.read(buffer.data(), static_cast<std::streamsize>(buffer.size())) ||
           stream.gcount() > 0) {
        bytes.append(buffer.data(), static_cast<size_t>(stream.gcount()));
    }
    if (stream.bad()) {
        throw Error(ErrorKind::image,
                    "[image] expected a file that can be read to its end; found that '" +
                        std::string(path) + "' could not after " + std::to_string(bytes.size()) +
                        " bytes; check the disk it is on");
    }
    return bytes;
}

}  // namespace

RgbImage open_image(const crispvl_image* image) {
    const crispvl_image& checked = deref(image, "an image");
    require((checked.path != nullptr) != (checked.data != nullptr),
            "[image] expected either a path or data; found both or neither; set one of them");
    if (number_of(checked.format) != CRISPVL_IMAGE_ENCODED) {
        require(checked.data != nullptr,
                "[image] expected pixels in data; found a path; leave the format 0 for a file");
        return to_rgb(checked_view(checked));
    }
    if (checked.path == nullptr) {
        return decode_image(static_cast<const uint8_t*>(checked.data), checked.n_bytes);
    }
    const std::string bytes = read_file(checked.path);
    return decode_image(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
}

TilingConfig tiling_config(const ModelConfig& config, int32_t min_tiles, int32_t max_tiles,
                           bool alone) {
    require(
        min_tiles >= 0 && max_tiles >= 0,
        "[tiling] expected min_tiles and max_tiles of at least 0; found less; 0 is the model's");
    TilingConfig tiling{config.vision.tile_px, config.image.min_tiles, config.image.max_tiles,
                        config.image.thumbnail, alone && config.image.multi_scale};
    if (max_tiles > 0) tiling.max_tiles = max_tiles;
    tiling.min_tiles = min_tiles > 0 ? min_tiles : std::min(tiling.min_tiles, tiling.max_tiles);
    return tiling;
}

}  // namespace crispvl::capi

#include "image.h"

#include <pybind11/stl.h>

#include "gil.h"
#include "image/fax_damage.h"
#include "image/gif_frame.h"
#include "image/ground.h"
#include "image/jpeg_damage.h"
#include "image/lzw_damage.h"
#include "image/tiling.h"
#include "image/vp8_damage.h"

namespace crispvl::binding {

namespace py = pybind11;
using namespace py::literals;

PixelView view_of(const py::array_t<uint8_t, py::array::c_style>& pixels) {
    const py::ssize_t n_channels = pixels.ndim() == 3 ? pixels.shape(2) : 1;
    const bool fits = (pixels.ndim() == 2 || pixels.ndim() == 3) && pixels.size() > 0 &&
                      (n_channels == 1 || n_channels == 3 || n_channels == 4);
    if (!fits) {
        throw py::value_error(
            "[image] expected [height, width] or [height, width, 1, 3 or 4]; found " +
            std::string(py::str(pixels.attr("shape"))) + "; reorder its axes");
    }
    const PixelFormat format = n_channels == 1   ? PixelFormat::grey
                               : n_channels == 3 ? PixelFormat::rgb
                                                 : PixelFormat::rgba;
    return {pixels.data(), pixels.shape(1), pixels.shape(0), format,
            static_cast<size_t>(pixels.shape(1) * n_channels)};
}

namespace {

py::array_t<uint8_t> tile(const py::array_t<uint8_t, py::array::c_style>& pixels, int64_t tile_px,
                          int64_t max_tiles, int64_t min_tiles, bool thumbnail, bool multi_scale) {
    const PixelView view = view_of(pixels);
    Tiles tiles;
    {
        const WithoutGil without;
        tiles = tile_image(to_rgb(view), {tile_px, min_tiles, max_tiles, thumbnail, multi_scale});
    }
    py::array_t<uint8_t> out({tiles.n_tiles, tile_px, tile_px, int64_t{3}});
    std::copy(tiles.pixels.begin(), tiles.pixels.end(), out.mutable_data());
    return out;
}

// A check of a file's bytes, made without the GIL.
template <bool (*is_damaged)(const uint8_t*, size_t)>
void bind_check(py::module_& m, const char* name) {
    m.def(
        name,
        [](const py::bytes& data) {
            const std::string_view view = data;
            const WithoutGil without;
            return is_damaged(reinterpret_cast<const uint8_t*>(view.data()), view.size());
        },
        "data"_a);
}

}  // namespace

void bind_image(py::module_& m) {
    m.def("tile_image", &tile, "pixels"_a, "tile_px"_a = 448, "max_tiles"_a = 12, "min_tiles"_a = 1,
          "thumbnail"_a = true, "multi_scale"_a = false);
    bind_check<jpeg_is_damaged>(m, "jpeg_is_damaged");
    bind_check<vp8_is_damaged>(m, "vp8_is_damaged");
    m.def(
        "damaged_gif_frame",
        [](const py::bytes& data) {
            const std::string_view view = data;
            const WithoutGil without;
            return damaged_gif_frame(reinterpret_cast<const uint8_t*>(view.data()), view.size(),
                                     view.size());
        },
        "data"_a);
    m.def(
        "count_lzw_values",
        [](const py::bytes& data, bool is_widened_early, int64_t most) {
            const std::string_view view = data;
            const WithoutGil without;
            return count_lzw_values(reinterpret_cast<const uint8_t*>(view.data()), view.size(),
                                    {8, /*high_bits_first=*/true, is_widened_early}, most);
        },
        "data"_a, "is_widened_early"_a, "most"_a);
    py::enum_<FaxGroup>(m, "FaxGroup")
        .value("ROWS", FaxGroup::rows)
        .value("GROUP_3", FaxGroup::group3)
        .value("GROUP_4", FaxGroup::group4);
    m.def(
        "fax_agrees",
        [](const py::bytes& data, const py::array_t<bool, py::array::c_style>& is_black,
           FaxGroup group, bool has_two_dimensions, bool is_aligned) {
            if (is_black.ndim() != 2)
                throw py::value_error(
                    "[fax] expected [height, width]; found another shape; reorder the axes");
            const std::string_view view = data;
            const auto* pixels = reinterpret_cast<const uint8_t*>(is_black.data());
            const FaxForm form{group, has_two_dimensions, is_aligned};
            const WithoutGil without;
            return fax_agrees(reinterpret_cast<const uint8_t*>(view.data()), view.size(), pixels,
                              is_black.shape(1), is_black.shape(0), form);
        },
        "data"_a, "is_black"_a, "group"_a, "has_two_dimensions"_a, "is_aligned"_a);
    m.def(
        "ground_of",
        [](const py::array_t<uint8_t, py::array::c_style>& pixels) {
            const PixelView view = view_of(pixels);
            if (view.format != PixelFormat::rgba)
                throw py::value_error("[image] expected RGBA; found another shape; convert it");
            const WithoutGil without;
            return ground_of(view);
        },
        "pixels"_a);
    m.def(
        "choose_grid",
        [](int64_t width, int64_t height, int64_t max_tiles, int64_t tile_px, int64_t min_tiles) {
            const Grid grid = choose_grid(width, height, {tile_px, min_tiles, max_tiles, true});
            return py::make_tuple(grid.columns, grid.rows);
        },
        "width"_a, "height"_a, "max_tiles"_a = 12, "tile_px"_a = 448, "min_tiles"_a = 1);
}

}  // namespace crispvl::binding

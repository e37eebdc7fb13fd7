// Arrays and GGUF values across the language border.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "model/model.h"

namespace crispvl::binding {

namespace py = pybind11;

// File strings may hold any bytes; invalid UTF-8 becomes U+FFFD.
inline py::str text(const std::string& bytes) {
    PyObject* decoded =
        PyUnicode_DecodeUTF8(bytes.data(), static_cast<Py_ssize_t>(bytes.size()), "replace");
    if (decoded == nullptr) throw py::error_already_set();
    return py::reinterpret_steal<py::str>(decoded);
}

// Any path of the system's, also one that is no UTF-8.
using Path = std::filesystem::path;

// Devices with their decoder layers, as Python gives them.
using LayerShares = std::vector<std::pair<std::string, int64_t>>;

inline std::vector<LayerShare> to_layer_shares(const LayerShares& pairs) {
    std::vector<LayerShare> shares;
    for (const auto& [device, n_layers] : pairs) shares.push_back({device, n_layers});
    return shares;
}

inline py::object to_python(const GgufValue& value) {
    return std::visit(
        [](const auto& v) -> py::object {
            using T = std::decay_t<decltype(v)>;
            if constexpr (std::is_same_v<T, std::string>) {
                return text(v);
            } else if constexpr (std::is_arithmetic_v<T>) {
                return py::cast(v);
            } else {
                py::list items(v.size());
                for (size_t i = 0; i < v.size(); ++i) {
                    if constexpr (std::is_same_v<T, std::vector<std::string>>) {
                        items[i] = text(v[i]);
                    } else {
                        items[i] = py::cast(static_cast<typename T::value_type>(v[i]));
                    }
                }
                return items;
            }
        },
        value);
}

// Hands the values over to numpy without a copy.
inline py::array_t<float> to_numpy(std::vector<float> values, std::vector<py::ssize_t> shape) {
    auto* owned = new std::vector<float>(std::move(values));
    py::capsule owner(owned, [](void* p) { delete static_cast<std::vector<float>*>(p); });
    return py::array_t<float>(std::move(shape), owned->data(), owner);
}

// uint8 [n, px, px, 3] in C order. Throws TypeError, ValueError.
inline py::array_t<uint8_t> checked_tiles(const py::array& tiles, int64_t tile_px) {
    if (!tiles.dtype().equal(py::dtype::of<uint8_t>())) {
        throw py::type_error("[tiles] expected dtype uint8; found " +
                             std::string(py::str(tiles.dtype())) +
                             "; give pixels as crispvl.tiling.tile_image returns them");
    }
    const bool fits = tiles.ndim() == 4 && tiles.shape(0) > 0 && tiles.shape(1) == tile_px &&
                      tiles.shape(2) == tile_px && tiles.shape(3) == 3;
    if (!fits) {
        const std::string px = std::to_string(tile_px);
        throw py::value_error("[tiles] expected shape [n, " + px + ", " + px + ", 3]; found " +
                              std::string(py::str(tiles.attr("shape"))) +
                              "; cut tiles with the model's tile_px");
    }
    return py::array_t<uint8_t, py::array::c_style | py::array::forcecast>(tiles);
}

}  // namespace crispvl::binding

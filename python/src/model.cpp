#include "model.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include "describe.h"
#include "engine/prefill.h"
#include "interrupt.h"
#include "model/model.h"
#include "numpy_convert.h"

namespace crispvl::binding {
namespace {

using namespace py::literals;

std::shared_ptr<Model> load(const Path& path, const std::optional<Path>& mmproj,
                            const std::string& device, int threads, bool vocab_only, bool exact,
                            const std::optional<Path>& tokenizer, double image_position_step,
                            const LayerShares& layers, const std::string& kv_cache, bool mmap) {
    LoadOptions options;
    options.path = path.u8string();
    options.mmproj = mmproj.value_or("").u8string();
    options.tokenizer = tokenizer.value_or("").u8string();
    options.device = device;
    options.n_threads = threads;
    options.vocab_only = vocab_only;
    options.exact = exact;
    options.image_position_step = image_position_step;
    options.layers = to_layer_shares(layers);
    options.kv_cache = kv_cache;
    return run_interruptible(nullptr, [&](Interrupt* interrupt) {
        options.access = {mmap, interrupt};
        return std::make_shared<Model>(options);
    });
}

py::dict metadata(const Model& model) {
    py::dict all;
    for (const auto& [key, value] : model.source().keys()) all[text(key)] = to_python(value);
    return all;
}

using ProgressCallback = std::optional<py::function>;  // (tiles done, tiles in all)

py::array_t<float> encode(const Model& model, const py::array& tiles, const CancelToken* cancel,
                          const ProgressCallback& progress) {
    const auto pixels = checked_tiles(tiles, model.config().vision.tile_px);
    const TileProgress report = [&](int64_t n_done, int64_t n_total) {
        call_python(*progress, n_done, n_total);
    };
    std::vector<float> values = run_interruptible(cancel, [&](Interrupt* interrupt) {
        return model.encode(pixels.data(), pixels.shape(0), interrupt,
                            progress ? report : TileProgress());
    });
    return to_numpy(std::move(values), {pixels.shape(0), model.config().image.tokens_per_tile,
                                        model.config().projector.d_out});
}

// -> large [n_tiles, tokens_per_tile, width], small [n_tiles, tokens_per_small_tile, width], scores
py::tuple encode_variants(const Model& model, const py::array& tiles, const CancelToken* cancel) {
    const auto pixels = checked_tiles(tiles, model.config().vision.tile_px);
    TileVariants found = run_interruptible(cancel, [&](Interrupt* interrupt) {
        return model.encode_variants(pixels.data(), pixels.shape(0), interrupt, TileProgress());
    });
    const ImageConfig& image = model.config().image;
    const py::ssize_t n = pixels.shape(0), width = model.config().projector.d_out;
    return py::make_tuple(to_numpy(std::move(found.large), {n, image.tokens_per_tile, width}),
                          to_numpy(std::move(found.small), {n, image.tokens_per_small_tile, width}),
                          to_numpy(std::move(found.scores), {n}));
}

using Rows = py::array_t<float, py::array::c_style | py::array::forcecast>;

// -> the prompt's ids that are left, and their image tokens' rows [n, width]
py::tuple route_prompt(const Model& model, const std::vector<int32_t>& ids, const Rows& large,
                       const Rows& small, const Rows& scores) {
    const auto values = [](const Rows& array) {
        return std::vector<float>(array.data(), array.data() + array.size());
    };
    RoutedPrompt routed =
        route(model.config(), ids, {values(large), values(small), values(scores)});
    const py::ssize_t width = model.config().projector.d_out;
    const py::ssize_t n_rows = static_cast<py::ssize_t>(routed.rows.size()) / width;
    return py::make_tuple(routed.ids, to_numpy(std::move(routed.rows), {n_rows, width}));
}

py::dict trace(const std::shared_ptr<Model>& model, const std::optional<py::array>& tiles,
               const std::vector<int32_t>& prompt_ids) {
    py::array_t<uint8_t> pixels;
    if (tiles) pixels = checked_tiles(*tiles, model->config().vision.tile_px);
    Trace stages;
    run_interruptible(nullptr, [&](Interrupt* interrupt) {
        RoutedPrompt prompt{prompt_ids, {}};
        const int64_t n_tiles = pixels.ndim() == 4 ? pixels.shape(0) : 0;
        if (n_tiles > 0 && model->config().router) {
            prompt = route(
                model->config(), prompt_ids,
                model->encode_variants(pixels.data(), n_tiles, interrupt, TileProgress(), &stages));
        } else if (n_tiles > 0) {
            prompt.rows = model->encode(pixels.data(), n_tiles, interrupt, TileProgress(), &stages);
        }
        const int64_t width = model->config().decoder.width;
        Session session(model, static_cast<int64_t>(prompt.ids.size()));
        crispvl::prefill(session, prompt.ids, n_tiles > 0 ? prompt.rows.data() : nullptr,
                         static_cast<int64_t>(prompt.rows.size()) / width, interrupt, &stages);
    });
    py::dict all;
    for (auto& [name, array] : stages) {
        all[text(name)] =
            to_numpy(std::move(array.values), {array.shape.begin(), array.shape.end()});
    }
    return all;
}

}  // namespace

void bind_model(py::module_& m) {
    py::class_<Model, std::shared_ptr<Model>>(m, "Model")
        .def_static("load", &load, "path"_a, "mmproj"_a, "device"_a, "threads"_a, "vocab_only"_a,
                    "exact"_a = false, "tokenizer"_a = std::nullopt, "image_position_step"_a = 0.0,
                    "layers"_a = LayerShares(), "kv_cache"_a = "auto", "mmap"_a = true)
        .def_property_readonly("metadata", &metadata)
        .def_property_readonly("config", &describe_config)
        .def_property_readonly("tensors", &describe_tensors)
        .def_property_readonly("device", [](const Model& self) { return self.backends().name(); })
        .def_property_readonly("layer_devices",
                               [](const Model& self) {
                                   std::vector<std::string> names;
                                   for (ggml_backend_t backend : self.layer_backends()) {
                                       names.emplace_back(ggml_backend_name(backend));
                                   }
                                   return names;
                               })
        .def_property_readonly("kernels", &Model::kernels)
        .def_property_readonly("tiles_per_graph", &Model::tiles_per_graph)
        .def_property_readonly("n_lanes", &Model::n_lanes)
        .def_property_readonly("kv_bytes", &Model::kv_bytes_per_token)
        .def_property_readonly("threads",
                               [](const Model& self) { return self.backends().n_threads; })
        .def(
            "tokenize",
            [](const Model& self, const std::string& utf8, bool special, int32_t previous) {
                const WithoutGil without;
                return self.tokenizer().encode(utf8, special, previous);
            },
            "text"_a, "special"_a, "previous"_a = -1)
        .def(
            "detokenize",
            [](const Model& self, const std::vector<int32_t>& ids, bool skip_special) {
                return py::bytes(self.tokenizer().decode(ids.data(), ids.size(), skip_special));
            },
            "ids"_a, "skip_special"_a = false)
        .def(
            "find_token",
            [](const Model& self, const std::string& piece) {
                return self.tokenizer().find(piece);
            },
            "piece"_a)
        .def("encode", &encode, "tiles"_a, "cancel"_a = nullptr, "progress"_a = nullptr)
        .def("encode_variants", &encode_variants, "tiles"_a, "cancel"_a = nullptr)
        .def("route", &route_prompt, "prompt_ids"_a, "large"_a, "small"_a, "scores"_a)
        .def("trace", &trace, "tiles"_a, "prompt_ids"_a)
        .def(
            "prompt_span",
            [](const Model& self, const std::vector<int32_t>& ids) {
                return prompt_span(self.config(), ids);
            },
            "ids"_a)
        .def(
            "new_session",
            [](const std::shared_ptr<Model>& self, int64_t n_ctx) {
                return std::make_unique<Session>(self, n_ctx);
            },
            "n_ctx"_a);
}

}  // namespace crispvl::binding

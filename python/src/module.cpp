// crispvl._core: types in, exceptions out, GIL released. What the arguments mean is in
// python/crispvl/_core.pyi and the core's headers.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include "base/stack_room.h"
#include "describe.h"
#include "engine/decode.h"
#include "engine/prefill.h"
#include "ggml.h"
#include "gil.h"
#include "image.h"
#include "interrupt.h"
#include "kernels/cpu.h"
#include "kernels/names.h"
#include "layout.h"
#include "lines.h"
#include "numpy_convert.h"
#include "quantize.h"
#include "runtime/cores.h"
#include "tiff_messages.h"

namespace crispvl::binding {
namespace {

using namespace py::literals;

const char* exception_name(ErrorKind kind) {
    switch (kind) {
        case ErrorKind::model_file:
            return "ModelFileError";
        case ErrorKind::image:
            return "ImageError";
        case ErrorKind::context_overflow:
            return "ContextOverflowError";
        case ErrorKind::device:
            return "DeviceError";
        case ErrorKind::memory:
            return "OutOfMemoryError";
        case ErrorKind::cancelled:
            return "Cancelled";
        default:
            return "InternalError";
    }
}

py::object exception_type(ErrorKind kind) {
    if (kind == ErrorKind::argument) return py::reinterpret_borrow<py::object>(PyExc_ValueError);
    if (kind == ErrorKind::not_found) {
        return py::reinterpret_borrow<py::object>(PyExc_FileNotFoundError);
    }
    return py::module_::import("crispvl.errors").attr(exception_name(kind));
}

void raise(ErrorKind kind, const char* text) {
    survive_python([&] { PyErr_SetString(exception_type(kind).ptr(), text); });
}

void translate(std::exception_ptr pointer) {
    try {
        if (pointer) std::rethrow_exception(pointer);
    } catch (const Error& error) {
        raise(error.kind(), error.what());
    } catch (const std::bad_alloc&) {
        raise(ErrorKind::memory,
              "[memory] expected an allocation to succeed; found no memory; free memory or lower "
              "max_tiles and max_tokens");
    }
}

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

using Embeddings = std::optional<py::array_t<float, py::array::c_style>>;

// Keeps the embeddings alive; Python keeps the session.
struct PrefillWork {
    Embeddings embeddings;
    Prefill work;
};

std::unique_ptr<PrefillWork> begin_prefill(Session& session, const std::vector<int32_t>& ids,
                                           const Embeddings& embeddings) {
    const int64_t width = session.model().config().decoder.width;
    if (embeddings && (embeddings->ndim() != 2 || embeddings->shape(1) != width)) {
        throw py::value_error(
            "[prefill] expected embeddings of shape [n, " + std::to_string(width) + "]; found " +
            std::string(py::str(embeddings->attr("shape"))) + "; use those of encode");
    }
    const float* rows = embeddings ? embeddings->data() : nullptr;
    const int64_t n_rows = embeddings ? embeddings->shape(0) : 0;
    return std::unique_ptr<PrefillWork>(
        new PrefillWork{embeddings, Prefill(session, ids, rows, n_rows)});
}

void prefill(Session& session, const std::vector<int32_t>& ids, const Embeddings& embeddings,
             const CancelToken* cancel) {
    const std::unique_ptr<PrefillWork> prompt = begin_prefill(session, ids, embeddings);
    run_interruptible(cancel, [&](Interrupt* interrupt) {
        while (!prompt->work.done()) prompt->work.step(interrupt);
    });
}

void decode_batch(const std::vector<Session*>& sessions,
                  const std::vector<std::vector<int32_t>>& token_ids,
                  const std::vector<const CancelToken*>& cancels) {
    run_interruptible(cancels, [&](Interrupt* interrupt) {
        crispvl::decode_batch(sessions, token_ids, interrupt);
    });
}

// -1 is the last row.
int64_t checked_row(const Session& session, int64_t i_row) {
    const int64_t n_rows = session.n_logit_rows();
    if (i_row < -1 || i_row >= n_rows) {
        throw py::index_error("[session] expected a row of logits below " + std::to_string(n_rows) +
                              "; found " + std::to_string(i_row) + "; change it");
    }
    return i_row == -1 ? n_rows - 1 : i_row;
}

py::array_t<float> logits(const Session& session, int64_t i_row) {
    if (session.n_logit_rows() == 0) return py::array_t<float>(0);
    const LogitsView row = session.logits(checked_row(session, i_row));
    log_normaliser(row);  // throws where it is none
    return py::array_t<float>(static_cast<py::ssize_t>(row.size), row.data);
}

py::dict build_info() {
    return py::dict("version"_a = CRISPVL_VERSION, "ggml_version"_a = ggml_version(),
                    "ggml_commit"_a = ggml_commit(), "features"_a = cpu_features(),
                    "kernels"_a = kernels::kernel_names(), "backends"_a = backend_names(),
                    "default_threads"_a = usable_cores());
}

py::list devices() {
    py::list all;
    for (const DeviceInfo& d : list_devices()) {
        all.append(py::dict("name"_a = d.name, "description"_a = d.description, "type"_a = d.type,
                            "memory_free"_a = d.memory_free_bytes,
                            "memory_total"_a = d.memory_total_bytes));
    }
    return all;
}

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

void bind_session(py::module_& m) {
    py::class_<Sampler>(m, "Sampler")
        .def(py::init([](float temperature, int64_t top_k, float top_p, float min_p, uint64_t seed,
                         float repetition_penalty, int64_t repetition_window) {
                 return Sampler({temperature, top_k, top_p, min_p, seed, repetition_penalty,
                                 repetition_window});
             }),
             py::kw_only(), "temperature"_a = 0.0f, "top_k"_a = 0, "top_p"_a = 1.0f,
             "min_p"_a = 0.0f, "seed"_a = 0, "repetition_penalty"_a = 1.0f,
             "repetition_window"_a = 0)
        .def("set_history", &Sampler::set_history, "ids"_a);
    py::class_<PrefillWork>(m, "Prefill")
        .def_property_readonly("done", [](const PrefillWork& self) { return self.work.done(); })
        .def(
            "step",
            [](PrefillWork& self, const CancelToken* cancel) {
                run_interruptible(cancel, [&](Interrupt* interrupt) { self.work.step(interrupt); });
            },
            "cancel"_a = nullptr);
    py::class_<Session>(m, "Session")
        .def("begin_prefill", &begin_prefill, "ids"_a, "embeddings"_a, py::keep_alive<0, 1>())
        .def("prefill", &prefill, "ids"_a, "embeddings"_a, "cancel"_a = nullptr)
        .def(
            "sample",
            [](const Session& self, Sampler& sampler, int64_t i_row) {
                const Sampled s = self.sample(sampler, checked_row(self, i_row));
                return py::make_tuple(s.id, s.logprob);
            },
            "sampler"_a, "i_row"_a = -1)
        .def(
            "decode",
            [](Session& self, int32_t id, const CancelToken* cancel) {
                run_interruptible(
                    cancel, [&](Interrupt* interrupt) { crispvl::decode(self, id, interrupt); });
            },
            "token_id"_a, "cancel"_a = nullptr)
        .def_static("decode_batch", &decode_batch, "sessions"_a, "token_ids"_a,
                    "cancels"_a = std::vector<const CancelToken*>())
        .def("logits", &logits, "i_row"_a = -1)
        .def("rewind", &Session::rewind, "n_past"_a)
        .def_property_readonly("n_past", &Session::n_past)
        .def_property_readonly("n_ctx", &Session::n_ctx);
}

}  // namespace

PYBIND11_MODULE(_core, m) {
    m.doc() = "The compiled core of crispvl.";
    py::register_exception_translator(&translate);
    follow_python(m);
    py::class_<CancelToken, std::shared_ptr<CancelToken>>(m, "CancelToken")
        .def(py::init<std::shared_ptr<CancelToken>, std::optional<double>>(),
             "parent"_a = std::shared_ptr<CancelToken>(), "limit_s"_a = std::nullopt)
        .def("cancel", &CancelToken::cancel)
        .def_property_readonly("cancelled", &CancelToken::cancelled)
        .def_property_readonly("expired", &CancelToken::expired);
    bind_model(m);
    bind_session(m);
    bind_profile(m);
    bind_image(m);
    bind_tiff_messages(m);
    bind_layout(m);
    bind_lines(m);
    m.def("require_stack", &require_stack);
    m.def("build_info", &build_info);
    m.def("devices", &devices);
    m.def("cpu_quota", &cpu_quota, "root"_a = "");
    m.def("usable_cores", &usable_cores, "root"_a = "");
    m.def("limit_features", &kernels::limit_features, "features"_a);
    bind_quantize(m);
}

}  // namespace crispvl::binding

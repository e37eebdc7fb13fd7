#include "quantize.h"

#include <pybind11/stl.h>
#include <pybind11/stl/filesystem.h>

#include "engine/memory_plan.h"
#include "gguf/dialect.h"
#include "interrupt.h"
#include "numpy_convert.h"
#include "quantize/importance.h"
#include "quantize/quantize.h"
#include "runtime/cores.h"

namespace crispvl::binding {
namespace {

using namespace py::literals;
using Floats = py::array_t<float, py::array::c_style | py::array::forcecast>;
using Bytes = py::array_t<uint8_t, py::array::c_style>;

int threads_or_default(int threads) {
    return threads > 0 ? threads : usable_cores();
}

// A file, or all parts of a split one.
struct OpenFile {
    GgufParts parts;
};

py::dict metadata(const OpenFile& open) {
    const GgufFile& file = *open.parts.front();
    py::dict all;
    for (size_t i = 0; i < file.n_keys(); ++i) all[text(file.key(i))] = to_python(file.value(i));
    return all;
}

py::list paths(const OpenFile& open) {
    py::list all;
    for (const auto& part : open.parts) all.append(std::filesystem::u8path(part->path()));
    return all;
}

py::dict describe(const OpenFile& open, const GgufTensor& tensor) {
    int n_dims = 4;
    while (n_dims > 1 && tensor.ne[static_cast<size_t>(n_dims - 1)] == 1) --n_dims;
    py::tuple shape(n_dims);
    for (int i = 0; i < n_dims; ++i) {
        shape[static_cast<size_t>(i)] = tensor.ne[static_cast<size_t>(n_dims - 1 - i)];
    }
    return py::dict("name"_a = text(tensor.name),
                    "canonical_name"_a = text(canonical_name(*open.parts.front(), tensor.name)),
                    "shape"_a = shape, "type"_a = ggml_type_name(tensor.type),
                    "n_bytes"_a = tensor.n_bytes);
}

py::list tensors(const OpenFile& open) {
    py::list all;
    for (const auto& part : open.parts) {
        for (const GgufTensor& tensor : part->tensors()) all.append(describe(open, tensor));
    }
    return all;
}

// The tensor's bytes as they are in the mapped file.
Bytes view_of(const std::shared_ptr<const GgufFile>& file, const GgufTensor& tensor) {
    file->require_data();
    file->require_unchanged();
    auto* owner = new std::shared_ptr<const GgufFile>(file);
    py::capsule keep_alive(
        owner, [](void* p) { delete static_cast<std::shared_ptr<const GgufFile>*>(p); });
    Bytes view({static_cast<py::ssize_t>(tensor.n_bytes)}, tensor.data, keep_alive);
    view.attr("setflags")("write"_a = false);
    return view;
}

Bytes data(const OpenFile& open, const std::string& name) {
    for (const auto& part : open.parts) {
        for (const GgufTensor& tensor : part->tensors()) {
            if (tensor.name == name) return view_of(part, tensor);
        }
    }
    throw py::key_error(name);
}

Bytes convert(const Bytes& rows, const std::string& from, const std::string& to, int64_t n_cols,
              const std::optional<Floats>& importance, const std::string& name, int threads,
              const CancelToken* cancel) {
    RowsJob job{rows.data(), type_of_name(from), type_of_name(to), n_cols, 0, nullptr, name};
    const bool fits = n_cols > 0 && n_cols % ggml_blck_size(job.from) == 0 &&
                      n_cols % ggml_blck_size(job.to) == 0;
    if (!fits)
        throw py::value_error("[quantize] expected rows of whole blocks for " + name +
                              "; found others; choose a type with smaller blocks");
    const size_t row_bytes = ggml_row_size(job.from, n_cols);
    const size_t n_bytes = static_cast<size_t>(rows.size());
    if (n_bytes % row_bytes != 0)
        throw py::value_error("[quantize] expected whole rows; found a part of one; give it whole");
    job.n_rows = static_cast<int64_t>(n_bytes / row_bytes);
    if (importance) {
        if (importance->size() != n_cols) {
            throw py::value_error("[quantize] expected one importance per column for " + name +
                                  "; found another number; make the matrix again");
        }
        job.importance = importance->data();
    }
    const size_t n_out = ggml_row_size(job.to, n_cols) * static_cast<size_t>(job.n_rows);
    Bytes out(static_cast<py::ssize_t>(n_out));
    uint8_t* to_data = out.mutable_data();
    run_interruptible(cancel, [&](Interrupt* interrupt) {
        convert_rows(job, to_data, threads_or_default(threads), interrupt);
    });
    return out;
}

using Progress = std::optional<py::function>;  // (tensor, bytes done, bytes in all)

void quantize(const OpenFile& open, const Path& path,
              const std::map<std::string, std::string>& types,
              const std::map<std::string, Floats>& importance,
              const std::map<std::string, std::variant<uint32_t, std::string>>& set_keys,
              const std::vector<std::string>& drop_prefixes, int threads, const Progress& progress,
              const CancelToken* cancel) {
    QuantizeJob job{{}, {}, set_keys, drop_prefixes, threads_or_default(threads)};
    for (const auto& [name, type] : types) job.types[name] = type_of_name(type);
    for (const auto& [name, values] : importance) {
        job.importance[name] = {values.data(), values.data() + values.size()};
    }
    const QuantizeProgress report = [&](const std::string& name, uint64_t n_done,
                                        uint64_t n_total) {
        call_python(*progress, name, n_done, n_total);
    };
    run_interruptible(cancel, [&](Interrupt* interrupt) {
        quantize_file(open.parts, path.u8string(), job, progress ? report : QuantizeProgress(),
                      interrupt);
    });
}

py::list types() {
    py::list all;
    for (int i = 0; i < GGML_TYPE_COUNT; ++i) {
        const auto type = static_cast<ggml_type>(i);
        if (!is_writable_type(type)) continue;
        all.append(py::dict("name"_a = ggml_type_name(type), "block"_a = ggml_blck_size(type),
                            "block_bytes"_a = ggml_type_size(type),
                            "needs_importance"_a = ggml_quantize_requires_imatrix(type)));
    }
    return all;
}

py::dict sums(const ImportanceCollector& collector) {
    py::dict all;
    for (const auto& [name, entry] : collector.sums()) {
        const auto n = static_cast<py::ssize_t>(entry.sum_squares.size());
        const auto n_matrices = static_cast<py::ssize_t>(entry.n_rows.size());
        if (n_matrices == 1) {
            all[text(name)] = py::make_tuple(to_numpy(entry.sum_squares, {n}), entry.n_rows[0]);
            continue;
        }
        all[text(name)] = py::make_tuple(to_numpy(entry.sum_squares, {n_matrices, n / n_matrices}),
                                         py::array_t<int64_t>(n_matrices, entry.n_rows.data()));
    }
    return all;
}

py::list plan(const std::shared_ptr<Model>& model, int64_t n_tiles, int64_t n_prompt,
              int64_t n_ctx) {
    std::vector<DeviceMemory> devices;
    {
        const WithoutGil without;
        devices = plan_memory(model, {n_tiles, n_prompt, n_ctx});
    }
    py::list all;
    for (const DeviceMemory& d : devices) {
        all.append(py::dict("name"_a = d.name, "weight_bytes"_a = d.weight_bytes,
                            "packed_bytes"_a = d.packed_bytes, "kv_bytes"_a = d.kv_bytes,
                            "compute_bytes"_a = d.compute_bytes,
                            "released_bytes"_a = d.released_bytes));
    }
    return all;
}

std::shared_ptr<Model> measure(const Path& path, const std::optional<Path>& mmproj,
                               const std::string& device, bool exact, const LayerShares& layers,
                               const std::string& kv_cache) {
    const WithoutGil without;
    LoadOptions options;
    options.path = path.u8string();
    options.mmproj = mmproj.value_or("").u8string();
    options.device = device;
    options.exact = exact;
    options.kv_cache = kv_cache;
    options.measure_only = true;
    options.layers = to_layer_shares(layers);
    return std::make_shared<Model>(options);
}

}  // namespace

void bind_quantize(py::module_& m) {
    py::class_<OpenFile>(m, "GgufFile")
        .def(py::init([](const Path& path) { return OpenFile{open_parts(path.u8string())}; }),
             "path"_a)
        .def_property_readonly("paths", &paths)
        .def_property_readonly("metadata", &metadata)
        .def_property_readonly("tensors", &tensors)
        .def("data", &data, "name"_a)
        .def("quantize", &quantize, "path"_a, "types"_a, "importance"_a, "set_keys"_a,
             "drop_prefixes"_a, "threads"_a, "progress"_a = nullptr, "cancel"_a = nullptr);
    m.def("convert_rows", &convert, "rows"_a, "from_type"_a, "to_type"_a, "n_cols"_a,
          "importance"_a = py::none(), "name"_a = "rows", "threads"_a = 0, "cancel"_a = nullptr);
    m.def("tensor_types", &types);
    py::class_<ImportanceCollector>(m, "ImportanceCollector")
        .def(py::init([](const std::shared_ptr<Model>& model) {
                 return std::make_unique<ImportanceCollector>(model);
             }),
             "model"_a)
        .def("close", &ImportanceCollector::stop)
        .def_property_readonly("sums", &sums);
    m.def("load_to_measure", &measure, "path"_a, "mmproj"_a, "device"_a, "exact"_a = false,
          "layers"_a = LayerShares(), "kv_cache"_a = "auto");
    m.def("plan_memory", &plan, "model"_a, "n_tiles"_a, "n_prompt"_a, "n_ctx"_a);
}

}  // namespace crispvl::binding

#include "describe.h"

#include <pybind11/stl.h>

#include "gguf/schema.h"
#include "numpy_convert.h"

namespace crispvl::binding {
namespace {

using namespace py::literals;

const char* name_of(NormKind kind) {
    return kind == NormKind::layer_norm ? "layer_norm" : "rms_norm";
}

const char* name_of(RopeScaling scaling) {
    switch (scaling) {
        case RopeScaling::linear:
            return "linear";
        case RopeScaling::dynamic:
            return "dynamic";
        case RopeScaling::yarn:
            return "yarn";
        case RopeScaling::factors:
            return "factors";
        case RopeScaling::longrope:
            return "longrope";
        default:
            return "none";
    }
}

py::dict vision(const VisionConfig& c) {
    return py::dict("n_layers"_a = c.n_layers, "width"_a = c.width, "n_heads"_a = c.n_heads,
                    "d_mlp"_a = c.d_mlp, "patch_px"_a = c.patch_px, "tile_px"_a = c.tile_px,
                    "norm"_a = name_of(c.norm), "norm_epsilon"_a = c.norm_epsilon,
                    "qk_norm"_a = c.qk_norm == VisionQkNorm::full ? "full" : "none",
                    "qkv_bias"_a = c.qkv_bias, "activation"_a = "gelu_erf",
                    "mean"_a = py::make_tuple(c.mean[0], c.mean[1], c.mean[2]),
                    "std"_a = py::make_tuple(c.std[0], c.std[1], c.std[2]));
}

py::dict projector(const ProjectorConfig& c, const ImageConfig& image) {
    return py::dict("downsample_ratio"_a = 1.0 / static_cast<double>(c.unshuffle),
                    "tokens_per_tile"_a = image.tokens_per_tile, "width"_a = c.d_out,
                    "norm_epsilon"_a = c.norm_epsilon);
}

py::object experts(const std::optional<ExpertsConfig>& c) {
    if (!c) return py::none();
    return py::dict("n"_a = c->n, "n_used"_a = c->n_used, "d_mlp"_a = c->d_mlp,
                    "router_bias"_a = c->router_bias, "normalised"_a = c->normalised);
}

py::dict decoder(const DecoderConfig& c) {
    return py::dict(
        "arch"_a = c.arch, "n_layers"_a = c.n_layers, "width"_a = c.width, "n_heads"_a = c.n_heads,
        "n_kv_heads"_a = c.n_kv_heads, "d_head"_a = c.d_head, "d_mlp"_a = c.d_mlp,
        "vocab_size"_a = c.vocab_size, "context_length"_a = c.context_length,
        "norm_epsilon"_a = c.norm_epsilon, "qkv_bias"_a = c.qkv_bias,
        "attn_out_bias"_a = c.attn_out_bias, "mlp_bias"_a = c.mlp_bias,
        "qk_norm"_a = c.qk_norm == DecoderQkNorm::per_head ? "per_head" : "none",
        "sinks"_a = c.sinks, "window"_a = c.window, "sliding_layers"_a = c.sliding_layers,
        "mlp_gate"_a = c.gate.kind == GateKind::clamped ? "clamped" : "silu",
        "experts"_a = experts(c.experts), "tied_head"_a = c.tied_head,
        "rope_theta"_a = c.rope.theta,
        "rope_layout"_a = c.rope.layout == RopeLayout::half ? "half" : "interleaved",
        "rope_scaling"_a = name_of(c.rope.scaling), "rope_factor"_a = c.rope.factor);
}

py::dict image(const ImageConfig& c, const RopeConfig& rope) {
    return py::dict("min_tiles"_a = c.min_tiles, "max_tiles"_a = c.max_tiles,
                    "thumbnail"_a = c.thumbnail, "multi_scale"_a = c.multi_scale,
                    "start_token_id"_a = c.start_id, "end_token_id"_a = c.end_id,
                    "context_token_id"_a = c.context_id,
                    "position_step"_a = 1.0 / static_cast<double>(rope.position_units));
}

py::object router(const ModelConfig& c) {
    if (!c.router) return py::none();
    return py::dict("tokens_per_small_tile"_a = c.image.tokens_per_small_tile,
                    "relative_threshold"_a = c.router->relative_threshold,
                    "absolute_threshold"_a = c.router->absolute_threshold);
}

py::object text_or_none(const std::string& value) {
    if (value.empty()) return py::none();
    return text(value);
}

py::object text_or_none(const std::optional<std::string>& value) {
    if (!value) return py::none();
    return text(*value);
}

py::dict chat(const ChatConfig& c) {
    return py::dict("template"_a = text(c.template_name),
                    "system_message"_a = text_or_none(c.system_message),
                    "stop_token_ids"_a = py::cast(c.stop_ids), "jinja"_a = text_or_none(c.jinja),
                    "prompt_text"_a = text_or_none(c.prompt_text),
                    "prompt_markdown"_a = text_or_none(c.prompt_markdown));
}

py::dict tokenizer(const VocabData& vocab) {
    return py::dict("model"_a = text(vocab.model), "pre"_a = text(vocab.pre),
                    "bos_id"_a = vocab.bos_id, "eos_id"_a = vocab.eos_id,
                    "add_bos"_a = vocab.add_bos, "vocab_size"_a = vocab.tokens.size());
}

py::object key_or(const ModelSource& source, const char* key, py::object otherwise) {
    const std::optional<GgufValue> value = source.find(key);
    return value ? to_python(*value) : otherwise;
}

py::dict provenance(const ModelSource& source) {
    py::list files, warnings;
    for (const auto& file : source.files()) files.append(text(file->path()));
    for (const std::string& warning : source.warnings()) warnings.append(text(warning));
    return py::dict("repository"_a = key_or(source, schema::kSourceRepository, py::str()),
                    "revision"_a = key_or(source, schema::kSourceRevision, py::str()),
                    "layout"_a = key_or(source, schema::kSourceLayout, py::str()),
                    "name"_a = key_or(source, schema::kName, py::str()),
                    "file_type"_a = key_or(source, schema::kFileType, py::none()),
                    "files"_a = files, "warnings"_a = warnings);
}

}  // namespace

py::dict describe_config(const Model& model) {
    py::dict all("tokenizer"_a = tokenizer(model.vocab()), "source"_a = provenance(model.source()));
    if (!model.has_config()) return all;
    const ModelConfig& c = model.config();
    all["vision"] = vision(c.vision);
    all["projector"] = projector(c.projector, c.image);
    all["router"] = router(c);
    all["decoder"] = decoder(c.decoder);
    all["image"] = image(c.image, c.decoder.rope);
    all["chat"] = chat(c.chat);
    return all;
}

py::list describe_tensors(const Model& model) {
    py::list all;
    for (const auto& [name, tensor] : model.source().tensors()) {
        int n_dims = 4;
        while (n_dims > 1 && tensor.ne[static_cast<size_t>(n_dims - 1)] == 1) --n_dims;
        py::tuple shape(n_dims);
        for (int i = 0; i < n_dims; ++i) {
            shape[static_cast<size_t>(i)] = tensor.ne[static_cast<size_t>(n_dims - 1 - i)];
        }
        std::string file;
        for (const auto& candidate : model.source().files()) {
            const uint8_t* base = candidate->mapping().data();
            if (tensor.data >= base && tensor.data < base + candidate->mapping().size()) {
                file = candidate->path();
            }
        }
        all.append(py::dict("name"_a = text(name), "shape"_a = shape,
                            "type"_a = ggml_type_name(tensor.type), "n_bytes"_a = tensor.n_bytes,
                            "file"_a = text(file)));
    }
    return all;
}

}  // namespace crispvl::binding

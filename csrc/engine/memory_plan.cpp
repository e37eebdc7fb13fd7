#include "engine/memory_plan.h"

#include <algorithm>

#include "base/error.h"
#include "engine/decode.h"
#include "engine/prefill.h"

namespace crispvl {
namespace {

std::vector<size_t> measure_session(const std::shared_ptr<const Model>& model,
                                    const MemoryRequest& request) {
    const ImageConfig& image = model->config().image;
    const int64_t n_image = request.n_tiles * image.tokens_per_tile;
    if (request.n_prompt < n_image) {
        throw Error(ErrorKind::argument, "[plan] expected a prompt of at least " +
                                             std::to_string(n_image) + " tokens for " +
                                             std::to_string(request.n_tiles) + " tiles; found " +
                                             std::to_string(request.n_prompt) + "; plan for more");
    }
    Session session(model, request.n_ctx);
    const int32_t text_id = image.context_id == 0 ? 1 : 0;
    std::vector<int32_t> ids(static_cast<size_t>(request.n_prompt), text_id);
    std::fill_n(ids.begin(), n_image, image.context_id);
    const std::vector<float> rows(static_cast<size_t>(n_image * model->config().decoder.width));
    prefill(session, ids, n_image > 0 ? rows.data() : nullptr, n_image, /*interrupt=*/nullptr);
    if (session.n_past() < session.n_ctx()) decode(session, text_id, /*interrupt=*/nullptr);
    std::vector<size_t> n_bytes;
    for (const ggml_backend_ptr& backend : model->backends().all) {
        n_bytes.push_back(session.cache().n_bytes_on(backend.get()));
    }
    return n_bytes;
}

// What the model drops from memory after packing: see Model.
size_t encoder_bytes(const Model& model) {
    size_t n_bytes = 0;
    for (const auto& [name, tensor] : model.source().tensors()) {
        if (name.compare(0, 6, "v.blk.") == 0) n_bytes += tensor.n_bytes;
    }
    return n_bytes;
}

void measure_encoder(const Model& model, int64_t n_tiles) {
    if (n_tiles == 0) return;
    const int64_t px = model.config().vision.tile_px;
    const std::vector<uint8_t> tiles(static_cast<size_t>(n_tiles * px * px * 3));
    model.encode(tiles.data(), n_tiles, /*interrupt=*/nullptr, TileProgress());
}

}  // namespace

std::vector<DeviceMemory> plan_memory(const std::shared_ptr<const Model>& model,
                                      const MemoryRequest& request) {
    measure_encoder(*model, request.n_tiles);
    const std::vector<size_t> kv_bytes = measure_session(model, request);
    const std::vector<size_t>& compute_bytes = model->executor().measured_bytes();
    const Backends& backends = model->backends();
    std::vector<DeviceMemory> devices;
    for (size_t i = 0; i < backends.all.size(); ++i) {
        devices.push_back({ggml_backend_name(backends.all[i].get()), model->weight_bytes()[i],
                           /*packed_bytes=*/0, kv_bytes[i], compute_bytes[i],
                           /*released_bytes=*/0});
    }
    devices.back().packed_bytes = model->packed_bytes();
    if (model->packed_bytes() > 0) devices.back().released_bytes = encoder_bytes(*model);
    return devices;
}

}  // namespace crispvl

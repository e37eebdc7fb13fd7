// The C skin of the low level: prompts, tiles, sessions and samplers. See include/crispvl.h.
#include "capi/guard.h"
#include "capi/handles.h"
#include "capi/image.h"
#include "capi/params.h"
#include "engine/decode.h"
#include "engine/prefill.h"

using namespace crispvl;
using namespace crispvl::capi;

crispvl_status crispvl_build_prompt(const crispvl_model* model, const crispvl_message* messages,
                                    size_t n_messages, const int32_t* n_tiles, size_t n_images,
                                    int32_t* ids, size_t capacity, size_t* n_ids) {
    return guarded([&] {
        deref(n_ids, "a place for the count") = 0;
        const crispvl_model& checked = with_weights(model);
        const Conversation conversation = read_messages(messages, n_messages);
        require(n_images == conversation.images.size() && (n_tiles != nullptr || n_images == 0),
                "[prompt] expected a number of tiles for each image; found another count; give one "
                "per image part");
        std::vector<int64_t> n_image_tokens;
        for (size_t i = 0; i < n_images; ++i) {
            require(n_tiles[i] >= 0 && n_tiles[i] <= 1 << 16,
                    "[prompt] expected 0 to 65536 tiles; found another number; change it");
            n_image_tokens.push_back(n_tiles[i] * checked.core->config().image.tokens_per_tile);
        }
        const std::vector<int32_t> found =
            checked.prompts->build(conversation.messages, n_image_tokens);
        write_array(found.data(), found.size(), ids, capacity, n_ids);
    });
}

crispvl_status crispvl_tile_image(const crispvl_model* model, const crispvl_image* image,
                                  int32_t min_tiles, int32_t max_tiles, uint8_t* tiles,
                                  size_t capacity_bytes, size_t* n_tiles) {
    return guarded([&] {
        deref(n_tiles, "a place for the count") = 0;
        const crispvl_model& checked = with_weights(model);
        const TilingConfig config =
            tiling_config(checked.core->config(), min_tiles, max_tiles, /*alone=*/true);
        const Tiles found = tile_image(open_image(image), config);
        size_t n_bytes = 0;
        *n_tiles = static_cast<size_t>(found.n_tiles);
        write_array(found.pixels.data(), found.pixels.size(), tiles, capacity_bytes, &n_bytes);
    });
}

crispvl_status crispvl_encode(const crispvl_model* model, const uint8_t* tiles, size_t n_tiles,
                              const crispvl_cancel* cancel, float* embeddings, size_t capacity) {
    return guarded([&] {
        const crispvl_model& checked = with_weights(model);
        deref(tiles, "tiles");
        deref(embeddings, "room for the embeddings");
        require(n_tiles > 0 && n_tiles <= 1 << 16,
                "[encode] expected 1 to 65536 tiles; found another number; change it");
        const ModelConfig& config = checked.core->config();
        const size_t n_values =
            n_tiles * static_cast<size_t>(config.image.tokens_per_tile * config.projector.d_out);
        size_t n_written = 0;
        if (capacity < n_values) {
            throw BufferError("[encode] expected room for " + std::to_string(n_values) +
                              " floats; found " + std::to_string(capacity) +
                              "; see tokens_per_tile and width in crispvl_model_info");
        }
        CancelInterrupt interrupt(cancel);
        const std::vector<float> found =
            checked.core->encode(tiles, static_cast<int64_t>(n_tiles), &interrupt, TileProgress());
        write_array(found.data(), found.size(), embeddings, capacity, &n_written);
    });
}

crispvl_status crispvl_session_new(const crispvl_model* model, int32_t n_ctx,
                                   crispvl_session** out) {
    return guarded([&] {
        crispvl_session*& made = deref(out, "a place for the session");
        made = nullptr;
        made = new crispvl_session{Session(with_weights(model).core, n_ctx)};
    });
}

void crispvl_session_free(crispvl_session* session) {
    delete session;
}

crispvl_status crispvl_session_prefill(crispvl_session* session, const int32_t* ids, size_t n_ids,
                                       const float* embeddings, size_t n_rows,
                                       const crispvl_cancel* cancel) {
    return guarded([&] {
        Session& core = deref(session, "a session").core;
        require(ids != nullptr && n_ids > 0,
                "[session] expected a prompt; found no ids; give its tokens");
        require((embeddings != nullptr) == (n_rows > 0),
                "[session] expected embeddings and their number of rows; found one of them; pass "
                "NULL and 0 for none");
        require(n_rows <= n_ids,
                "[session] expected at most one embedding per id; found more rows; correct n_rows");
        if (n_ids > static_cast<size_t>(core.n_ctx())) {
            throw Error(ErrorKind::context_overflow,
                        "[session] expected at most " + std::to_string(core.n_ctx()) +
                            " ids, the session's n_ctx; found " + std::to_string(n_ids) +
                            "; make a session with a larger n_ctx");
        }
        CancelInterrupt interrupt(cancel);
        prefill(core, {ids, ids + n_ids}, embeddings, static_cast<int64_t>(n_rows), &interrupt);
    });
}

crispvl_status crispvl_session_decode(crispvl_session* session, int32_t id,
                                      const crispvl_cancel* cancel) {
    return guarded([&] {
        CancelInterrupt interrupt(cancel);
        decode(deref(session, "a session").core, id, &interrupt);
    });
}

const float* crispvl_session_logits(const crispvl_session* session) {
    if (session == nullptr || session->core.n_logit_rows() == 0) return nullptr;
    return session->core.logits(0).data;
}

int32_t crispvl_session_n_past(const crispvl_session* session) {
    return session == nullptr ? 0 : static_cast<int32_t>(session->core.n_past());
}

crispvl_status crispvl_session_rewind(crispvl_session* session, int32_t n_past) {
    return guarded([&] { deref(session, "a session").core.rewind(n_past); });
}

crispvl_status crispvl_sampler_new(const crispvl_recognize_params* params, crispvl_sampler** out) {
    return guarded([&] {
        crispvl_sampler*& made = deref(out, "a place for the sampler");
        made = nullptr;
        made = new crispvl_sampler{Sampler(sampling_options(read_params(params)))};
    });
}

void crispvl_sampler_free(crispvl_sampler* sampler) {
    delete sampler;
}

crispvl_status crispvl_sample(crispvl_sampler* sampler, const crispvl_session* session, int32_t* id,
                              float* logprob) {
    return guarded([&] {
        int32_t& chosen = deref(id, "a place for the id");
        chosen = 0;
        if (logprob != nullptr) *logprob = 0.0f;
        const Sampled token =
            deref(session, "a session").core.sample(deref(sampler, "a sampler").core);
        chosen = token.id;
        if (logprob != nullptr) *logprob = token.logprob;
    });
}

#include "model/read_config.h"

#include "gguf/schema.h"
#include "image/tiling.h"
#include "model/config_parts.h"
#include "model/config_values.h"

namespace crispvl {
namespace {

using namespace schema;

ImageConfig read_image(const ModelSource& source, const VisionConfig& vision,
                       const ProjectorConfig& projector, int64_t vocab_size) {
    ImageConfig c{};
    c.min_tiles = dimension(source, kMinTiles, kMostTiles);
    c.max_tiles = dimension(source, kMaxTiles, kMostTiles);
    c.thumbnail = source.boolean(kThumbnail);
    c.multi_scale = source.boolean(kMultiScale);
    c.start_id = token_id(source, kImageStart, vocab_size);
    c.end_id = token_id(source, kImageEnd, vocab_size);
    c.context_id = token_id(source, kImageContext, vocab_size);
    const int64_t n_gathered = projector.unshuffle * projector.unshuffle;
    c.tokens_per_tile = vision.n_patches() / n_gathered;
    c.tokens_per_small_tile = c.tokens_per_tile / n_gathered;
    return c;
}

ChatConfig read_chat(const ModelSource& source, int64_t vocab_size) {
    ChatConfig c;
    c.template_name = optional_text(source, kChatTemplate);
    if (source.has(kChatSystem)) c.system_message = source.text(kChatSystem);
    c.jinja = optional_text(source, kJinjaTemplate);
    c.prompt_text = optional_text(source, kPromptText);
    c.prompt_markdown = optional_text(source, kPromptMarkdown);
    for (const int64_t id : source.integers(kChatStopIds)) {
        if (id < 0 || id >= vocab_size) {
            throw invalid_value(source, kChatStopIds, "ids of the vocabulary", std::to_string(id));
        }
        c.stop_ids.push_back(static_cast<int32_t>(id));
    }
    return c;
}

}  // namespace

ModelConfig read_config(const ModelSource& source) {
    ModelConfig c{};
    c.decoder = read_decoder(source);
    c.vision = read_vision(source);
    c.projector = read_projector(source, c.vision, c.decoder.width);
    c.router = read_router(source, c.vision, c.projector);
    c.image = read_image(source, c.vision, c.projector, c.decoder.vocab_size);
    c.chat = read_chat(source, c.decoder.vocab_size);
    if (source.has(kPositionStep)) {
        set_position_step(c, source.real(kPositionStep), ErrorKind::model_file);
    }
    return c;
}

void set_position_step(ModelConfig& config, double step, ErrorKind kind) {
    constexpr int64_t kMostUnits = 256;
    for (int64_t units = 1; units <= kMostUnits; units *= 2) {
        if (step * static_cast<double>(units) != 1.0) continue;
        config.decoder.rope.position_units = units;
        return;
    }
    throw Error(kind, "[config] expected an image position step of 1, 1/2, 1/4 … 1/256; found " +
                          std::to_string(step) + "; choose another");
}

}  // namespace crispvl

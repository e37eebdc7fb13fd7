// Every GGUF key and tensor name that the engine speaks, once. Names are llama.cpp's (text model
// and mmproj); what llama.cpp infers or leaves out is under "crispvl.".
#pragma once

#include <string>

namespace crispvl::schema {

// ---- keys ---------------------------------------------------------------------------------------
inline constexpr const char* kArchitecture = "general.architecture";
inline constexpr const char* kName = "general.name";
inline constexpr const char* kFileType = "general.file_type";
inline constexpr const char* kLayoutVersion = "crispvl.layout_version";

inline constexpr const char* kVisionLayers = "clip.vision.block_count";
inline constexpr const char* kVisionWidth = "clip.vision.embedding_length";
inline constexpr const char* kVisionHeads = "clip.vision.attention.head_count";
inline constexpr const char* kVisionMlp = "clip.vision.feed_forward_length";
inline constexpr const char* kVisionPatch = "clip.vision.patch_size";
inline constexpr const char* kVisionTile = "clip.vision.image_size";
inline constexpr const char* kVisionEpsilon = "clip.vision.attention.layer_norm_epsilon";
inline constexpr const char* kVisionMean = "clip.vision.image_mean";
inline constexpr const char* kVisionStd = "clip.vision.image_std";
inline constexpr const char* kMinTiles = "clip.vision.preproc_min_tiles";
inline constexpr const char* kMaxTiles = "clip.vision.preproc_max_tiles";
inline constexpr const char* kUnshuffle = "clip.vision.projector.scale_factor";
inline constexpr const char* kProjectionDim = "clip.vision.projection_dim";
inline constexpr const char* kProjectorType = "clip.projector_type";

inline constexpr const char* kVisionNorm = "crispvl.vision.norm";
inline constexpr const char* kVisionQkNorm = "crispvl.vision.qk_norm";
inline constexpr const char* kVisionQkvBias = "crispvl.vision.qkv_bias";
inline constexpr const char* kVisionActivation = "crispvl.vision.activation";
inline constexpr const char* kVisionFeatureLayer = "crispvl.vision.feature_layer";
inline constexpr const char* kProjectorActivation = "crispvl.projector.activation";
inline constexpr const char* kProjectorEpsilon = "crispvl.projector.norm_epsilon";
inline constexpr const char* kUnshuffleVersion = "crispvl.projector.unshuffle_version";
inline constexpr const char* kDecoderQkvBias = "crispvl.decoder.qkv_bias";
inline constexpr const char* kDecoderOutBias = "crispvl.decoder.attn_out_bias";
inline constexpr const char* kDecoderMlpBias = "crispvl.decoder.mlp_bias";
inline constexpr const char* kDecoderQkNorm = "crispvl.decoder.qk_norm";
inline constexpr const char* kDecoderTiedHead = "crispvl.decoder.tied_head";
inline constexpr const char* kDecoderSinks = "crispvl.decoder.attention_sinks";
// Of each layer, whether its queries see only the newest keys.
inline constexpr const char* kDecoderSlidingLayers = "crispvl.decoder.sliding_layers";
inline constexpr const char* kMlpGate = "crispvl.decoder.mlp.gate";
inline constexpr const char* kMlpAlpha = "crispvl.decoder.mlp.alpha";
inline constexpr const char* kMlpLimit = "crispvl.decoder.mlp.limit";
inline constexpr const char* kRouterBias = "crispvl.decoder.experts.router_bias";
inline constexpr const char* kExpertsNormalised = "crispvl.decoder.experts.normalised";
// Absent: gate and up are two tensors.
inline constexpr const char* kExpertsJoined = "crispvl.decoder.experts.joined_gate_up";
inline constexpr const char* kRopeLayout = "crispvl.decoder.rope.layout";
inline constexpr const char* kRopeScaling = "crispvl.decoder.rope.scaling.type";
inline constexpr const char* kRopeFactor = "crispvl.decoder.rope.scaling.factor";
inline constexpr const char* kRopeOriginal = "crispvl.decoder.rope.scaling.original_context_length";
inline constexpr const char* kRopeBetaFast = "crispvl.decoder.rope.scaling.beta_fast";
inline constexpr const char* kRopeBetaSlow = "crispvl.decoder.rope.scaling.beta_slow";
inline constexpr const char* kRopeAttnFactor = "crispvl.decoder.rope.scaling.attn_factor";
inline constexpr const char* kRopeTruncate = "crispvl.decoder.rope.scaling.truncate";
inline constexpr const char* kImageStart = "crispvl.image.start_token_id";
inline constexpr const char* kImageEnd = "crispvl.image.end_token_id";
inline constexpr const char* kImageContext = "crispvl.image.context_token_id";
inline constexpr const char* kPositionStep = "crispvl.image.position_step";
inline constexpr const char* kThumbnail = "crispvl.image.thumbnail";
inline constexpr const char* kMultiScale = "crispvl.image.multi_scale";
inline constexpr const char* kRouterHeads = "crispvl.router.head_count";
inline constexpr const char* kRouterEpsilon = "crispvl.router.norm_epsilon";
inline constexpr const char* kRouterRelative = "crispvl.router.relative_threshold";  // absent: none
inline constexpr const char* kRouterAbsolute = "crispvl.router.absolute_threshold";
inline constexpr const char* kChatTemplate = "crispvl.chat.template";
inline constexpr const char* kChatSystem = "crispvl.chat.system_message";
inline constexpr const char* kChatStopIds = "crispvl.chat.stop_token_ids";
inline constexpr const char* kPromptText = "crispvl.prompt.text";
inline constexpr const char* kPromptMarkdown = "crispvl.prompt.markdown";
// The layout that a model was made for, and how strips of lines fill its tiles; may be absent.
inline constexpr const char* kReadingLayout = "crispvl.reading.layout";
inline constexpr const char* kStripRows = "crispvl.strips.rows";
inline constexpr const char* kStripPitch = "crispvl.strips.pitch_px";
inline constexpr const char* kStripHeight = "crispvl.strips.height_px";
inline constexpr const char* kStripLeft = "crispvl.strips.left_px";
inline constexpr const char* kStripGap = "crispvl.strips.gap_px";
inline constexpr const char* kSourceRepository = "crispvl.source.repository";
inline constexpr const char* kSourceRevision = "crispvl.source.revision";
inline constexpr const char* kSourceLayout = "crispvl.source.layout";

inline constexpr const char* kTokenizerModel = "tokenizer.ggml.model";
inline constexpr const char* kTokenizerPre = "tokenizer.ggml.pre";
inline constexpr const char* kTokens = "tokenizer.ggml.tokens";
inline constexpr const char* kTokenTypes = "tokenizer.ggml.token_type";
inline constexpr const char* kTokenScores = "tokenizer.ggml.scores";
inline constexpr const char* kMerges = "tokenizer.ggml.merges";
inline constexpr const char* kBosId = "tokenizer.ggml.bos_token_id";
inline constexpr const char* kEosId = "tokenizer.ggml.eos_token_id";
inline constexpr const char* kUnknownId = "tokenizer.ggml.unknown_token_id";
inline constexpr const char* kAddBos = "tokenizer.ggml.add_bos_token";
inline constexpr const char* kStripAfter = "crispvl.tokenizer.strip_after_ids";     // absent: none
inline constexpr const char* kPrefixAtStart = "crispvl.tokenizer.prefix_at_start";  // absent: no
inline constexpr const char* kAddSpacePrefix = "tokenizer.ggml.add_space_prefix";
inline constexpr const char* kRemoveExtraWhitespaces = "tokenizer.ggml.remove_extra_whitespaces";
inline constexpr const char* kCharsmap = "tokenizer.ggml.precompiled_charsmap";
inline constexpr const char* kJinjaTemplate = "tokenizer.chat_template";

// Text keys carry the architecture as prefix: "qwen2.block_count".
inline constexpr const char* kTextLayers = "block_count";
inline constexpr const char* kTextWidth = "embedding_length";
inline constexpr const char* kTextContext = "context_length";
inline constexpr const char* kTextMlp = "feed_forward_length";
inline constexpr const char* kTextHeads = "attention.head_count";
inline constexpr const char* kTextKvHeads = "attention.head_count_kv";
inline constexpr const char* kTextHeadDim = "attention.key_length";
inline constexpr const char* kTextEpsilon = "attention.layer_norm_rms_epsilon";
inline constexpr const char* kTextRopeTheta = "rope.freq_base";
inline constexpr const char* kTextWindow = "attention.sliding_window";
inline constexpr const char* kTextExperts = "expert_count";  // absent: one MLP per block
inline constexpr const char* kTextExpertsUsed = "expert_used_count";
inline constexpr const char* kTextExpertMlp = "expert_feed_forward_length";

// ---- tensors ------------------------------------------------------------------------------------
inline constexpr const char* kTokenEmbedding = "token_embd";
inline constexpr const char* kOutputNorm = "output_norm";
inline constexpr const char* kOutput = "output";
inline constexpr const char* kRopeFactors = "rope_freqs.weight";
inline constexpr const char* kRopeShortFactors = "rope_factors_short.weight";
inline constexpr const char* kRopeLongFactors = "rope_factors_long.weight";
inline constexpr const char* kPatchEmbedding = "v.patch_embd";
inline constexpr const char* kClassEmbedding = "v.class_embd";
inline constexpr const char* kPositionEmbedding = "v.position_embd.weight";
inline constexpr const char* kProjectorNorm = "mm.model.mlp.0";
inline constexpr const char* kProjectorUp = "mm.model.mlp.1";
inline constexpr const char* kProjectorOut = "mm.model.mlp.3";
inline constexpr const char* kSmallProjector = "mm.small.mlp";
inline constexpr const char* kRouter = "mm.router";

inline std::string text_block(int64_t i) {
    return "blk." + std::to_string(i);
}
inline std::string vision_block(int64_t i) {
    return "v.blk." + std::to_string(i);
}

}  // namespace crispvl::schema

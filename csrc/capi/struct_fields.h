// Where the fields of the structs begin that callers may have in another version, in ascending
// order: such a struct is copied field by field, so that none is copied in part.
#pragma once

#include <cstddef>

#include "include/crispvl.h"

namespace crispvl::capi {

template <class T>
inline constexpr size_t kFieldOffsets[] = {0};

template <>
inline constexpr size_t kFieldOffsets<crispvl_load_params>[] = {
    offsetof(crispvl_load_params, struct_size),
    offsetof(crispvl_load_params, path),
    offsetof(crispvl_load_params, mmproj),
    offsetof(crispvl_load_params, data),
    offsetof(crispvl_load_params, n_data_bytes),
    offsetof(crispvl_load_params, mmproj_data),
    offsetof(crispvl_load_params, n_mmproj_data_bytes),
    offsetof(crispvl_load_params, device),
    offsetof(crispvl_load_params, n_threads),
    offsetof(crispvl_load_params, vocab_only),
    offsetof(crispvl_load_params, exact),
    offsetof(crispvl_load_params, no_mmap),
};

template <>
inline constexpr size_t kFieldOffsets<crispvl_model_info>[] = {
    offsetof(crispvl_model_info, name),         offsetof(crispvl_model_info, device),
    offsetof(crispvl_model_info, n_threads),    offsetof(crispvl_model_info, vocab_size),
    offsetof(crispvl_model_info, n_logits),     offsetof(crispvl_model_info, context_length),
    offsetof(crispvl_model_info, tile_px),      offsetof(crispvl_model_info, tokens_per_tile),
    offsetof(crispvl_model_info, width),        offsetof(crispvl_model_info, min_tiles),
    offsetof(crispvl_model_info, max_tiles),    offsetof(crispvl_model_info, image_start_id),
    offsetof(crispvl_model_info, image_end_id), offsetof(crispvl_model_info, image_context_id),
    offsetof(crispvl_model_info, weight_bytes),
};

template <>
inline constexpr size_t kFieldOffsets<crispvl_recognize_params>[] = {
    offsetof(crispvl_recognize_params, struct_size),
    offsetof(crispvl_recognize_params, prompt),
    offsetof(crispvl_recognize_params, task),
    offsetof(crispvl_recognize_params, max_tiles),
    offsetof(crispvl_recognize_params, min_tiles),
    offsetof(crispvl_recognize_params, max_tokens),
    offsetof(crispvl_recognize_params, ignore_stop_tokens),
    offsetof(crispvl_recognize_params, temperature),
    offsetof(crispvl_recognize_params, top_k),
    offsetof(crispvl_recognize_params, top_p),
    offsetof(crispvl_recognize_params, min_p),
    offsetof(crispvl_recognize_params, repetition_penalty),
    offsetof(crispvl_recognize_params, repetition_window),
    offsetof(crispvl_recognize_params, seed),
    offsetof(crispvl_recognize_params, cancel),
    offsetof(crispvl_recognize_params, on_token),
    offsetof(crispvl_recognize_params, on_progress),
    offsetof(crispvl_recognize_params, user_data),
    offsetof(crispvl_recognize_params, layout),
};

template <>
inline constexpr size_t kFieldOffsets<crispvl_result_info>[] = {
    offsetof(crispvl_result_info, finish),          offsetof(crispvl_result_info, n_tokens),
    offsetof(crispvl_result_info, n_prompt_tokens), offsetof(crispvl_result_info, n_tiles),
    offsetof(crispvl_result_info, width_px),        offsetof(crispvl_result_info, height_px),
    offsetof(crispvl_result_info, n_columns),       offsetof(crispvl_result_info, n_rows),
    offsetof(crispvl_result_info, confidence),      offsetof(crispvl_result_info, stop_logprob),
    offsetof(crispvl_result_info, image_ms),        offsetof(crispvl_result_info, encode_ms),
    offsetof(crispvl_result_info, prefill_ms),      offsetof(crispvl_result_info, decode_ms),
    offsetof(crispvl_result_info, damaged),         offsetof(crispvl_result_info, layout),
    offsetof(crispvl_result_info, n_lines),         offsetof(crispvl_result_info, n_words),
    offsetof(crispvl_result_info, unread_ink),
};

template <>
inline constexpr size_t kFieldOffsets<crispvl_text_part>[] = {
    offsetof(crispvl_text_part, text),         offsetof(crispvl_text_part, start_bytes),
    offsetof(crispvl_text_part, quad_px),      offsetof(crispvl_text_part, confidence),
    offsetof(crispvl_text_part, block),        offsetof(crispvl_text_part, i_line),
    offsetof(crispvl_text_part, i_first_word), offsetof(crispvl_text_part, n_words),
};

}  // namespace crispvl::capi

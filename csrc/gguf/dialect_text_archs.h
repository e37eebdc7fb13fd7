// llama.cpp's architectures of text models: how each names and joins its tensors, and what its
// loader takes for granted. Our single files speak these names too.
#pragma once

#include "gguf/parts.h"
#include "gguf/source.h"

namespace crispvl::dialect {

struct TextArch {
    const char* name;
    // The pairing of rotary dimensions (llama_model_rope_type). The converters permute the rows of
    // q and k where neighbours pair.
    const char* rope_layout = "half";
    const char* mlp_norm = "ffn_norm";
    bool has_joined_gate_up = false;  // gate, then up, are rows of `ffn_up`
    bool has_clamped_gate = false;
    bool has_half_sliding = false;  // every other layer slides, from the first on
    bool has_whole_ramp = true;     // YaRN's ramp begins and ends at whole dimensions
    bool strips_after_marks =
        false;  // special tokens take the spaces after them along, and are not given one back
};

// Throws Error{model_file} for an architecture that no InternVL has.
const TextArch& text_arch(const ModelSource& source);

// Adds the files' tensors, one for each of our names.
void add_text_tensors(ModelSource& source, const GgufParts& parts, const TextArch& arch);

// What the architecture or the tensors say where the keys do not.
void deduce_text_switches(ModelSource& source, const TextArch& arch);

// What the architecture says of the tokenizer where the keys do not.
void deduce_text_tokens(ModelSource& source);

}  // namespace crispvl::dialect

#include "text/make_tokenizer.h"

#include <utility>

#include "base/utf8.h"
#include "text/byte_level_bpe.h"
#include "text/sentencepiece_bpe.h"

namespace crispvl {

std::unique_ptr<Tokenizer> make_tokenizer(VocabData data) {
    if (data.model == "gpt2") return std::make_unique<ByteLevelBpe>(std::move(data));
    if (data.model == "llama") return std::make_unique<SentencePieceBpe>(std::move(data));
    refuse_vocabulary("expected 'gpt2' or 'llama' as 'tokenizer.ggml.model'; found '" +
                      repair_utf8(data.model) + "'");
}

}  // namespace crispvl

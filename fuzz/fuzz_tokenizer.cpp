// Any vocabulary and any text: the first byte chooses the kind, lines are pieces, the rest is text.
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/utf8.h"
#include "text/make_tokenizer.h"
#include "text/prompt.h"

using namespace crispvl;

namespace {

std::string_view take_line(std::string_view& rest) {
    const size_t end = rest.find('\n');
    const std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
    return line;
}

void run(std::string_view rest) {
    const unsigned flags = static_cast<unsigned char>(rest.front());
    rest.remove_prefix(1);
    VocabData vocab;
    vocab.model = (flags & 1) != 0 ? "gpt2" : "llama";
    vocab.pre = "qwen2";
    vocab.add_space_prefix = (flags & 2) != 0;
    vocab.add_bos = (flags & 4) != 0;
    vocab.bos_id = static_cast<int32_t>(flags >> 4) - 1;
    for (std::string_view line = take_line(rest); !line.empty(); line = take_line(rest)) {
        // A type digit, then the piece; "m" begins a merge.
        if (line[0] == 'm') {
            vocab.merges.emplace_back(line.substr(1));
            continue;
        }
        vocab.types.push_back(line[0] - '0');
        vocab.scores.push_back(-static_cast<float>(vocab.scores.size()));
        vocab.tokens.emplace_back(line.substr(1));
    }
    const auto tokenizer = make_tokenizer(std::move(vocab));
    const std::string text(rest);
    for (const bool special : {false, true}) {
        const std::vector<int32_t> ids = tokenizer->encode(text, special);
        if (!is_valid_utf8(repair_utf8(tokenizer->decode(ids.data(), ids.size(), false)))) abort();
    }
    const PromptBuilder prompts(*tokenizer, {"internvl2_5", text, 0, 0, 0, {}});
    prompts.build({{"user", {{true, {}}, {false, text}}}}, {3});
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t n_bytes) {
    if (n_bytes == 0) return 0;
    try {
        run({reinterpret_cast<const char*>(data), n_bytes});
    } catch (const Error&) {
    }
    return 0;
}

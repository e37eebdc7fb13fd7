// Any bytes as a model file: the GGUF reader, every layout, the configuration and the tokenizer.
// Where the magic comes a second time, the projector's file of a pair begins.
#include <algorithm>
#include <string_view>

#include "base/error.h"
#include "model/model.h"
#include "model/read_config.h"

using namespace crispvl;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t n_bytes) {
    const std::string_view bytes(reinterpret_cast<const char*>(data), n_bytes);
    const size_t n_text = std::min(bytes.find("GGUF", 4), n_bytes);
    LoadOptions options;
    options.bytes = {data, n_text};
    if (n_text < n_bytes) options.mmproj_bytes = {data + n_text, n_bytes - n_text};
    options.vocab_only = true;
    try {
        const Model model(options);
        for (const auto& [key, value] : model.source().keys()) (void)key, (void)value;
        const std::vector<int32_t> ids = model.tokenizer().encode("<img>a b</img>\n12 é", true);
        model.tokenizer().decode(ids.data(), ids.size(), false);
        read_config(model.source());
    } catch (const Error&) {
    }
    return 0;
}

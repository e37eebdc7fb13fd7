// Any bytes as a model file: the GGUF reader, every layout, the configuration and the tokenizer.
#include "model/config.h"
#include "model/model.h"
#include "runtime/error.h"

using namespace crispvl;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t n_bytes) {
    LoadOptions options;
    options.bytes = {data, n_bytes};
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

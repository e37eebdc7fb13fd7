#include "model/config_values.h"

namespace crispvl {

Error invalid_value(const ModelSource& source, const std::string& key, const std::string& expected,
                    const std::string& found) {
    return Error(ErrorKind::model_file,
                 "[config] expected '" + key + "' to be " + expected + "; found that " +
                     source.describe() + " has " + found +
                     "; convert the checkpoint again or use a newer crispvl");
}

int64_t dimension(const ModelSource& source, const std::string& key, int64_t largest) {
    const int64_t value = source.integer(key);
    if (value < 1 || value > largest) {
        throw invalid_value(source, key, "between 1 and " + std::to_string(largest),
                            std::to_string(value));
    }
    return value;
}

float positive(const ModelSource& source, const std::string& key) {
    const double value = source.real(key);
    if (!(value > 0) || value > 1e12) {
        throw invalid_value(source, key, "a positive number", std::to_string(value));
    }
    return static_cast<float>(value);
}

int32_t token_id(const ModelSource& source, const std::string& key, int64_t vocab_size) {
    const int64_t id = source.integer(key);
    if (id < 0 || id >= vocab_size) {
        throw invalid_value(source, key, "an id of the vocabulary", std::to_string(id));
    }
    return static_cast<int32_t>(id);
}

bool optional_flag(const ModelSource& source, const char* key, bool otherwise) {
    return source.has(key) ? source.boolean(key) : otherwise;
}

std::string optional_text(const ModelSource& source, const char* key) {
    return source.has(key) ? source.text(key) : std::string();
}

}  // namespace crispvl

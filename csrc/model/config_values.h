// Single values of a model file, in the range that the architecture allows. All throw
// Error{model_file} that names the key.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>

#include "base/error.h"
#include "gguf/source.h"

namespace crispvl {

// Widths and counts: products of four of them fit 64 bits.
constexpr int64_t kLargestDimension = int64_t{1} << 24;
// Ten times what any model has; bounds the memory for graphs, which the file's size does not.
constexpr int64_t kMostLayers = 1024;

Error invalid_value(const ModelSource& source, const std::string& key, const std::string& expected,
                    const std::string& found);

int64_t dimension(const ModelSource& source, const std::string& key,
                  int64_t largest = kLargestDimension);
float positive(const ModelSource& source, const std::string& key);
int32_t token_id(const ModelSource& source, const std::string& key, int64_t vocab_size);

bool optional_flag(const ModelSource& source, const char* key, bool otherwise = false);
std::string optional_text(const ModelSource& source, const char* key);  // "" without the key

// What the key's name means.
template <typename T>
T choice(const ModelSource& source, const std::string& key,
         std::initializer_list<std::pair<const char*, T>> values) {
    const std::string found = source.text(key);
    std::string expected;
    for (const auto& [name, value] : values) {
        if (found == name) return value;
        expected += (expected.empty() ? "" : " or ") + std::string(name);
    }
    throw invalid_value(source, key, expected, "'" + found + "'");
}

}  // namespace crispvl

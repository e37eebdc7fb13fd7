#include "gguf/source.h"

#include <set>

#include "base/error.h"

namespace crispvl {
namespace {

Error missing(const ModelSource& source, std::string_view key, const char* type) {
    return Error(ErrorKind::model_file, "[config] expected the key '" + std::string(key) + "' (" +
                                            type + "); found that " + source.describe() +
                                            " does not have it; convert the checkpoint again");
}

Error mistyped(const ModelSource& source, std::string_view key, const char* type) {
    return Error(ErrorKind::model_file, "[config] expected '" + std::string(key) + "' to be " +
                                            type + "; found that " + source.describe() +
                                            " has another type; convert the checkpoint again");
}

template <typename T>
T require(const ModelSource& source, std::string_view key, const char* type) {
    std::optional<GgufValue> value = source.find(key);
    if (!value) throw missing(source, key, type);
    if (T* typed = std::get_if<T>(&*value)) return std::move(*typed);
    throw mistyped(source, key, type);
}

}  // namespace

bool ModelSource::has(std::string_view key) const {
    if (deduced_.find(key) != deduced_.end()) return true;
    if (is_hidden(key)) return false;
    for (const auto& file : files_) {
        if (file->has(key)) return true;
    }
    return false;
}

std::optional<GgufValue> ModelSource::find(std::string_view key) const {
    if (auto it = deduced_.find(key); it != deduced_.end()) return it->second;
    if (is_hidden(key)) return std::nullopt;
    for (const auto& file : files_) {
        if (auto value = file->find(key)) return value;
    }
    return std::nullopt;
}

bool ModelSource::is_hidden(std::string_view key) const {
    for (const std::string& prefix : hidden_) {
        if (key.substr(0, prefix.size()) == prefix) return true;
    }
    return false;
}

int64_t ModelSource::integer(std::string_view key) const {
    return require<int64_t>(*this, key, "an integer");
}

double ModelSource::real(std::string_view key) const {
    std::optional<GgufValue> value = find(key);
    if (value && std::holds_alternative<int64_t>(*value)) {
        return static_cast<double>(std::get<int64_t>(*value));
    }
    return require<double>(*this, key, "a number");
}

bool ModelSource::boolean(std::string_view key) const {
    return require<bool>(*this, key, "a bool");
}

std::string ModelSource::text(std::string_view key) const {
    return require<std::string>(*this, key, "a string");
}

std::vector<std::string> ModelSource::texts(std::string_view key) const {
    return require<std::vector<std::string>>(*this, key, "an array of strings");
}

std::vector<int64_t> ModelSource::integers(std::string_view key) const {
    return require<std::vector<int64_t>>(*this, key, "an array of integers");
}

std::vector<double> ModelSource::reals(std::string_view key) const {
    return require<std::vector<double>>(*this, key, "an array of numbers");
}

std::vector<bool> ModelSource::booleans(std::string_view key) const {
    return require<std::vector<bool>>(*this, key, "an array of bools");
}

std::vector<std::pair<std::string, GgufValue>> ModelSource::keys() const {
    std::vector<std::pair<std::string, GgufValue>> all;
    std::set<std::string> seen;
    for (const auto& [key, value] : deduced_) {
        seen.insert(key);
        all.emplace_back(key, value);
    }
    for (const auto& file : files_) {
        for (size_t i = 0; i < file->n_keys(); ++i) {
            std::string key = file->key(i);
            if (!is_hidden(key) && seen.insert(key).second)
                all.emplace_back(std::move(key), file->value(i));
        }
    }
    return all;
}

void ModelSource::require_unchanged() const {
    for (const auto& file : files_) file->require_unchanged();
}

void ModelSource::release(std::string_view prefix) const {
    for (const auto& [name, tensor] : tensors_) {
        if (std::string_view(name).substr(0, prefix.size()) != prefix) continue;
        for (const auto& file : files_) file->mapping().release(tensor.data, tensor.n_bytes);
    }
}

bool ModelSource::has_vision() const {
    return tensors_.lower_bound("v.") != tensors_.end() &&
           tensors_.lower_bound("v.")->first.compare(0, 2, "v.") == 0;
}

std::string ModelSource::describe() const {
    std::string text;
    for (const auto& file : files_) text += (text.empty() ? "'" : " and '") + file->path() + "'";
    return text;
}

void ModelSource::add_tensor(GgufTensor tensor) {
    std::string name = tensor.name;
    if (!tensors_.emplace(name, std::move(tensor)).second) {
        throw Error(ErrorKind::model_file, "[weights] expected each tensor once; found that '" +
                                               name + "' is in two files of " + describe() +
                                               "; give the text file and its mmproj");
    }
}

}  // namespace crispvl

// A model as it is on disk: one or more GGUF files seen as one set of canonical keys and tensors.
// Foreign layouts are translated here (dialect.cpp), so nothing below knows a foreign name.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/gguf_file.h"

namespace crispvl {

class ModelSource {
public:
    // Opens a single file, or a text file with its `mmproj` ("" for none). The vocabulary of the
    // GGUF file `tokenizer` ("" for none) replaces the model's own. Throws Error{not_found,
    // model_file}, and while copying Error{memory, cancelled}.
    static ModelSource open(const std::string& path, const std::string& mmproj,
                            const std::string& tokenizer = "", FileAccess access = {});
    // The same from memory; each file's bytes are copied, and `mmproj` may be empty.
    static ModelSource open(FileBytes bytes, FileBytes mmproj);

    // Canonical keys. Deduced values go before the files' own; the first file wins.
    bool has(std::string_view key) const;
    std::optional<GgufValue> find(std::string_view key) const;
    // Typed access; a missing key or another type is an Error{model_file} that names the key.
    int64_t integer(std::string_view key) const;
    double real(std::string_view key) const;
    bool boolean(std::string_view key) const;
    std::string text(std::string_view key) const;
    std::vector<std::string> texts(std::string_view key) const;
    std::vector<int64_t> integers(std::string_view key) const;
    std::vector<double> reals(std::string_view key) const;
    std::vector<bool> booleans(std::string_view key) const;
    // Every key with its value, each once.
    std::vector<std::pair<std::string, GgufValue>> keys() const;

    const std::map<std::string, GgufTensor, std::less<>>& tensors() const { return tensors_; }
    const std::vector<std::shared_ptr<const GgufFile>>& files() const { return files_; }
    // Throws Error{model_file} when a file is no longer what was opened.
    void require_unchanged() const;
    // Facts the dialect deduced and doubts a user should hear of, one sentence each.
    const std::vector<std::string>& warnings() const { return warnings_; }
    // Lets go of the memory of tensors whose names begin with `prefix`; they can still be read.
    void release(std::string_view prefix) const;
    bool has_vision() const;
    std::string describe() const;  // the paths, for messages

    // For dialects.
    void deduce(const std::string& key, GgufValue value) { deduced_[key] = std::move(value); }
    // The files' keys that begin with `prefix` are as if they were not there.
    void hide(std::string prefix) { hidden_.push_back(std::move(prefix)); }
    void warn(std::string sentence) { warnings_.push_back(std::move(sentence)); }
    void add_file(std::shared_ptr<const GgufFile> file) { files_.push_back(std::move(file)); }
    // Throws Error{model_file} when the name is taken.
    void add_tensor(GgufTensor tensor);

private:
    bool is_hidden(std::string_view key) const;

    std::vector<std::shared_ptr<const GgufFile>> files_;
    std::vector<std::string> hidden_;
    std::map<std::string, GgufValue, std::less<>> deduced_;
    std::map<std::string, GgufTensor, std::less<>> tensors_;
    std::vector<std::string> warnings_;
};

}  // namespace crispvl

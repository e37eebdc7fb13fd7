// One GGUF file: typed keys and tensor infos, every range checked against the real file size, the
// tensor data mapped, or copied once as it is. The container is parsed by ggml (gguf.h).
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "ggml-cpp.h"
#include "gguf/mapped_file.h"

namespace crispvl {

// A key's value: scalars widened, arrays flat.
using GgufValue = std::variant<int64_t, double, bool, std::string, std::vector<int64_t>,
                               std::vector<double>, std::vector<bool>, std::vector<std::string>>;

// Whether weights may be of a type: ggml multiplies all that it can turn into floats. Others, such
// as integers and F64, end the process within its kernels.
bool is_readable_type(ggml_type type);

struct GgufTensor {
    std::string name;
    ggml_type type = GGML_TYPE_F32;
    std::array<int64_t, 4> ne{1, 1, 1, 1};
    const uint8_t* data = nullptr;
    size_t n_bytes = 0;
};

class GgufFile {
public:
    // Reads the header. Throws Error{not_found, model_file}, and while copying {memory, cancelled}.
    explicit GgufFile(const std::string& path, FileAccess access = {});
    explicit GgufFile(FileBytes bytes);
    // Throws Error{model_file} when the file ends before its tensors' data does; until then no
    // tensor's data may be read.
    void require_data() const;
    // Throws Error{model_file} when the file was written to or cut since it was opened: its pages
    // are the file's, and those beyond a new end cannot be read at all.
    void require_unchanged() const;

    const std::string& path() const { return file_.path(); }  // "(memory)" where there is none
    const MappedFile& mapping() const { return file_; }
    const std::vector<GgufTensor>& tensors() const { return tensors_; }
    const gguf_context* raw() const { return gguf_.get(); }

    size_t n_keys() const;
    std::string key(size_t i_key) const;
    GgufValue value(size_t i_key) const;
    // Absent when the file has no such key.
    std::optional<GgufValue> find(std::string_view key) const;
    bool has(std::string_view key) const;

private:
    void read_tensors();

    MappedFile file_;
    gguf_context_ptr gguf_;
    std::string incomplete_;  // what is missing, or empty
    std::vector<GgufTensor> tensors_;
};

}  // namespace crispvl

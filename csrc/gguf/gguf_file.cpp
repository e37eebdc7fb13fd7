#include "gguf/gguf_file.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "base/error.h"
#include "base/log.h"

namespace crispvl {
namespace {

Error unusable(const std::string& path, const std::string& found) {
    return Error(ErrorKind::model_file, "[model] expected a complete GGUF file; found '" + path +
                                            "': " + found + "; download or convert it again");
}

constexpr uint64_t kLargestAlignment = 4096;

// Reads a header a window at a time: ggml asks for each of a vocabulary's strings by itself.
class HeaderReader {
public:
    explicit HeaderReader(const MappedFile& file) : file_(file), window_(size_t{1} << 18) {}

    // As ggml calls it: bytes read, fewer at the end of the file.
    static size_t read(void* self, void* out, uint64_t offset, size_t n_bytes) {
        return static_cast<HeaderReader*>(self)->read(static_cast<size_t>(offset), out, n_bytes);
    }

private:
    size_t read(size_t offset, void* out, size_t n_wanted) {
        if (n_wanted > window_.size()) return file_.read(offset, out, n_wanted);
        if (offset < begin_ || offset - begin_ > n_held_ ||
            n_wanted > n_held_ - (offset - begin_)) {
            n_held_ = file_.read(offset, window_.data(), window_.size());
            begin_ = offset;
        }
        const size_t n_bytes = std::min(n_wanted, n_held_ - (offset - begin_));
        std::memcpy(out, window_.data() + (offset - begin_), n_bytes);
        return n_bytes;
    }

    const MappedFile& file_;
    std::vector<uint8_t> window_;
    size_t begin_ = 0, n_held_ = 0;
};

// ggml catches bad_alloc on the way and calls the file damaged. Its message begins with a
// function's name; what the file could have written into it comes later.
bool ran_out_of_memory(const std::string& reason) {
    static const std::string words = ": encountered bad_alloc";
    return reason.compare(std::min(reason.find(':'), reason.size()), words.size(), words) == 0;
}

gguf_context_ptr parse(const MappedFile& file) {
    install_log_sink();
    char magic[4];
    if (file.read(0, magic, sizeof magic) < 4 || std::memcmp(magic, GGUF_MAGIC, 4) != 0) {
        throw Error(ErrorKind::model_file,
                    "[model] expected a GGUF file; found that '" + file.path() +
                        "' does not begin with 'GGUF'; give a .gguf file or convert the checkpoint "
                        "with 'crispvl convert'");
    }
    take_log_error();
    // A file of only a header ends before the padding that ggml wants to skip.
    const uint64_t padded_bytes = GGML_PAD(uint64_t{file.size()}, kLargestAlignment);
    HeaderReader reader(file);
    gguf_context_ptr gguf(gguf_init_from_callback(HeaderReader::read, &reader, /*max_chunk_read=*/0,
                                                  padded_bytes, {/*no_alloc=*/true, nullptr}));
    if (!gguf) {
        const std::string reason = take_log_error();
        if (ran_out_of_memory(reason)) throw std::bad_alloc();
        throw unusable(file.path(), reason.empty() ? "its header is damaged" : reason);
    }
    return gguf;
}

template <typename T, typename Wide>
std::vector<Wide> widen(const void* data, size_t n) {
    const T* first = static_cast<const T*>(data);
    return std::vector<Wide>(first, first + n);
}

GgufValue array_value(const gguf_context* gguf, int64_t id) {
    const size_t n = gguf_get_arr_n(gguf, id);
    const gguf_type type = gguf_get_arr_type(gguf, id);
    if (type == GGUF_TYPE_STRING) {
        std::vector<std::string> texts;
        texts.reserve(n);
        for (size_t i = 0; i < n; ++i) texts.emplace_back(gguf_get_arr_str(gguf, id, i));
        return texts;
    }
    const void* data = gguf_get_arr_data(gguf, id);
    switch (type) {
        case GGUF_TYPE_UINT8:
            return widen<uint8_t, int64_t>(data, n);
        case GGUF_TYPE_INT8:
            return widen<int8_t, int64_t>(data, n);
        case GGUF_TYPE_UINT16:
            return widen<uint16_t, int64_t>(data, n);
        case GGUF_TYPE_INT16:
            return widen<int16_t, int64_t>(data, n);
        case GGUF_TYPE_UINT32:
            return widen<uint32_t, int64_t>(data, n);
        case GGUF_TYPE_INT32:
            return widen<int32_t, int64_t>(data, n);
        case GGUF_TYPE_INT64:
            return widen<int64_t, int64_t>(data, n);
        case GGUF_TYPE_FLOAT32:
            return widen<float, double>(data, n);
        case GGUF_TYPE_FLOAT64:
            return widen<double, double>(data, n);
        case GGUF_TYPE_BOOL:
            return widen<int8_t, bool>(data, n);
        case GGUF_TYPE_UINT64: {
            std::vector<int64_t> values;
            const uint64_t* first = static_cast<const uint64_t*>(data);
            for (size_t i = 0; i < n; ++i) values.push_back(static_cast<int64_t>(first[i]));
            return values;
        }
        default:
            return std::vector<int64_t>();
    }
}

}  // namespace

bool is_readable_type(ggml_type type) {
    return type == GGML_TYPE_F32 || ggml_get_type_traits(type)->to_float != nullptr;
}

GgufFile::GgufFile(const std::string& path, FileAccess access) : file_(path), gguf_(parse(file_)) {
    file_.load(access);  // only now: what is no model is refused without a copy
    read_tensors();
}

GgufFile::GgufFile(FileBytes bytes) : file_(bytes), gguf_(parse(file_)) {
    read_tensors();
}

void GgufFile::read_tensors() {
    const size_t data_start = gguf_get_data_offset(gguf_.get());
    const int64_t n_tensors = gguf_get_n_tensors(gguf_.get());
    tensors_.reserve(static_cast<size_t>(n_tensors));
    for (int64_t i = 0; i < n_tensors; ++i) {
        GgufTensor tensor;
        tensor.name = gguf_get_tensor_name(gguf_.get(), i);
        tensor.type = gguf_get_tensor_type(gguf_.get(), i);
        tensor.n_bytes = gguf_get_tensor_size(gguf_.get(), i);
        const int64_t* ne = gguf_get_tensor_ne(gguf_.get(), i);
        std::copy(ne, ne + 4, tensor.ne.begin());
        const size_t offset = gguf_get_tensor_offset(gguf_.get(), i);
        const size_t available = file_.size() > data_start ? file_.size() - data_start : 0;
        if (offset > available || tensor.n_bytes > available - offset) {
            incomplete_ = "tensor '" + tensor.name + "' ends at byte " +
                          std::to_string(data_start + offset + tensor.n_bytes) + " of a file of " +
                          std::to_string(file_.size()) + " bytes";
        }
        tensor.data = file_.data() + data_start + offset;
        tensors_.push_back(std::move(tensor));
    }
}

void GgufFile::require_data() const {
    if (!incomplete_.empty()) throw unusable(path(), incomplete_);
}

void GgufFile::require_unchanged() const {
    const std::string change = file_.change();
    if (change.empty()) return;
    throw Error(ErrorKind::model_file,
                "[model] expected '" + path() +
                    "' to stay as it was while it is in use; found that " + change +
                    "; put another model beside it and rename, and load this one again");
}

size_t GgufFile::n_keys() const {
    return static_cast<size_t>(gguf_get_n_kv(gguf_.get()));
}

std::string GgufFile::key(size_t i_key) const {
    return gguf_get_key(gguf_.get(), static_cast<int64_t>(i_key));
}

bool GgufFile::has(std::string_view key) const {
    return gguf_find_key(gguf_.get(), std::string(key).c_str()) >= 0;
}

std::optional<GgufValue> GgufFile::find(std::string_view key) const {
    const int64_t id = gguf_find_key(gguf_.get(), std::string(key).c_str());
    if (id < 0) return std::nullopt;
    return value(static_cast<size_t>(id));
}

GgufValue GgufFile::value(size_t i_key) const {
    const gguf_context* gguf = gguf_.get();
    const int64_t id = static_cast<int64_t>(i_key);
    switch (gguf_get_kv_type(gguf, id)) {
        case GGUF_TYPE_UINT8:
            return int64_t{gguf_get_val_u8(gguf, id)};
        case GGUF_TYPE_INT8:
            return int64_t{gguf_get_val_i8(gguf, id)};
        case GGUF_TYPE_UINT16:
            return int64_t{gguf_get_val_u16(gguf, id)};
        case GGUF_TYPE_INT16:
            return int64_t{gguf_get_val_i16(gguf, id)};
        case GGUF_TYPE_UINT32:
            return int64_t{gguf_get_val_u32(gguf, id)};
        case GGUF_TYPE_INT32:
            return int64_t{gguf_get_val_i32(gguf, id)};
        case GGUF_TYPE_UINT64:
            return static_cast<int64_t>(gguf_get_val_u64(gguf, id));
        case GGUF_TYPE_INT64:
            return gguf_get_val_i64(gguf, id);
        case GGUF_TYPE_FLOAT32:
            return double{gguf_get_val_f32(gguf, id)};
        case GGUF_TYPE_FLOAT64:
            return gguf_get_val_f64(gguf, id);
        case GGUF_TYPE_BOOL:
            return gguf_get_val_bool(gguf, id);
        case GGUF_TYPE_STRING:
            return std::string(gguf_get_val_str(gguf, id));
        default:
            return array_value(gguf, id);
    }
}

}  // namespace crispvl

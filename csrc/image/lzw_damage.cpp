#include "image/lzw_damage.h"

#include <array>

namespace crispvl {
namespace {

constexpr uint32_t kLongestCode = 12, kMostCodes = 1u << kLongestCode;  // bits

class Codes {
public:
    Codes(const uint8_t* data, size_t n_bytes, bool high_bits_first)
        : data_(data), n_bytes_(n_bytes), high_bits_first_(high_bits_first) {}

    std::optional<uint32_t> take(uint32_t n_bits) {
        for (; n_held_ < n_bits; n_held_ += 8) {
            if (at_ == n_bytes_) return std::nullopt;
            const uint32_t byte = data_[at_++];
            held_ = high_bits_first_ ? held_ << 8 | byte : held_ | byte << n_held_;
        }
        n_held_ -= n_bits;
        const uint32_t mask = (1u << n_bits) - 1;
        if (high_bits_first_) return held_ >> n_held_ & mask;
        const uint32_t code = held_ & mask;
        held_ >>= n_bits;
        return code;
    }

private:
    const uint8_t* data_;
    size_t n_bytes_, at_ = 0;
    uint32_t held_ = 0, n_held_ = 0;  // bits that were read and not taken
    bool high_bits_first_;
};

// How many values each code stands for.
class Table {
public:
    explicit Table(const LzwForm& form)
        : clear_(1u << form.value_bits), n_early_(form.is_widened_early ? 1 : 0) {
        n_values_.fill(1);
        clear();
    }

    uint32_t clear_code() const { return clear_; }
    uint32_t end_code() const { return clear_ + 1; }
    uint32_t code_bits() const { return code_bits_; }

    void clear() {
        next_ = clear_ + 2;
        last_.reset();
        code_bits_ = 1;
        while (1u << code_bits_ <= clear_) ++code_bits_;
    }

    // Nothing where the code means nothing.
    std::optional<int64_t> add(uint32_t code) {
        if (!last_) {
            if (code >= clear_) return std::nullopt;
        } else if (next_ < kMostCodes) {
            n_values_[next_++] = static_cast<uint16_t>(n_values_[*last_] + 1);
            if (next_ + n_early_ == 1u << code_bits_ && code_bits_ < kLongestCode) ++code_bits_;
        }
        if (code >= next_) return std::nullopt;
        last_ = code;
        return n_values_[code];
    }

private:
    std::array<uint16_t, kMostCodes> n_values_;
    std::optional<uint32_t> last_;  // the code before
    uint32_t clear_, n_early_, next_ = 0, code_bits_ = 0;
};

}  // namespace

std::optional<int64_t> count_lzw_values(const uint8_t* data, size_t n_bytes, const LzwForm& form,
                                        int64_t most) {
    Codes codes(data, n_bytes, form.high_bits_first);
    Table table(form);
    int64_t n_values = 0;
    while (n_values <= most) {
        const std::optional<uint32_t> code = codes.take(table.code_bits());
        if (!code || *code == table.end_code()) break;
        if (*code == table.clear_code()) {
            table.clear();
            continue;
        }
        const std::optional<int64_t> n = table.add(*code);
        if (!n) return std::nullopt;
        n_values += *n;
    }
    return n_values;
}

}  // namespace crispvl

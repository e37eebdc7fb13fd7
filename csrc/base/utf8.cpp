// UTF-8 by the table of well-formed byte sequences (The Unicode Standard, table 3-7).
#include "base/utf8.h"

namespace crispvl {
namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// Appends the repaired text of `bytes` and returns how many bytes were used: all of them, or all
// but an unfinished character at the end.
size_t append_repaired(std::string& text, std::string_view bytes) {
    size_t at = 0;
    while (at < bytes.size()) {
        const Utf8Step step = utf8_step(bytes.substr(at));
        if (step.status == Utf8Status::incomplete) break;
        if (step.status == Utf8Status::complete) {
            text.append(bytes.substr(at, step.n_bytes));
        } else {
            text.append(kReplacement);
        }
        at += step.n_bytes;
    }
    return at;
}

}  // namespace

Utf8Step utf8_step(std::string_view bytes) {
    const auto lead = static_cast<unsigned char>(bytes[0]);
    if (lead < 0x80) return {Utf8Status::complete, 1, lead};
    if (lead < 0xC2 || lead > 0xF4) return {Utf8Status::invalid, 1, 0};
    const size_t n_bytes = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;

    // The second byte's range is narrower where overlong forms, surrogates or > U+10FFFF begin.
    unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
    unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
    char32_t code_point = lead & (0xFFu >> (n_bytes + 1));
    for (size_t i = 1; i < n_bytes; ++i) {
        if (i == bytes.size()) return {Utf8Status::incomplete, i, 0};
        const auto byte = static_cast<unsigned char>(bytes[i]);
        if (byte < low || byte > high) return {Utf8Status::invalid, i, 0};
        code_point = (code_point << 6) | (byte & 0x3Fu);
        low = 0x80;
        high = 0xBF;
    }
    return {Utf8Status::complete, n_bytes, code_point};
}

void append_utf8(std::string& text, char32_t code_point) {
    const auto put = [&text](char32_t byte) { text.push_back(static_cast<char>(byte)); };
    if (code_point < 0x80) {
        put(code_point);
    } else if (code_point < 0x800) {
        put(0xC0 | (code_point >> 6));
        put(0x80 | (code_point & 0x3F));
    } else if (code_point < 0x10000) {
        put(0xE0 | (code_point >> 12));
        put(0x80 | ((code_point >> 6) & 0x3F));
        put(0x80 | (code_point & 0x3F));
    } else {
        put(0xF0 | (code_point >> 18));
        put(0x80 | ((code_point >> 12) & 0x3F));
        put(0x80 | ((code_point >> 6) & 0x3F));
        put(0x80 | (code_point & 0x3F));
    }
}

std::u32string to_code_points(std::string_view bytes) {
    std::u32string text;
    while (!bytes.empty()) {
        const Utf8Step step = utf8_step(bytes);
        text.push_back(step.status == Utf8Status::complete ? step.code_point : U'\uFFFD');
        bytes.remove_prefix(step.n_bytes);
    }
    return text;
}

std::string to_utf8(std::u32string_view text) {
    std::string bytes;
    for (const char32_t code_point : text) append_utf8(bytes, code_point);
    return bytes;
}

std::string repair_utf8(std::string_view bytes) {
    Utf8Stream stream;
    std::string text = stream.push(bytes);
    return text += stream.finish();
}

bool is_valid_utf8(std::string_view bytes) {
    while (!bytes.empty()) {
        const Utf8Step step = utf8_step(bytes);
        if (step.status != Utf8Status::complete) return false;
        bytes.remove_prefix(step.n_bytes);
    }
    return true;
}

std::string Utf8Stream::push(std::string_view bytes) {
    held_.append(bytes);
    std::string text;
    held_.erase(0, append_repaired(text, held_));
    return text;
}

std::string Utf8Stream::finish() {
    if (held_.empty()) return {};
    held_.clear();
    return std::string(kReplacement);
}

}  // namespace crispvl

// Pre-tokenisers, scanners for the regular expressions of the published tokenizers. Qwen2's is
//   (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*
//   |\s*[\r\n]+|\s+(?!\S)|\s+
// Llama 3's has \p{N}{1,3} in it. That of gpt-oss (o200k) cuts words where capitals begin as well:
//   P?U*L+C?|P?U+L*C?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+
// where P is [^\r\n\p{L}\p{N}], U [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}], L [\p{Ll}\p{Lm}\p{Lo}\p{M}] and
// C the endings of Qwen2's first alternative. Alternatives are tried in order, each as long as it
// can be; every character is in some word.
#include "text/pretokenizer.h"

#include <initializer_list>
#include <string>

#include "base/error.h"
#include "base/utf8.h"
#include "text/unicode.h"

namespace crispvl {
namespace {

struct Character {
    char32_t code = 0;
    size_t n_bytes = 0;  // 0 past the end of the text
    CharClass kind = CharClass::other;

    bool is(CharClass other) const { return n_bytes > 0 && kind == other; }
    bool is_newline() const { return code == '\n' || code == '\r'; }
};

Character character_at(std::string_view text, size_t at) {
    if (at >= text.size()) return {};
    const Utf8Step step = utf8_step(text.substr(at));
    return {step.code_point, step.n_bytes, char_class(step.code_point)};
}

size_t end_of_run(std::string_view text, size_t at, CharClass kind) {
    for (Character c = character_at(text, at); c.is(kind); c = character_at(text, at)) {
        at += c.n_bytes;
    }
    return at;
}

// Bytes of (?i:s|t|re|ve|m|ll|d) at the start of `text`, or 0. Under case folding the long s
// (U+017F) is an s too; no other character outside ASCII folds into one of these.
size_t contraction_bytes(std::string_view text) {
    constexpr std::string_view kLongS = "\xC5\xBF";
    if (text.substr(0, 2) == kLongS) return 2;
    const auto lower = [text](size_t i) {
        const char c = i < text.size() ? text[i] : '\0';
        return 'A' <= c && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    };
    for (const std::string_view ending : {"s", "t", "re", "ve", "m", "ll", "d"}) {
        if (lower(0) == ending[0] && (ending.size() == 1 || lower(1) == ending[1])) {
            return ending.size();
        }
    }
    return 0;
}

// \s*[\r\n]+|\s+(?!\S)|\s+ : up to the last newline of the run of spaces; else without the last
// space, which goes to the word that follows, unless it is the only one or no word follows.
size_t end_of_spaces(std::string_view text, size_t begin) {
    size_t end = begin, last = begin, after_newline = begin;
    for (Character c = character_at(text, end); c.is(CharClass::space);
         c = character_at(text, end)) {
        last = end;
        end += c.n_bytes;
        if (c.is_newline()) after_newline = end;
    }
    if (after_newline > begin) return after_newline;
    return end == text.size() || last == begin ? end : last;
}

size_t end_of_digits(std::string_view text, size_t at, int most) {
    for (int i = 0; i < most; ++i) {
        const Character c = character_at(text, at);
        if (!c.is(CharClass::number)) break;
        at += c.n_bytes;
    }
    return at;
}

template <int kMostDigits>
size_t word_end(std::string_view text, size_t begin) {
    const Character first = character_at(text, begin);
    const size_t next = begin + first.n_bytes;
    if (first.code == '\'') {
        if (const size_t n = contraction_bytes(text.substr(next))) return next + n;
    }
    if (first.is(CharClass::letter)) return end_of_run(text, next, CharClass::letter);
    if (first.is(CharClass::number)) return end_of_digits(text, begin, kMostDigits);
    const Character second = character_at(text, next);
    if (second.is(CharClass::letter) && !first.is_newline()) {
        return end_of_run(text, next, CharClass::letter);
    }
    if (first.is(CharClass::other) || (first.code == ' ' && second.is(CharClass::other))) {
        size_t end = end_of_run(text, next, CharClass::other);
        while (character_at(text, end).is_newline()) ++end;
        return end;
    }
    return end_of_spaces(text, begin);
}

bool may_be_upper(LetterCase letter) {
    return letter == LetterCase::upper || letter == LetterCase::both;
}
bool may_be_lower(LetterCase letter) {
    return letter == LetterCase::lower || letter == LetterCase::both;
}

// The end of U*L+ at `at`, or `at` where it does not match.
size_t end_of_capitalised(std::string_view text, size_t at) {
    size_t end = at, after_last_lower = at;  // of what U* takes
    for (Character c = character_at(text, end); c.n_bytes > 0; c = character_at(text, end)) {
        const LetterCase letter = letter_case(c.code);
        if (!may_be_upper(letter)) break;
        end += c.n_bytes;
        if (may_be_lower(letter)) after_last_lower = end;
    }
    size_t lower_end = end;
    for (Character c = character_at(text, lower_end);
         c.n_bytes > 0 && may_be_lower(letter_case(c.code)); c = character_at(text, lower_end)) {
        lower_end += c.n_bytes;
    }
    return lower_end > end ? lower_end : after_last_lower;
}

// The end of U+L* at `at`, where U*L+ does not match; `at` where this does not either.
size_t end_of_capitals(std::string_view text, size_t at) {
    for (Character c = character_at(text, at); c.n_bytes > 0 && may_be_upper(letter_case(c.code));
         c = character_at(text, at)) {
        at += c.n_bytes;
    }
    return at;
}

size_t cased_word_end(std::string_view text, size_t begin) {
    const Character first = character_at(text, begin);
    const size_t next = begin + first.n_bytes;
    const bool is_prefix =
        !first.is_newline() && !first.is(CharClass::letter) && !first.is(CharClass::number);
    for (const auto end_of : {end_of_capitalised, end_of_capitals}) {
        for (const size_t at : {is_prefix ? next : begin, begin}) {
            const size_t end = end_of(text, at);
            if (end == at) continue;
            const bool is_apostrophe = character_at(text, end).code == '\'';
            const size_t n = is_apostrophe ? contraction_bytes(text.substr(end + 1)) : 0;
            return n > 0 ? end + 1 + n : end;
        }
    }
    if (first.is(CharClass::number)) return end_of_digits(text, begin, 3);
    if (first.is(CharClass::other) ||
        (first.code == ' ' && character_at(text, next).is(CharClass::other))) {
        size_t end = end_of_run(text, next, CharClass::other);
        for (Character c = character_at(text, end); c.is_newline() || c.code == '/';
             c = character_at(text, end)) {
            ++end;
        }
        return end;
    }
    return end_of_spaces(text, begin);
}

constexpr PreTokenizer kPreTokenizers[] = {
    {"qwen2", /*nfc=*/true, /*whole_words=*/false, word_end<1>},
    {"llama-bpe", /*nfc=*/false, /*whole_words=*/true, word_end<3>},
    {"gpt-4o", /*nfc=*/false, /*whole_words=*/false, cased_word_end},
};

}  // namespace

const PreTokenizer& find_pre_tokenizer(std::string_view name) {
    std::string known;
    for (const PreTokenizer& pre : kPreTokenizers) {
        if (pre.name == name) return pre;
        known += (known.empty() ? "'" : ", '") + std::string(pre.name) + "'";
    }
    throw Error(ErrorKind::model_file, "[tokenizer] expected as 'tokenizer.ggml.pre' one of " +
                                           known + "; found '" + repair_utf8(name) +
                                           "'; convert the model again from its checkpoint");
}

}  // namespace crispvl

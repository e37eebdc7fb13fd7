// Table look-ups and normalisation form C. The tables are written at build time by
// generate_unicode_tables.py; Hangul is composed by arithmetic (The Unicode Standard, 3.12).
#include "text/unicode.h"

#include <algorithm>
#include <iterator>
#include <vector>

#include "base/utf8.h"

namespace crispvl {
namespace {

template <class Value>
struct Range {
    char32_t first, last;
    Value value;
};

struct Decomposition {
    char32_t composed, first, second;  // second is 0 where one character replaces another
};

struct Composition {
    char32_t first, second, composed;
};

#include "crispvl_unicode_tables.inc"

// The value of the range that holds `code`, or `otherwise`. Ranges are sorted and disjoint.
template <class Value, size_t n>
Value look_up(const Range<Value> (&ranges)[n], char32_t code, Value otherwise) {
    const auto* range =
        std::lower_bound(std::begin(ranges), std::end(ranges), code,
                         [](const Range<Value>& r, char32_t c) { return r.last < c; });
    return range != std::end(ranges) && range->first <= code ? range->value : otherwise;
}

struct Mark {
    char32_t code;
    int combining_class;
};

constexpr char32_t kSyllable = 0xAC00, kInitial = 0x1100, kVowel = 0x1161, kFinal = 0x11A7;
constexpr char32_t n_initials = 19, n_vowels = 21, n_finals = 28;
constexpr char32_t n_syllables = n_initials * n_vowels * n_finals;

void append_decomposed(std::vector<Mark>& marks, char32_t code) {
    if (code - kSyllable < n_syllables) {
        const char32_t index = code - kSyllable;
        marks.push_back({kInitial + index / (n_vowels * n_finals), 0});
        marks.push_back({kVowel + index / n_finals % n_vowels, 0});
        if (index % n_finals != 0) marks.push_back({kFinal + index % n_finals, 0});
        return;
    }
    const auto* row =
        std::lower_bound(std::begin(kDecompositions), std::end(kDecompositions), code,
                         [](const Decomposition& d, char32_t c) { return d.composed < c; });
    if (row != std::end(kDecompositions) && row->composed == code) {
        append_decomposed(marks, row->first);
        if (row->second != 0) append_decomposed(marks, row->second);
        return;
    }
    marks.push_back({code, look_up(kCombiningClasses, code, 0)});
}

// Canonical order: within a run of non-starters, by combining class, otherwise as they came.
void sort_marks(std::vector<Mark>& marks) {
    const auto is_starter = [](const Mark& m) { return m.combining_class == 0; };
    for (auto run = marks.begin(); run != marks.end();) {
        const auto first = std::find_if_not(run, marks.end(), is_starter);
        run = std::find_if(first, marks.end(), is_starter);
        std::stable_sort(first, run, [](const Mark& a, const Mark& b) {
            return a.combining_class < b.combining_class;
        });
    }
}

// The primary composite of two characters, or 0.
char32_t compose(char32_t first, char32_t second) {
    if (first - kInitial < n_initials && second - kVowel < n_vowels) {
        return kSyllable + ((first - kInitial) * n_vowels + second - kVowel) * n_finals;
    }
    const bool has_no_final =
        first - kSyllable < n_syllables && (first - kSyllable) % n_finals == 0;
    if (has_no_final && second > kFinal && second - kFinal < n_finals) {
        return first + second - kFinal;
    }
    const auto* row = std::lower_bound(
        std::begin(kCompositions), std::end(kCompositions), Composition{first, second, 0},
        [](const Composition& a, const Composition& b) {
            return a.first != b.first ? a.first < b.first : a.second < b.second;
        });
    const bool found =
        row != std::end(kCompositions) && row->first == first && row->second == second;
    return found ? row->composed : 0;
}

// Composes each mark with the last starter unless a mark between them blocks it.
void compose_marks(std::vector<Mark>& marks) {
    size_t n_kept = 0;
    size_t starter = marks.size();  // index among the kept; marks.size() means none yet
    for (const Mark mark : marks) {
        if (starter < n_kept) {
            const bool adjacent = starter + 1 == n_kept;
            if (adjacent || marks[n_kept - 1].combining_class < mark.combining_class) {
                if (const char32_t composed = compose(marks[starter].code, mark.code)) {
                    marks[starter].code = composed;
                    continue;
                }
            }
        }
        if (mark.combining_class == 0) starter = n_kept;
        marks[n_kept++] = mark;
    }
    marks.resize(n_kept);
}

}  // namespace

CharClass char_class(char32_t code_point) {
    return look_up(kCharClasses, code_point, CharClass::other);
}

LetterCase letter_case(char32_t code_point) {
    return look_up(kLetterCases, code_point, LetterCase::none);
}

Direction direction(char32_t code_point) {
    return look_up(kDirections, code_point, Direction::none);
}

bool is_decimal(char32_t code_point) {
    return look_up(kDecimals, code_point, false);
}

std::string to_nfc(std::string_view text) {
    std::vector<char32_t> codes;
    codes.reserve(text.size());
    bool is_nfc = true;
    for (std::string_view rest = text; !rest.empty();) {
        const Utf8Step step = utf8_step(rest);
        rest.remove_prefix(step.n_bytes);
        codes.push_back(step.code_point);
        // Below U+0300 nothing composes, reorders or decomposes in NFC.
        is_nfc =
            is_nfc && (step.code_point < 0x300 || !look_up(kNfcActive, step.code_point, false));
    }
    if (is_nfc) return std::string(text);

    std::vector<Mark> marks;
    marks.reserve(codes.size());
    for (const char32_t code : codes) append_decomposed(marks, code);
    sort_marks(marks);
    compose_marks(marks);

    std::string composed;
    composed.reserve(text.size());
    for (const Mark& mark : marks) append_utf8(composed, mark.code);
    return composed;
}

}  // namespace crispvl

#include "lines/markdown.h"

#include <algorithm>
#include <optional>

#include "lines/characters.h"

namespace crispvl::lines {
namespace {

constexpr std::u32string_view kBullets = U"\u2022\u00B7\u25AA\u25E6\u2023*\u2013\u2014-";
constexpr std::u32string_view kHyphens = U"-\u00AD\u2010";
constexpr size_t kMostDigits = 3;  // of an item's number

// Markdown's mark for a line that begins an item of a list.
std::optional<std::u32string> mark_of(const ReadLine& line) {
    if (line.words.size() < 2) return {};
    const std::u32string& first = line.words[0].text;
    if (first.size() == 1 && kBullets.find(first[0]) != kBullets.npos) return U"-";
    const size_t n_digits = first.size() - 1;
    const bool ends = first.back() == U'.' || first.back() == U')';
    const bool is_number = ends && n_digits >= 1 && n_digits <= kMostDigits &&
                           std::all_of(first.begin(), first.end() - 1, is_decimal);
    if (!is_number) return {};
    return first.substr(0, n_digits) + U'.';
}

bool is_word_character(char32_t c) {
    return is_letter_or_digit(c) || c == U'_';
}

// Whether a word goes on in the next line.
bool is_broken(const std::u32string& word, const ReadLine& next) {
    return word.size() >= 2 && kHyphens.find(word.back()) != kHyphens.npos &&
           is_word_character(word[word.size() - 2]) &&
           letter_case(next.words[0].text[0]) == LetterCase::lower;
}

void put_row(TextBuilder& builder, const std::vector<int>& row, const ReadLines& read,
             const std::vector<int>* following) {
    for (const int i : row) {
        const ReadLine& line = read.at(i);
        std::vector<std::u32string> texts = texts_of(line);
        if (const auto mark = mark_of(line); mark && i == row[0]) {
            builder.put(*mark + U' ');
            texts[0].clear();
        }
        const bool goes_on = following != nullptr && row.size() == 1 && following->size() == 1 &&
                             is_broken(texts.back(), read.at((*following)[0]));
        if (goes_on) texts.back().pop_back();
        builder.put_line(line, texts);
        builder.separate(goes_on ? U"" : U" ");
    }
}

void put_heading(TextBuilder& builder, int level, const Rows& rows, const ReadLines& read) {
    builder.put(std::u32string(static_cast<size_t>(level), U'#') + U' ');
    for (const std::vector<int>& row : rows) {
        for (const int i : row) {
            builder.put_line(read.at(i));
            builder.separate(U" ");
        }
    }
}

std::u32string escaped(const std::u32string& text) {
    std::u32string out;
    for (const char32_t c : text) {
        if (c == U'|') out += U'\\';
        out += c;
    }
    return out;
}

void put_cell(TextBuilder& builder, const std::vector<int>& lines, const ReadLines& read) {
    for (const int i : lines) {
        std::vector<std::u32string> texts;
        for (const ReadWord& word : read.at(i).words) texts.push_back(escaped(word.text));
        builder.put_line(read.at(i), texts);
        builder.separate(U" ");
    }
    builder.separate(U"");
}

// The lines of each cell in the order of the page's rows.
std::map<int, std::map<int, std::vector<int>>> table_of(const Cells& cells, const Rows& rows) {
    std::map<int, std::map<int, std::vector<int>>> table;
    for (const std::vector<int>& row : rows) {
        for (const int i : row) table[cells.at(i).row][cells.at(i).column].push_back(i);
    }
    return table;
}

void put_table(TextBuilder& builder, const Cells& cells, const Rows& rows, const ReadLines& read) {
    int n_columns = 0;
    for (const auto& [line, cell] : cells) n_columns = std::max(n_columns, cell.column + 1);
    bool is_head = true;
    for (auto& [i_row, row] : table_of(cells, rows)) {
        for (int column = 0; column < n_columns; ++column) {
            builder.put(column == 0 ? U"| " : U" | ");
            const auto found = row.find(column);
            put_cell(builder, found == row.end() ? std::vector<int>() : found->second, read);
        }
        builder.put(U" |");
        if (is_head) {
            builder.put(U"\n");
            for (int column = 0; column < n_columns; ++column) builder.put(U"| --- ");
            builder.put(U"|");
            is_head = false;
        }
        builder.separate(U"\n");
    }
}

}  // namespace

void MarkdownWriter::put_block(TextBuilder& builder, const std::vector<TextRow>& rows,
                               const ReadLines& read) const {
    Rows kept;
    for (const TextRow& row : rows) {
        std::vector<int> lines;
        for (const int i : row.lines) {
            const auto found = read.find(i);
            if (found != read.end() && !found->second.words.empty()) lines.push_back(i);
        }
        if (!lines.empty()) kept.push_back(std::move(lines));
    }
    if (kept.empty()) return;
    builder.separate(U"\n\n");
    if (const std::optional<Cells> cells = cells_of(lines_, kept)) {
        put_table(builder, *cells, kept, read);
    } else if (const int level = looks_.heading_level(kept); level > 0) {
        put_heading(builder, level, kept, read);
    } else {
        put_paragraphs(builder, kept, read);
    }
}

void MarkdownWriter::put_paragraphs(TextBuilder& builder, const Rows& rows,
                                    const ReadLines& read) const {
    for (size_t i = 0; i < rows.size(); ++i) {
        const std::vector<int>* following = i + 1 < rows.size() ? &rows[i + 1] : nullptr;
        put_row(builder, rows[i], read, following);
        if (following == nullptr) return;
        const bool is_broken_line = rows[i].size() > 1 || following->size() > 1 ||
                                    looks_.ends_early(rows[i].back(), following->front());
        if (mark_of(read.at(following->front()))) {
            builder.separate(U"\n");
        } else if (is_broken_line) {
            builder.separate(U"  \n");
        }
    }
}

}  // namespace crispvl::lines

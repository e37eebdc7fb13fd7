#include "lines/page_writer.h"

#include <algorithm>

namespace crispvl::lines {
namespace {

using Blocks = std::vector<std::vector<TextRow>>;

void keep_tables(Blocks& blocks, const std::vector<LayoutLine>& lines) {
    const auto is_no_table = [&](const std::vector<TextRow>& block) {
        Rows rows;
        for (const TextRow& row : block) rows.push_back(row.lines);
        return !cells_of(lines, rows);
    };
    blocks.erase(std::remove_if(blocks.begin(), blocks.end(), is_no_table), blocks.end());
}

// A row of plain text.
void put_row(TextBuilder& builder, const TextRow& row, const ReadLines& lines) {
    builder.separate(row.first ? U"\n\n" : U"\n");
    for (const int i : row.lines) {
        const auto found = lines.find(i);
        if (found == lines.end()) continue;
        builder.put_line(found->second);
        builder.separate(U" ");
    }
}

}  // namespace

PageWriter::PageWriter(const Layout& layout, WriteAs as)
    : is_markdown_(as != WriteAs::text), markdown_(layout.lines) {
    const std::vector<TextRow> rows = text_rows(layout);
    blocks_ = blocks_of(rows);
    if (as == WriteAs::tables) keep_tables(blocks_, layout.lines);
    if (is_markdown_) {
        parts_ = blocks_;
    } else {
        for (const TextRow& row : rows) parts_.push_back({row});
    }
}

std::vector<int> PageWriter::waiting() const {
    std::vector<int> numbers;
    if (i_part_ == parts_.size()) return numbers;
    for (const TextRow& row : parts_[i_part_]) {
        numbers.insert(numbers.end(), row.lines.begin(), row.lines.end());
    }
    return numbers;
}

void PageWriter::put(const ReadLines& lines) {
    const std::vector<TextRow>& part = parts_.at(i_part_++);
    for (const auto& [number, line] : lines) read_.insert_or_assign(number, line);
    if (is_markdown_) {
        markdown_.put_block(builder_, part, lines);
    } else {
        put_row(builder_, part.front(), lines);
    }
}

std::u32string PageWriter::markdown() const {
    if (is_markdown_) return text();
    TextBuilder builder;
    for (const std::vector<TextRow>& block : blocks_) markdown_.put_block(builder, block, read_);
    return builder.text();
}

}  // namespace crispvl::lines

// Markdown of a page that was read by lines: paragraphs, headings, lists and tables.
//
// What a line is follows from how it looks: a heading is larger or bolder than the page's text, a
// line that ends early, though the next one's first word would have had room, ends on purpose.
#pragma once

#include <map>

#include "lines/columns.h"
#include "lines/text_builder.h"
#include "lines/text_rows.h"

namespace crispvl::lines {

// What was read, by the numbers of the lines; lines without text may be missing.
using ReadLines = std::map<int, ReadLine>;

// Adds the blocks of a page to a text. The lines have to outlive it.
class MarkdownWriter {
public:
    explicit MarkdownWriter(const std::vector<LayoutLine>& lines) : lines_(lines), looks_(lines) {}

    void put_block(TextBuilder& builder, const std::vector<TextRow>& rows,
                   const ReadLines& read) const;

private:
    void put_paragraphs(TextBuilder& builder, const Rows& rows, const ReadLines& read) const;

    const std::vector<LayoutLine>& lines_;
    Typography looks_;
};

}  // namespace crispvl::lines

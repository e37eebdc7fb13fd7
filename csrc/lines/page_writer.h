// What a page's text is made of for each task, in the order in which it is read.
#pragma once

#include "lines/markdown.h"

namespace crispvl::lines {

enum class WriteAs { text, markdown, tables };  // tables: Markdown of these alone

// Writes the text of a page from its lines, part by part, as they are read. The layout has to
// outlive it.
class PageWriter {
public:
    PageWriter(const Layout& layout, WriteAs as);

    const std::u32string& text() const { return builder_.text(); }
    const std::vector<PlacedLine>& lines() const { return builder_.lines(); }
    // The numbers of the lines that are needed next; none at the end.
    std::vector<int> waiting() const;
    // Adds the lines that were waited for.
    void put(const ReadLines& lines);
    // All that was added so far, as Markdown.
    std::u32string markdown() const;

private:
    std::vector<std::vector<TextRow>> blocks_;
    std::vector<std::vector<TextRow>> parts_;  // of the text: blocks, or rows one by one
    size_t i_part_ = 0;
    bool is_markdown_;
    MarkdownWriter markdown_;
    TextBuilder builder_;
    ReadLines read_;
};

}  // namespace crispvl::lines

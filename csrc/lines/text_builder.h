// Text in the making: words of lines, and what is between them.
#pragma once

#include <string>
#include <vector>

#include "lines/joining.h"

namespace crispvl::lines {

// Part of a page's text. Characters are counted from 0.
struct PlacedWord {
    size_t start;
    std::u32string text;
    double confidence;  // probability of the least likely token that has a part in it
    Corners quad;
};
struct PlacedLine {
    size_t start;
    std::u32string text;
    double confidence;  // geometric mean over its characters
    Corners quad;
    int block;
    std::vector<PlacedWord> words;
};

class TextBuilder {
public:
    const std::u32string& text() const { return text_; }
    const std::vector<PlacedLine>& lines() const { return lines_; }  // in the text's order

    // Sets what is between the text so far and what is put next, if anything is.
    void separate(std::u32string_view between);
    // Adds what is no word of the page.
    void put(std::u32string_view text);
    // Adds the words of a line with spaces between them; empty ones are left out. `texts`: what to
    // write for each, where that is not what was read.
    void put_line(const ReadLine& line);
    void put_line(const ReadLine& line, const std::vector<std::u32string>& texts);

private:
    std::u32string text_, between_;
    std::vector<PlacedLine> lines_;
};

// The texts of a line's words.
std::vector<std::u32string> texts_of(const ReadLine& line);

}  // namespace crispvl::lines

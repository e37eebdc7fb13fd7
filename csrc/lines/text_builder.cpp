#include "lines/text_builder.h"

#include <algorithm>
#include <cmath>

namespace crispvl::lines {

void TextBuilder::separate(std::u32string_view between) {
    if (!text_.empty()) between_ = between;
}

void TextBuilder::put(std::u32string_view text) {
    text_ += between_;
    text_ += text;
    between_.clear();
}

void TextBuilder::put_line(const ReadLine& line) {
    put_line(line, texts_of(line));
}

void TextBuilder::put_line(const ReadLine& line, const std::vector<std::u32string>& texts) {
    if (std::all_of(texts.begin(), texts.end(), [](const auto& text) { return text.empty(); })) {
        return;
    }
    put(U"");
    PlacedLine placed{text_.size(), {}, std::exp(line.logprob), line.quad, line.block, {}};
    for (size_t i = 0; i < texts.size(); ++i) {
        if (texts[i].empty()) continue;
        if (text_.size() > placed.start) text_ += U' ';
        const ReadWord& word = line.words[i];
        placed.words.push_back({text_.size(), texts[i], std::exp(word.logprob), word.quad});
        text_ += texts[i];
    }
    placed.text = text_.substr(placed.start);
    lines_.push_back(std::move(placed));
}

std::vector<std::u32string> texts_of(const ReadLine& line) {
    std::vector<std::u32string> texts;
    for (const ReadWord& word : line.words) texts.push_back(word.text);
    return texts;
}

}  // namespace crispvl::lines

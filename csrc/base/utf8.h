// UTF-8, as Python's decoder sees it: what is invalid becomes U+FFFD, one per maximal subpart.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace crispvl {

enum class Utf8Status {
    complete,    // a character
    incomplete,  // the bytes end inside a character
    invalid,     // bytes that begin no character
};

struct Utf8Step {
    Utf8Status status;
    size_t n_bytes;  // how many bytes this step covers, at least 1
    char32_t code_point;
};

// Reads one character, or one invalid subpart, at the start of `bytes`, which is not empty.
Utf8Step utf8_step(std::string_view bytes);

void append_utf8(std::string& text, char32_t code_point);

// `bytes.decode("utf-8", "replace")` of Python, as UTF-8.
std::string repair_utf8(std::string_view bytes);

bool is_valid_utf8(std::string_view bytes);

// Between UTF-8 and its characters; what is invalid becomes U+FFFD.
std::u32string to_code_points(std::string_view bytes);
std::string to_utf8(std::u32string_view text);

// Decodes a stream whose chunks may end inside a character. The concatenation of all results
// equals repair_utf8 of the concatenation of all chunks, however they are cut.
class Utf8Stream {
public:
    // Returns the text that is certain now; at most three bytes of an unfinished character wait.
    std::string push(std::string_view bytes);

    // Ends the stream: an unfinished character becomes U+FFFD. The stream can be used again.
    std::string finish();

private:
    std::string held_;
};

}  // namespace crispvl

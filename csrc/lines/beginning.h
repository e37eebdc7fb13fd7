// The beginning of a line, where fewer tokens are wanted than it has.
#pragma once

#include "lines/joining.h"

namespace crispvl::lines {

// The words of a line that its first `n_tokens` tokens wrote; what they wrote of its first word,
// if that is not whole. Its tokens are those that the words took.
ReadLine beginning_of(const ReadLine& line, size_t n_tokens);

}  // namespace crispvl::lines

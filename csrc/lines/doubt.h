// How far an answer's row can be what its strip shows.
#pragma once

#include "lines/rows.h"
#include "lines/strips.h"

namespace crispvl::lines {

// A row that was read for a strip.
struct Reading {
    Row row;
    bool fits;       // its letters would be of a possible width; else it is another strip's
    bool plausible;  // the strip can show it, as far as its width and its words tell
    bool doubtful;   // it deserves to be read again

    // Higher is surer: the mean log-probability, less what speaks against it.
    double score() const;
};

// A row with what is to be thought of it. `x_height`: of the strip's line, px of the page.
Reading judge(const Strip& strip, Row row, double x_height);

// Whether a line can be told to the reader, or is rather no text at all. Rules, frames and specks
// are read as signs; so signs alone have to be sure. `logprob`: mean over its characters.
bool is_credible(std::u32string_view text, double logprob);

}  // namespace crispvl::lines

// What is told while a page is read in parts.
#pragma once

#include <functional>
#include <string>

#include "model/model.h"

namespace crispvl {

struct ReadingCallbacks {
    TileProgress on_tiles;  // may be empty; begins anew where strips are read again
    // May be empty; takes what is new of the text, and returns whether more is wanted.
    std::function<bool(const std::string& text)> on_text;
};

}  // namespace crispvl

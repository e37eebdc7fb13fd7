// Which pixels of the working image are print.
#pragma once

#include "layout/bitmap.h"
#include "layout/paper.h"

namespace crispvl::layout {

struct Ink {
    Bitmap dark;
    Bitmap light;  // empty where no part of the paper is dark
};

Ink find_ink(const GreyImage& image, const Paper& paper);

// The ink with gaps of up to 2 px filled (a morphological closing by 3 × 3 px), which makes letters
// of dot-matrix print and of worn-out thermal heads whole.
Bitmap closed(const Bitmap& ink);

}  // namespace crispvl::layout

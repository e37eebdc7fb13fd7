// Connected components of ink: pieces of letters, letters, and what else touches itself.
#pragma once

#include "layout/bitmap.h"
#include "layout/geometry.h"

namespace crispvl::layout {

// A horizontal stretch of ink, px from `from` to before `to`.
struct Run {
    int y, from, to;
};

struct Component {
    Box box;
    int area = 0;  // px of ink
    int first_run = 0, n_runs = 0;
    bool light = false;  // lighter than its paper
};

struct Components {
    std::vector<Component> all;
    std::vector<Run> runs;  // those of one component are neighbours, from top to bottom

    const Run* begin(const Component& c) const { return runs.data() + c.first_run; }
    const Run* end(const Component& c) const { return begin(c) + c.n_runs; }
};

// Appends the components of runs in order of rows, those of fewer than `least_area` px left out.
// Runs that touch at sides or corners are of one component.
void group_runs(const std::vector<Run>& runs, int least_area, bool light, Components& found);

// Appends the components of a bitmap, single pixels left out.
void find_components(const Bitmap& ink, bool light, Components& found);

}  // namespace crispvl::layout

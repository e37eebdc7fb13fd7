// Where pictures are: large dark or light shapes that are no letters, rules or frames.
#pragma once

#include "layout/components.h"
#include "layout/paper.h"

namespace crispvl::layout {

class Pictures {
public:
    Pictures() = default;
    // Looks at components larger than letters of `text_height` px, and at other paper than usual.
    Pictures(const Components& components, const Paper& paper, int text_height);

    // Whether most of a box is within a picture or at its rim.
    bool hold(const Box& box) const;

    // A box around each.
    std::vector<Box> boxes() const;

private:
    bool at(int column, int row) const {
        return taken_[static_cast<size_t>(row) * static_cast<size_t>(columns_) +
                      static_cast<size_t>(column)] != 0;
    }
    void add_shapes(const Components& components);
    void add_other_paper(const Paper& paper);
    void widen();
    void fill();
    Components areas() const;  // in tiles

    int tile_px_ = 1, text_height_ = 1;
    int columns_ = 0, rows_ = 0;
    std::vector<uint8_t> taken_;  // [rows, columns]
};

}  // namespace crispvl::layout

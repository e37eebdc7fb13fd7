#include "layout/components.h"

#include <cstring>

#include "layout/sets.h"

namespace crispvl::layout {
namespace {

constexpr int kLeastArea = 2;  // px

void append_runs(const uint8_t* row, int width, int y, std::vector<Run>& runs) {
    int x = 0;
    while (x < width) {
        const void* start = std::memchr(row + x, 1, static_cast<size_t>(width - x));
        if (start == nullptr) return;
        const int from = static_cast<int>(static_cast<const uint8_t*>(start) - row);
        const void* stop = std::memchr(row + from, 0, static_cast<size_t>(width - from));
        x = stop == nullptr ? width : static_cast<int>(static_cast<const uint8_t*>(stop) - row);
        runs.push_back({y, from, x});
    }
}

// Unites runs of a row, [begin, end), with those of the row above, [above, begin), that they touch.
void unite_rows(const std::vector<Run>& runs, size_t above, size_t begin, size_t end, Sets& sets) {
    size_t j = above;
    for (size_t i = begin; i < end; ++i) {
        while (j < begin && runs[j].to < runs[i].from) ++j;
        for (size_t k = j; k < begin && runs[k].from <= runs[i].to; ++k) {
            sets.unite(static_cast<int>(i), static_cast<int>(k));
        }
    }
}

Sets unite(const std::vector<Run>& runs) {
    Sets sets;
    size_t above = 0, begin = 0;
    while (begin < runs.size()) {
        size_t end = begin;
        for (; end < runs.size() && runs[end].y == runs[begin].y; ++end) sets.add();
        const bool adjacent = begin > 0 && runs[begin - 1].y == runs[begin].y - 1;
        if (adjacent) unite_rows(runs, above, begin, end, sets);
        above = begin;
        begin = end;
    }
    return sets;
}

}  // namespace

void group_runs(const std::vector<Run>& runs, int least_area, bool light, Components& found) {
    Sets sets = unite(runs);
    std::vector<int> owner(runs.size(), -1);  // of roots: the component
    std::vector<Component> all;
    for (size_t i = 0; i < runs.size(); ++i) {
        const Run& run = runs[i];
        const Box box{run.from, run.y, run.to, run.y + 1};
        const size_t root = static_cast<size_t>(sets.root(static_cast<int>(i)));
        if (owner[root] < 0) {
            owner[root] = static_cast<int>(all.size());
            all.push_back({box, 0, 0, 0, light});
        }
        owner[i] = owner[root];
        Component& component = all[static_cast<size_t>(owner[i])];
        component.box.include(box);
        component.area += run.to - run.from;
        ++component.n_runs;
    }
    int n_runs = static_cast<int>(found.runs.size());
    for (Component& component : all) {
        if (component.area < least_area) continue;
        component.first_run = n_runs;
        n_runs += component.n_runs;
    }
    found.runs.resize(static_cast<size_t>(n_runs));
    std::vector<int> next(all.size());
    for (size_t i = 0; i < all.size(); ++i) next[i] = all[i].first_run;
    for (size_t i = 0; i < runs.size(); ++i) {
        const size_t c = static_cast<size_t>(owner[i]);
        if (all[c].area >= least_area) found.runs[static_cast<size_t>(next[c]++)] = runs[i];
    }
    for (const Component& component : all) {
        if (component.area >= least_area) found.all.push_back(component);
    }
}

void find_components(const Bitmap& ink, bool light, Components& found) {
    std::vector<Run> runs;
    for (int y = 0; y < ink.height; ++y) append_runs(ink.row(y), ink.width, y, runs);
    group_runs(runs, kLeastArea, light, found);
}

}  // namespace crispvl::layout

// Disjoint sets of indices, the smallest member as the root of each.
#pragma once

#include <numeric>
#include <vector>

namespace crispvl::layout {

class Sets {
public:
    explicit Sets(size_t n = 0) : parent_(n) { std::iota(parent_.begin(), parent_.end(), 0); }

    size_t size() const { return parent_.size(); }
    void add() { parent_.push_back(static_cast<int>(parent_.size())); }
    int root(int i) {
        while (parent_[static_cast<size_t>(i)] != i) {
            int& up = parent_[static_cast<size_t>(i)];
            up = parent_[static_cast<size_t>(up)];
            i = up;
        }
        return i;
    }
    size_t root(size_t i) { return static_cast<size_t>(root(static_cast<int>(i))); }
    void unite(int i, int j) {
        i = root(i);
        j = root(j);
        if (i < j) std::swap(i, j);
        parent_[static_cast<size_t>(i)] = j;
    }
    void unite(size_t i, size_t j) { unite(static_cast<int>(i), static_cast<int>(j)); }

    // The members of each set, sets in the order of their first members.
    std::vector<std::vector<size_t>> groups() {
        std::vector<std::vector<size_t>> all;
        std::vector<size_t> place(size());
        for (size_t i = 0; i < size(); ++i) {
            const size_t r = root(i);
            if (r == i) {
                place[i] = all.size();
                all.emplace_back();
            }
            all[place[r]].push_back(i);
        }
        return all;
    }

private:
    std::vector<int> parent_;
};

}  // namespace crispvl::layout

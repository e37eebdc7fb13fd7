// Intermediate values of a model by name, for comparisons.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "runtime/graph.h"

namespace crispvl {

// A traced value: C order, slowest dimension first.
struct TracedArray {
    std::vector<int64_t> shape;
    std::vector<float> values;
};
using Trace = std::map<std::string, TracedArray>;

// Appends the graph's taps to `trace`; arrays of one name join along their first dimension.
void read_taps(const Graph& graph, Trace& trace);

}  // namespace crispvl

// What is left of a thread's stack, asked at every entry into the core.
#pragma once

#include <cstddef>

namespace crispvl {

// The attention kernel's frame of 64 KiB is the largest; graphs are walked in some hundred small
// ones. Half of what a thread has by default on the thriftiest system (512 KiB, macOS), with room
// for a thread of 256 KiB.
constexpr size_t kStackBytes = size_t{192} << 10;

// Throws Error{memory} where fewer than kStackBytes are left. Stacks that are not the thread's own,
// as fibres have, are not measured.
void require_stack();

}  // namespace crispvl

// How long work is stopped from outside: asked between graph nodes on a CPU and between graphs on
// other devices.
#pragma once

namespace crispvl {

class Interrupt {
public:
    virtual ~Interrupt() = default;
    // True when the work should stop. Called from the computing thread, many times a second.
    virtual bool requested() = 0;
};

// Throws Error{cancelled} when `interrupt` (may be null) asks for it.
void throw_if_requested(Interrupt* interrupt);

}  // namespace crispvl

#include "layout/evidence.h"

namespace crispvl::layout {
namespace {

constexpr float k_least_core = 4;  // px

}  // namespace

bool is_text(const Components& components, const TextLine& line, int text_height) {
    if (line.core < k_least_core) return false;
    const float usual = static_cast<float>(text_height);
    size_t n_letters = 0;
    for (const Piece& piece : line.pieces) {
        const Box& box = components.all[static_cast<size_t>(piece.component)].box;
        n_letters += static_cast<float>(box.height()) >= 0.6f * line.core;
    }
    if (n_letters == 0) return false;
    // A few small or large shapes that nothing goes with.
    const bool alone = n_letters < 3;
    if (alone && (line.core < 0.45f * usual || line.core > 3.5f * usual)) return false;
    if (alone && (line.density > 0.92f || line.density < 0.08f)) return false;
    return line.stroke < 0.9f * line.core;
}

}  // namespace crispvl::layout

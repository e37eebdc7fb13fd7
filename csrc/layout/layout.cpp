#include "layout/layout.h"

#include <cmath>

#include "layout/blocks.h"
#include "layout/dashes.h"
#include "layout/evidence.h"
#include "layout/inverse.h"
#include "layout/lines.h"
#include "layout/pictures.h"
#include "layout/room.h"
#include "layout/rules.h"
#include "layout/sizes.h"
#include "layout/skew.h"
#include "layout/touching.h"
#include "layout/upright.h"
#include "layout/words.h"

namespace crispvl {
namespace {

using namespace layout;

constexpr double kPi = 3.14159265358979323846;
constexpr float kBroken = 1.5f;              // height of whole letters to that of their pieces
constexpr int kMostBrokenHeight = 16;        // px; the gaps of larger pieces are wider than 2 px
constexpr int kBorderLetters = 2;            // higher or wider than that is no letter cut off
constexpr double kLevel = 0.25 * kPi / 180;  // skew that needs no turn

Components components_of(const Ink& ink) {
    Components found;
    find_components(ink.dark, false, found);
    if (!ink.light.empty()) find_components(ink.light, true, found);
    return found;
}

// What is ink in an image, and in which pieces.
struct Print {
    Paper paper;
    Ink ink;
    Components components;

    Print(const GreyImage& image, Interrupt* interrupt) : paper(find_paper(image)) {
        throw_if_requested(interrupt);
        ink = find_ink(image, paper);
        throw_if_requested(interrupt);
        components = components_of(ink);
    }
};

struct Upright {
    GreyImage image;
    Print print;
    Frame to_page;
    double degrees = 0;     // by which lines descended to the right
    int quarter_turns = 0;  // clockwise, that made it upright

    void turn_by(double radians, Interrupt* interrupt) {
        Frame to_source;
        image = turn(image, radians, to_source);
        to_page = to_page.after(to_source);
        throw_if_requested(interrupt);
        print = Print(image, interrupt);
    }
};

// Fills the gaps of broken print, which shows by letters that are far higher than their pieces.
// Returns the typical height of letters.
int mend(Print& print) {
    const int height = typical_height(print.components.all);
    if (height > kMostBrokenHeight) return height;
    Ink whole{closed(print.ink.dark), print.ink.light};
    const int whole_height = typical_height(components_of(whole).all);
    if (static_cast<float>(whole_height) < kBroken * static_cast<float>(height)) return height;
    print.ink = std::move(whole);
    return whole_height;
}

// The page at a scale of `factor` px to one, made upright.
Upright upright_at(const PixelView& page, double factor, Interrupt* interrupt) {
    GreyImage image = shrink_to_grey(page, factor, interrupt);
    Print print(image, interrupt);
    Upright upright{std::move(image), std::move(print), {}};
    const std::vector<Component>& pieces = upright.print.components.all;
    const int height = typical_height(pieces);
    const Skew skew = height > 0 ? find_skew(pieces, height) : Skew();
    upright.to_page.a = static_cast<float>(factor);
    // Lines along the columns may need one turn or three; the other one is half a turn more.
    upright.quarter_turns = skew.vertical ? 3 : 0;
    upright.degrees = (skew.vertical ? -skew.radians : skew.radians) * 180 / kPi;
    const double angle = skew.vertical ? 0.5 * kPi - skew.radians : skew.radians;
    if (std::fabs(angle) > kLevel) upright.turn_by(angle, interrupt);
    return upright;
}

// What is larger than letters and reaches the image's edge: the scanner's lid, the table under the
// paper.
void drop_borders(const GreyImage& image, int text_height, Components& components) {
    const auto is_border = [&](const Component& c) {
        const Box& box = c.box;
        const bool outside = box.left <= 1 || box.top <= 1 || box.right >= image.width - 1 ||
                             box.bottom >= image.height - 1;
        return outside && std::max(box.width(), box.height()) > kBorderLetters * text_height;
    };
    components.all.erase(std::remove_if(components.all.begin(), components.all.end(), is_border),
                         components.all.end());
}

// What an upright image holds.
struct Findings {
    Components components;
    std::vector<TextLine> lines;
    std::vector<Box> rules;
    Pictures pictures;
    int text_height = 0;  // px
};

// Takes the rules out of the ink.
std::vector<Box> take_all_rules(Ink& ink, int text_height, Interrupt* interrupt) {
    open_bars(ink, text_height);
    std::vector<Box> all;
    for (Bitmap* bitmap : {&ink.dark, &ink.light}) {
        throw_if_requested(interrupt);
        const std::vector<Box> rules = take_rules(*bitmap, text_height);
        all.insert(all.end(), rules.begin(), rules.end());
    }
    return all;
}

// Uses up the ink: what is mended, opened and taken for rules is gone from it.
Findings look_at(Upright& upright, Interrupt* interrupt) {
    Findings found;
    const GreyImage& image = upright.image;
    const Paper& paper = upright.print.paper;
    Ink& ink = upright.print.ink;
    throw_if_requested(interrupt);
    const int text_height = mend(upright.print);
    found.text_height = text_height;
    throw_if_requested(interrupt);
    found.rules = take_all_rules(ink, text_height, interrupt);
    throw_if_requested(interrupt);
    found.components = components_of(ink);
    found.pictures = Pictures(found.components, paper, text_height);
    drop_borders(image, text_height, found.components);
    throw_if_requested(interrupt);
    const std::vector<Box> dashes = take_dashes(found.components, text_height);
    found.rules.insert(found.rules.end(), dashes.begin(), dashes.end());
    drop_splinters(found.rules, text_height, found.components);
    split_touching(text_height, found.components);
    throw_if_requested(interrupt);
    found.lines = find_lines(found.components, found.rules);
    throw_if_requested(interrupt);
    return found;
}

Quad quad_of(const Frame& to_page, float left, float right, float top_left, float top_right,
             float height) {
    return {to_page({left, top_left}), to_page({right, top_right}),
            to_page({right, top_right + height}), to_page({left, top_left + height})};
}

Quad quad_of(const Frame& to_page, const Box& box) {
    const float top = static_cast<float>(box.top);
    return quad_of(to_page, static_cast<float>(box.left), static_cast<float>(box.right), top, top,
                   static_cast<float>(box.height()));
}

LayoutLine to_page_line(const TextLine& line, const Frame& to_page) {
    const float scale = std::hypot(to_page.a, to_page.b);
    const float left = static_cast<float>(line.box.left),
                right = static_cast<float>(line.box.right);
    const float end = line.baseline_at(right);
    LayoutLine out{};
    out.quad = quad_of(to_page, left, right, line.base - line.above, end - line.above,
                       line.above + line.below);
    out.baseline = {to_page({left, line.base}), to_page({right, end})};
    out.x_height = scale * line.x_height;
    out.stroke = scale * line.stroke;
    out.band_above = scale * std::clamp(line.above, 1.55f * line.x_height, 2 * line.x_height);
    out.band_below = scale * std::clamp(line.below, 0.6f * line.x_height, 0.9f * line.x_height);
    out.inverse = line.light;
    out.colon = line.colon;
    out.room_step = scale;
    for (const float over : line.room_over) out.room_over.push_back(scale * over);
    for (const float under : line.room_under) out.room_under.push_back(scale * under);
    out.block = line.block;
    if (line.column >= 0) out.cell = LayoutCell{line.row, line.column};
    for (const Word& word : line.words) {
        out.words.push_back(
            {scale * (word.left - left), scale * (word.right - left),
             quad_of(to_page, word.left, word.right, word.top, word.top, word.bottom - word.top),
             word.density()});
    }
    return out;
}

}  // namespace

Layout find_layout(const PixelView& page, Interrupt* interrupt) {
    if (page.width < 1 || page.height < 1) {
        throw Error(ErrorKind::image,
                    "[layout] expected a page with pixels; found none; give an image");
    }
    const double factor = working_factor(page.width, page.height);
    Upright upright = upright_at(page, factor, interrupt);
    Findings found = look_at(upright, interrupt);
    const double finer = finer_factor(page.width, page.height, factor, found.text_height);
    if (finer < factor) {
        upright = upright_at(page, finer, interrupt);
        found = look_at(upright, interrupt);
    }
    if (is_upside_down(found.components, found.lines)) {
        upright.turn_by(kPi, interrupt);
        upright.quarter_turns = (upright.quarter_turns + 2) % 4;
        found = look_at(upright, interrupt);
    }
    keep_text(found.components, found.pictures, found.text_height, found.lines);
    throw_if_requested(interrupt);
    settle_sizes(found.components, found.lines);
    Layout out{page.width, page.height, upright.degrees, upright.quarter_turns, {}, {}, {}, {}};
    for (const Box& rule : found.rules) out.rules.push_back(quad_of(upright.to_page, rule));
    for (const Box& picture : found.pictures.boxes()) {
        const bool has_text =
            std::any_of(found.lines.begin(), found.lines.end(), [&](const TextLine& line) {
                return x_overlap(line.box, picture) > 0 && y_overlap(line.box, picture) > 0;
            });
        if (!has_text) out.pictures.push_back(quad_of(upright.to_page, picture));
    }
    throw_if_requested(interrupt);
    std::vector<TextLine>& lines = found.lines;
    find_words(found.components, lines);
    throw_if_requested(interrupt);
    find_room(found.components, lines);
    throw_if_requested(interrupt);
    const std::vector<Table> tables = find_tables(found.rules, found.text_height, lines);
    const std::vector<TextBlock> blocks = find_blocks(tables, lines);
    for (const TextLine& line : lines) out.lines.push_back(to_page_line(line, upright.to_page));
    for (const TextBlock& block : blocks) {
        const auto kind = block.table ? LayoutBlock::Kind::table : LayoutBlock::Kind::text;
        out.blocks.push_back({kind, quad_of(upright.to_page, block.box), block.lines});
    }
    return out;
}

}  // namespace crispvl

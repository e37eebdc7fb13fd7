#include "lines/rows.h"

#include <algorithm>
#include <numeric>

#include "lines/characters.h"

namespace crispvl::lines {
namespace {

void strip(Row& row) {
    const auto first = std::find_if_not(row.text.begin(), row.text.end(), is_space);
    const auto last = std::find_if_not(row.text.rbegin(), row.text.rend(), is_space).base();
    const auto n_before = first - row.text.begin();
    const auto n = std::max<std::ptrdiff_t>(0, last - first);
    const auto sure = row.sureness.begin() + n_before;
    row.sureness = std::vector<double>(sure, sure + n);
    row.text = row.text.substr(static_cast<size_t>(n_before), static_cast<size_t>(n));
}

}  // namespace

double Row::mean_logprob() const {
    const double sum = std::accumulate(logprobs.begin(), logprobs.end(), end_logprob.value_or(0.0));
    const size_t n = logprobs.size() + (end_logprob ? 1 : 0);
    return n == 0 ? 0.0 : sum / static_cast<double>(n);
}

std::vector<size_t> Row::chars_written() const {
    std::u32string own;
    for (const std::u32string& piece : pieces) own += piece;
    own = own.substr(0, own.find(U'\n'));
    while (!own.empty() && is_space(own.back())) own.pop_back();
    // White space before the text, or less than none: what the row before left of its last token.
    const auto n_before = static_cast<int64_t>(own.size()) - static_cast<int64_t>(text.size());
    std::vector<size_t> written;
    int64_t n = -n_before;
    for (const std::u32string& piece : pieces) {
        n += static_cast<int64_t>(piece.size());
        written.push_back(
            static_cast<size_t>(std::clamp<int64_t>(n, 0, static_cast<int64_t>(text.size()))));
    }
    return written;
}

double mean_sureness(const std::vector<Row>& rows) {
    double sum = 0;
    size_t n = 0;
    for (const Row& row : rows) {
        sum = std::accumulate(row.sureness.begin(), row.sureness.end(), sum);
        n += row.sureness.size();
    }
    return n == 0 ? 0.0 : sum / static_cast<double>(n);
}

void RowSplitter::push(int32_t id, double logprob, const std::u32string& piece) {
    Row* row = &rows_.back();
    row->ids.push_back(id);
    row->logprobs.push_back(logprob);
    row->pieces.push_back(piece);
    lowest_ = std::min(lowest_, logprob);
    if (piece.empty()) return;
    for (const char32_t c : piece) {
        if (c == U'\n') {
            row->ended = true;
            rows_.emplace_back();
            row = &rows_.back();
        } else {
            row->text.push_back(c);
            row->sureness.push_back(lowest_);
        }
    }
    lowest_ = 0;
}

std::vector<Row> RowSplitter::finish(std::optional<double> stop_logprob) {
    for (Row& row : rows_) strip(row);
    if (stop_logprob) {
        rows_.back().ended = true;
        rows_.back().end_logprob = stop_logprob;
    }
    return std::move(rows_);
}

}  // namespace crispvl::lines

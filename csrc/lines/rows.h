// The lines of an answer, each with its tokens and how sure each character is.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace crispvl::lines {

// A line of an answer, as its tokens were written.
struct Row {
    std::vector<int32_t> ids;      // of its tokens, that of the line break at its end included
    std::vector<double> logprobs;  // of these, natural
    std::vector<std::u32string> pieces;  // what text each completes
    std::u32string text;  // without white space at its ends and without the line break
    // Of each character of `text` the log-probability of its token; the least where it took several
    std::vector<double> sureness;
    bool ended = false;  // the model wrote its end, by a line break or as the end of the answer
    std::optional<double> end_logprob;  // of the end of the answer, where that ended it

    double mean_logprob() const;  // of its tokens and its end; 0 without any
    // How many characters of `text` there are once each of the tokens is written.
    std::vector<size_t> chars_written() const;
};

// The mean over the characters of some rows; 0 without any.
double mean_sureness(const std::vector<Row>& rows);

// Makes rows of an answer's tokens. A token that holds a line break belongs to the row that it
// ends; what follows the break within the token is the next row's.
class RowSplitter {
public:
    // Takes the next token and the text that it completes.
    void push(int32_t id, double logprob, const std::u32string& piece);
    // The rows, at least one. `stop_logprob`: of the token that ended the answer, where one did.
    std::vector<Row> finish(std::optional<double> stop_logprob);

private:
    std::vector<Row> rows_ = std::vector<Row>(1);
    double lowest_ = 0;  // of the tokens that have a part in the next text
};

}  // namespace crispvl::lines

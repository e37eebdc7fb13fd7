#include "runtime/log.h"

#include <mutex>

#include "ggml.h"

namespace crispvl {
namespace {

thread_local std::string newest_error;

void keep_errors(ggml_log_level level, const char* text, void* /*user_data*/) {
    if (level == GGML_LOG_LEVEL_ERROR && text != nullptr) newest_error = text;
}

}  // namespace

void install_log_sink() {
    static std::once_flag once;
    std::call_once(once, [] { ggml_log_set(keep_errors, nullptr); });
}

std::string take_log_error() {
    std::string text;
    text.swap(newest_error);
    while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.pop_back();
    return text;
}

}  // namespace crispvl

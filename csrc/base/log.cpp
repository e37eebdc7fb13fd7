#include "base/log.h"

#include <cstdio>
#include <cstring>
#include <mutex>

#include "ggml.h"

namespace crispvl {
namespace {

// Of a fixed size: ggml complains most when there is no memory.
thread_local char errors[1024];

// Appends; the first complaint is the most exact one.
void keep_errors(ggml_log_level level, const char* text, void* /*user_data*/) {
    if (level != GGML_LOG_LEVEL_ERROR || text == nullptr) return;
    const size_t n = std::strlen(errors);
    std::snprintf(errors + n, sizeof errors - n, "%s%s", n == 0 ? "" : "; ", text);
    for (char& c : errors) c = c == '\n' || c == '\r' ? ' ' : c;
}

}  // namespace

void install_log_sink() {
    static std::once_flag once;
    std::call_once(once, [] { ggml_log_set(keep_errors, nullptr); });
}

std::string take_log_error() {
    std::string text = errors;
    errors[0] = '\0';
    while (!text.empty() && text.back() == ' ') text.pop_back();
    return text;
}

}  // namespace crispvl

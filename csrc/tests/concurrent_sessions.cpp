// Threads that read with one model, cancel each other, and open and close models and sessions
// meanwhile: each answer is the one that a lone reader gets. `concurrent_sessions MODEL ROUNDS`.
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "small_page.h"

namespace {

constexpr int kReaders = 3;
constexpr int kTokens = 6;

void require(bool ok, const char* what) {
    if (ok) return;
    std::fprintf(stderr, "%s: %s\n", what, crispvl_last_error());
    std::exit(1);
}

crispvl_model* load(const char* path) {
    crispvl_model* model = nullptr;
    require(load_model(path, &model) == CRISPVL_OK, "load");
    return model;
}

// Returns the text, or what was read of it when `cancel` was requested.
std::string read(const crispvl_model* model, const crispvl_cancel* cancel, bool* was_cancelled) {
    std::string text;
    const crispvl_status status = read_page(model, kTokens, cancel, &text);
    *was_cancelled = status == CRISPVL_ERROR_CANCELLED;
    require(status == CRISPVL_OK || *was_cancelled, "recognize");
    return text;
}

void read_and_cancel(const crispvl_model* model, const std::string& expected, int n_rounds) {
    crispvl_cancel* cancel = nullptr;
    require(crispvl_cancel_new(&cancel) == CRISPVL_OK, "cancel_new");
    for (int i = 0; i < n_rounds; ++i) {
        std::thread canceller;
        if (i % 2 == 1) {
            canceller = std::thread([=] {
                std::this_thread::sleep_for(std::chrono::milliseconds(i % 7));
                crispvl_cancel_request(cancel);
            });
        }
        bool was_cancelled = false;
        const std::string text = read(model, cancel, &was_cancelled);
        const bool fits =
            was_cancelled ? expected.compare(0, text.size(), text) == 0 : text == expected;
        require(fits, "an answer differs");
        require(i % 2 == 1 || !was_cancelled, "cancelled without a request");
        if (canceller.joinable()) canceller.join();
        crispvl_cancel_reset(cancel);
    }
    crispvl_cancel_free(cancel);
}

// A session outlives the handle of its model.
void open_and_close(const char* path, const std::string& expected, int n_rounds) {
    for (int i = 0; i < n_rounds; ++i) {
        crispvl_model* model = load(path);
        crispvl_session* session = nullptr;
        require(crispvl_session_new(model, 16, &session) == CRISPVL_OK, "session_new");
        bool was_cancelled = false;
        require(read(model, nullptr, &was_cancelled) == expected, "an answer differs");
        crispvl_model_free(model);
        const int32_t ids[] = {1, 2, 3};
        require(crispvl_session_prefill(session, ids, 3, nullptr, 0, nullptr) == CRISPVL_OK,
                "prefill");
        crispvl_session_free(session);
    }
}

}  // namespace

int main(int argc, char** argv) {
    if (argc != 3) return 2;
    const int n_rounds = std::atoi(argv[2]);
    crispvl_model* model = load(argv[1]);
    bool was_cancelled = false;
    const std::string expected = read(model, nullptr, &was_cancelled);
    std::vector<std::thread> threads;
    for (int i = 0; i < kReaders; ++i) {
        threads.emplace_back([&] { read_and_cancel(model, expected, n_rounds); });
    }
    threads.emplace_back([&] { open_and_close(argv[1], expected, n_rounds); });
    for (std::thread& thread : threads) thread.join();
    crispvl_model_free(model);
    std::printf("%d readers, %d rounds\n", kReaders, n_rounds);
}

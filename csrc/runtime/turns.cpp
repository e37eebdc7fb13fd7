#include "runtime/turns.h"

#include <algorithm>

namespace crispvl {
namespace {

// How long a caller waits before it looks whether it should go on waiting.
constexpr std::chrono::milliseconds kPatience{10};

// Callers that met less than this ago are expected to meet again: longer than what they do between
// two graphs, shorter than anybody notices.
constexpr std::chrono::milliseconds kMemory{10};

constexpr int kNone = -2, kAlone = -1;

}  // namespace

Turns::Turn Turns::take(bool alone, Interrupt* interrupt) {
    const auto now = [] { return std::chrono::steady_clock::now(); };
    std::unique_lock<std::mutex> lock(mutex_);
    int found = kNone;
    while ((found = find(alone, now())) == kNone) {
        met_ = now();
        n_waiting_alone_ += alone ? 1 : 0;
        // By the system's clock: ThreadSanitizer does not see a wait by the steady one.
        changed_.wait_until(lock, std::chrono::system_clock::now() + kPatience);
        n_waiting_alone_ -= alone ? 1 : 0;
        lock.unlock();  // the caller's own code is asked
        throw_if_requested(interrupt);
        lock.lock();
    }
    if (n_running_ > 0) met_ = now();
    ++n_running_;
    is_one_alone_ = found == kAlone;
    if (found >= 0) is_busy_[static_cast<size_t>(found)] = true;
    return Turn(*this, found);
}

// A lane, kAlone, or kNone where there is no turn now.
int Turns::find(bool alone, Time now) const {
    if (is_one_alone_) return kNone;
    if (n_running_ == 0 && (alone || is_busy_.size() == 1)) return kAlone;
    if (alone || n_waiting_alone_ > 0 || is_busy_.size() == 1) return kNone;
    if (n_running_ == 0 && now - met_ > kMemory) return kAlone;
    const auto lane = std::find(is_busy_.begin(), is_busy_.end(), false);
    return lane == is_busy_.end() ? kNone : static_cast<int>(lane - is_busy_.begin());
}

void Turns::end(int i_lane) {
    const std::lock_guard<std::mutex> lock(mutex_);
    --n_running_;
    is_one_alone_ = false;
    if (i_lane >= 0) is_busy_[static_cast<size_t>(i_lane)] = false;
    changed_.notify_all();
}

}  // namespace crispvl

#include "http/events.h"

namespace tailrace::http {

void EventHub::Publish(const std::string& event, std::string_view data) {
  auto frame = std::make_shared<std::string>("event: " + event + "\n");
  while (true) {
    const size_t end = data.find('\n');
    frame->append("data: ").append(data.substr(0, end)).append("\n");
    if (end == std::string_view::npos) break;
    data.remove_prefix(end + 1);
  }
  frame->append("\n");
  std::lock_guard lock(mutex_);
  last_[event] = frame;
  for (auto& [id, listener] : listeners_) listener(frame);
}

size_t EventHub::listeners() const {
  std::lock_guard lock(mutex_);
  return listeners_.size();
}

uint64_t EventHub::Listen(Listener listener) {
  std::lock_guard lock(mutex_);
  for (auto& [event, frame] : last_) listener(frame);
  listeners_[next_id_] = std::move(listener);
  return next_id_++;
}

void EventHub::Leave(uint64_t id) {
  std::lock_guard lock(mutex_);
  listeners_.erase(id);
}

}  // namespace tailrace::http

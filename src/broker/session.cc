#include "broker/session.h"

#include <fmt/format.h>

#include <utility>

#include "base/check.h"
#include "base/clock.h"
#include "base/logging.h"
#include "broker/apis/registry.h"
#include "broker/metrics.h"
#include "broker/parts.h"
#include "io/event_loop.h"

namespace tailrace::broker {

Call::Call(std::weak_ptr<Session> session, io::EventLoop& loop, uint64_t sequence, wire::RequestHeader header,
           io::Frame frame, size_t body_at, size_t api_index, int64_t received_ns)
    : session_(std::move(session)),
      loop_(loop),
      sequence_(sequence),
      header_(std::move(header)),
      frame_(std::move(frame)),
      body_at_(body_at),
      api_index_(api_index),
      received_ns_(received_ns) {}

Call::~Call() {
  if (!answered_) Close("a request was dropped without an answer");
}

std::string Call::client_host() const {
  auto session = session_.lock();
  if (!session) return "";
  return "/" + session->peer().substr(0, session->peer().rfind(':'));  // as Kafka's tools show it
}

io::OutChain Call::ToChain(wire::ByteChain bytes) {
  io::OutChain chain;
  auto owner = std::make_shared<wire::ByteChain>(std::move(bytes));
  owner->ForEach([&](BytesView piece) { chain.push_back(io::OutPiece::Of(SharedBytes{owner, piece})); });
  return chain;
}

void Call::Send(io::OutChain chain) { Finish(std::move(chain), false, ""); }
void Call::RespondNothing() { Finish({}, false, ""); }
void Call::Close(const std::string& reason) { Finish({}, true, reason); }

void Call::WhenGone(std::function<void()> gone) {
  if (auto session = session_.lock(); session && session->connection_) session->gone_ = std::move(gone);
}

void Call::Finish(io::OutChain chain, bool close, std::string reason) {
  if (answered_) return;
  answered_ = true;
  auto session = session_.lock();
  if (!session) return;
  if (loop_.InLoop()) {
    session->Answered(*this, std::move(chain), close, reason);
    return;
  }
  // The call itself may be on its way out of existence: carry what Answered needs.
  auto copy = std::make_shared<Call>(session_, loop_, sequence_, header_, io::Frame{}, 0, api_index_, received_ns_);
  copy->answered_ = true;
  copy->error_ = error_;
  loop_.Post([session, copy, chain = std::move(chain), close, reason = std::move(reason)]() mutable {
    session->Answered(*copy, std::move(chain), close, reason);
  });
}

Session::Session(Parts& parts, io::Connection* connection)
    : parts_(parts), connection_(connection), peer_(connection->peer()) {}

bool Session::MustWait(bool produce) const {
  if (connection_->unsent_bytes() > kUnsentBytesMax || slots_.size() >= kPipelinedMax) return true;
  return !slots_.empty() && !(produce && only_produces_);
}

void Session::OnFrame(io::Frame frame) {
  bool produce = frame.size >= 2 && LoadBe16(frame.data.get()) == static_cast<uint16_t>(wire::ApiKey::kProduce);
  if (held_.data || MustWait(produce)) {
    CHECK(!held_.data);  // reading is paused while one is held
    held_ = std::move(frame);
    connection_->PauseReading();
    return;
  }
  Start(std::move(frame));
}

void Session::StartHeld() {
  if (!held_.data || !connection_) return;
  bool produce = held_.size >= 2 && LoadBe16(held_.data.get()) == static_cast<uint16_t>(wire::ApiKey::kProduce);
  if (MustWait(produce)) return;
  io::Frame frame = std::move(held_);
  held_ = {};
  connection_->ResumeReading();
  Start(std::move(frame));
}

void Session::OnDrained() {
  if (held_.data) StartHeld();
}

void Session::OnClosed() {
  connection_ = nullptr;
  held_ = {};
  slots_.clear();
  if (auto gone = std::exchange(gone_, nullptr)) gone();
}

void Session::Start(io::Frame frame) {
  int64_t received_ns = parts_.clock.MonotonicNs();
  wire::Decoder from(frame.view());
  wire::RequestHeader header = wire::RequestHeader::DecodeFrom(from);
  if (!from.ok()) {
    connection_->Close("malformed request header: " + from.ToError("request header", header.api_version).ToString());
    return;
  }
  const wire::ApiVersionRange* api = wire::FindApi(header.api_key);
  const ApiHandler* handler = api ? FindHandler(api->key) : nullptr;
  if (!handler) {
    connection_->Close(fmt::format("API key {} is not served here", header.api_key));
    return;
  }
  bool versions_call = api->key == wire::ApiKey::kApiVersions;
  if (!api->Serves(header.api_version) && !versions_call) {
    connection_->Close(fmt::format("{} version {} is not served here, only {} to {} (client '{}')", api->name,
                                   header.api_version, api->min, api->max, header.client_id.value_or("")));
    return;
  }
  uint64_t sequence = first_sequence_ + slots_.size();
  if (slots_.empty()) only_produces_ = true;
  if (api->key != wire::ApiKey::kProduce) only_produces_ = false;
  slots_.emplace_back();
  connection_->SetBusy(true);
  size_t body_at = from.position();
  auto call = std::make_shared<Call>(weak_from_this(), connection_->loop(), sequence, std::move(header),
                                     std::move(frame), body_at, static_cast<size_t>(api - wire::kApis), received_ns);
  auto run = [&parts = parts_, call, handler, api] {
    Status status = handler->handle(parts, call);
    if (status.ok()) return;
    call->Close(fmt::format("malformed {} request of client '{}': {}", api->name, call->client_id(),
                            status.error().ToString()));
  };
  if (handler->where == RunsOn::kHouse) {
    parts_.house.Post(std::move(run));
  } else {
    run();
  }
}

void Session::Answered(Call& call, io::OutChain chain, bool close, const std::string& reason) {
  int64_t time_us = (parts_.clock.MonotonicNs() - call.received_ns_) / 1000;
  parts_.metrics.apis[call.api_index_].Count(static_cast<uint64_t>(time_us), call.error_ || close);
  if (!connection_) return;
  if (close) {
    connection_->Close(reason);
    return;
  }
  CHECK(call.sequence_ >= first_sequence_ && call.sequence_ < first_sequence_ + slots_.size());
  Slot& slot = slots_[call.sequence_ - first_sequence_];
  slot.ready = true;
  slot.chain = std::move(chain);
  while (!slots_.empty() && slots_.front().ready) {
    if (!slots_.front().chain.empty()) connection_->Send(std::move(slots_.front().chain));
    slots_.pop_front();
    ++first_sequence_;
  }
  if (!slots_.empty()) return;
  gone_ = nullptr;
  connection_->SetBusy(false);
  StartHeld();
}

}  // namespace tailrace::broker

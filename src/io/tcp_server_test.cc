#include "io/tcp_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "gtest/gtest.h"
#include "io/byte_budget.h"
#include "io/event_loop.h"

namespace tailrace::io {
namespace {

/// Answers each frame with the frame itself; "file" with a part of a file.
class Echo final : public FrameHandler {
 public:
  Echo(Connection* c, std::atomic<int>* closed, int fd) : connection_(c), closed_(closed), fd_(fd) {}
  void OnFrame(Frame frame) override {
    std::string head(4, 0);
    if (frame.view() == "file") {
      StoreBe32(head.data(), 100'000);
      connection_->Send({OutPiece::Of(SharedBytes::Own(head)), OutPiece::Of(FileRange{nullptr, fd_, 5, 100'000})});
      return;
    }
    if (frame.view() == "slow") {
      connection_->PauseReading();
      connection_->loop().After(50, [this, frame] {
        Reply(frame);
        connection_->ResumeReading();
      });
      return;
    }
    Reply(frame);
  }
  void OnClosed() override { (*closed_)++; }

 private:
  void Reply(const Frame& frame) {
    std::string head(4, 0);
    StoreBe32(head.data(), static_cast<uint32_t>(frame.size));
    connection_->Send({OutPiece::Of(SharedBytes::Own(head)), OutPiece::Of(SharedBytes{frame.data, frame.view()})});
  }
  Connection* connection_;
  std::atomic<int>* closed_;
  int fd_;
};

class TcpServerTest : public ::testing::Test {
 protected:
  void SetUp() override {
    char path[] = "/tmp/tailrace-io-XXXXXX";
    fd_ = mkstemp(path);
    unlink(path);
    content_.resize(200'000);
    for (size_t i = 0; i < content_.size(); ++i) content_[i] = static_cast<char>(i * 7);
    ASSERT_EQ(write(fd_, content_.data(), content_.size()), static_cast<ssize_t>(content_.size()));
    loop_ = EventLoop::Start("test-io").value();
  }
  void TearDown() override {
    server_.reset();
    loop_.reset();
    close(fd_);
  }
  void Listen(TcpServerOptions options = {}) {
    auto server = TcpServer::Listen("127.0.0.1", 0, {loop_.get()}, options,
                                    [this](Connection* c) { return std::make_shared<Echo>(c, &closed_, fd_); });
    ASSERT_TRUE(server.ok()) << server.error().ToString();
    server_ = std::move(server).value();
  }
  int Connect() {
    int s = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(server_->port());
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(connect(s, reinterpret_cast<sockaddr*>(&a), sizeof a), 0);
    return s;
  }
  static std::string Framed(std::string_view body) {
    std::string out(4, 0);
    StoreBe32(out.data(), static_cast<uint32_t>(body.size()));
    return out.append(body);
  }
  static void Write(int s, std::string_view bytes) {
    while (!bytes.empty()) {
      ssize_t n = send(s, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      ASSERT_GT(n, 0);
      bytes.remove_prefix(static_cast<size_t>(n));
    }
  }
  static std::string Read(int s, size_t n) {
    std::string out(n, 0);
    size_t got = 0;
    while (got < n) {
      ssize_t r = recv(s, out.data() + got, n - got, 0);
      if (r <= 0) break;
      got += static_cast<size_t>(r);
    }
    out.resize(got);
    return out;
  }
  template <typename Fn>
  bool Eventually(Fn fn) {
    for (int i = 0; i < 500; ++i) {
      if (fn()) return true;
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    return false;
  }

  int fd_ = -1;
  std::string content_;
  std::atomic<int> closed_{0};
  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<TcpServer> server_;
};

TEST_F(TcpServerTest, FramesOfAllSizesComeBackInOrder) {
  Listen();
  int s = Connect();
  std::string all;
  std::vector<std::string> bodies;
  for (size_t n : {4u, 5u, 100u, 4091u, 4092u, 4093u, 4096u, 8192u, 65'536u, 1'000'000u, 7u})
    bodies.push_back(std::string(n, static_cast<char>('a' + n % 26)));
  for (auto& b : bodies) all += Framed(b);
  std::thread writer([&] { Write(s, all); });
  EXPECT_EQ(Read(s, all.size()), all);
  writer.join();
  // One byte at a time.
  for (char c : Framed("trickle")) Write(s, {&c, 1});
  EXPECT_EQ(Read(s, 11), Framed("trickle"));
  close(s);
  EXPECT_TRUE(Eventually([&] { return closed_ == 1 && server_->stats().connections == 0; }));
}

TEST_F(TcpServerTest, AFileRangeStandsBetweenBytes) {
  Listen();
  int s = Connect();
  Write(s, Framed("before") + Framed("file") + Framed("after"));
  std::string expected = Framed("before") + Framed(content_.substr(5, 100'000)) + Framed("after");
  EXPECT_EQ(Read(s, expected.size()), expected);
  close(s);
}

TEST_F(TcpServerTest, NothingIsHandedOnWhilePaused) {
  Listen();
  int s = Connect();
  Write(s, Framed("slow") + Framed("next") + Framed("last"));
  EXPECT_EQ(Read(s, 24), Framed("slow") + Framed("next") + Framed("last"));
  close(s);
}

TEST_F(TcpServerTest, AFrameOverTheLimitClosesItsConnectionOnly) {
  TcpServerOptions options;
  options.frame_bytes_max = 1000;
  Listen(options);
  int good = Connect(), bad = Connect(), http = Connect();
  Write(bad, Framed(std::string(1001, 'x')).substr(0, 10));
  Write(http, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_EQ(Read(bad, 1), "");
  EXPECT_EQ(Read(http, 1), "");
  Write(good, Framed("still here"));
  EXPECT_EQ(Read(good, 14), Framed("still here"));
  close(good), close(bad), close(http);
}

TEST_F(TcpServerTest, ABusyPortIsAConflictWithPortAndRemedy) {
  Listen();
  auto second = TcpServer::Listen("127.0.0.1", server_->port(), {loop_.get()}, {}, [](Connection*) { return nullptr; });
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.error().code(), ErrorCode::kConflict);
  EXPECT_NE(second.error().message().find(std::to_string(server_->port())), std::string::npos);
  EXPECT_FALSE(second.error().remedy().empty());
}

TEST_F(TcpServerTest, ConnectionsOverTheLimitAreRefusedAndIdleOnesClosed) {
  TcpServerOptions options;
  options.connections_max = 1;
  options.idle_ms_max = 300;
  Listen(options);
  int first = Connect();
  Write(first, Framed("hello"));
  EXPECT_EQ(Read(first, 9), Framed("hello"));
  int second = Connect();
  EXPECT_EQ(Read(second, 1), "");
  EXPECT_EQ(server_->stats().refused, 1u);
  EXPECT_EQ(Read(first, 1), "");  // idle for too long
  close(first), close(second);
}

TEST_F(TcpServerTest, AReaderThatIsAwayDoesNotStopOthers) {
  Listen();
  int away = Connect(), other = Connect();
  std::string big = Framed(std::string(8'000'000, 'z'));
  std::thread writer([&] { Write(away, big); });
  writer.join();
  Write(other, Framed("quick"));
  EXPECT_EQ(Read(other, 9), Framed("quick"));
  EXPECT_EQ(Read(away, big.size()).size(), big.size());
  close(away), close(other);
}

TEST_F(TcpServerTest, TheBudgetStopsReadingUntilThereIsRoom) {
  ByteBudget budget(1000);
  TcpServerOptions options;
  options.budget = &budget;
  Listen(options);
  budget.Charge(2000);
  int s = Connect();
  Write(s, Framed("wait for it"));
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(server_->stats().bytes_out, 0u);
  budget.Release(2000);
  EXPECT_EQ(Read(s, 15), Framed("wait for it"));
  EXPECT_TRUE(Eventually([&] { return budget.used() == 0; }));
  close(s);
  server_.reset();
}

TEST_F(TcpServerTest, AStalledFrameDoesNotKeepTheBudgetFromOthers) {
  ByteBudget budget(1000);
  TcpServerOptions options;
  options.budget = &budget;
  options.stalled_ms_max = 200;
  Listen(options);
  int stalled = Connect(), other = Connect();
  Write(stalled, Framed(std::string(5000, 'x')).substr(0, 100));
  EXPECT_TRUE(Eventually([&] { return budget.Over(); }));
  Write(other, Framed("my turn"));
  EXPECT_EQ(Read(other, 11), Framed("my turn"));
  EXPECT_EQ(Read(stalled, 1), "");
  close(stalled), close(other);
  server_.reset();
}

TEST(EventLoopTest, TimersFireInOrderAndCancelledOnesDoNot) {
  auto loop = EventLoop::Start("test-loop").value();
  std::atomic<int> order{0};
  int first = 0, second = 0, third = 0;
  loop->PostAndWait([&] {
    loop->After(20, [&] { second = ++order; });
    loop->After(5, [&] { first = ++order; });
    auto id = loop->After(1, [&] { third = ++order; });
    loop->Cancel(&id);
    EXPECT_EQ(id.second, 0u);
  });
  while (order < 2) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  loop->Stop();
  EXPECT_EQ(first, 1);
  EXPECT_EQ(second, 2);
  EXPECT_EQ(third, 0);
}

}  // namespace
}  // namespace tailrace::io

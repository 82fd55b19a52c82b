#include "workflow/scheduler/dag_folder.h"

#include <dirent.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <thread>
#include <vector>

#include "base/logging.h"

namespace tailrace::workflow {

FolderContents LoadFolder(const std::string& folder, const LoadOptions& options) {
  constexpr size_t kFilesMax = 10'000;
  FolderContents contents;
  std::vector<std::string> names;
  DIR* dir = opendir(folder.c_str());
  if (dir == nullptr) return contents;
  while (dirent* entry = readdir(dir)) {
    std::string_view name = entry->d_name;
    if (!name.starts_with(".") && (name.ends_with(".yaml") || name.ends_with(".yml"))) names.emplace_back(name);
  }
  closedir(dir);
  std::sort(names.begin(), names.end());
  if (names.size() > kFilesMax) {
    LogError("scheduler", fmt::format("{}: more than {} DAG files; the rest is ignored", folder, kFilesMax));
    names.resize(kFilesMax);
  }
  for (const std::string& name : names) {
    std::string path = folder + "/" + name;
    Result<std::shared_ptr<const Dag>> dag = LoadDagFile(path, options);
    if (!dag.ok()) {
      contents.errors[path] = dag.error().ToString();
      continue;
    }
    auto [it, fresh] = contents.dags.emplace((*dag)->dag_id, *dag);
    if (!fresh)
      contents.errors[path] =
          fmt::format("{}: dag_id '{}' is also that of {}; rename one", path, (*dag)->dag_id, it->second->file);
  }
  return contents;
}

namespace {

class InotifyWatch final : public FolderWatch {
 public:
  InotifyWatch(const std::string& folder, std::function<void()> changed)
      : changed_(std::move(changed)), folder_(folder) {
    const size_t slash = folder_.find_last_of('/');
    const std::string parent = slash == std::string::npos ? "." : slash == 0 ? "/" : folder_.substr(0, slash);
    name_ = folder_.substr(slash == std::string::npos ? 0 : slash + 1);
    notify_ = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    stop_ = eventfd(0, EFD_CLOEXEC);
    parent_watch_ = inotify_add_watch(notify_, parent.c_str(), IN_CREATE | IN_MOVED_TO | IN_ONLYDIR);
    WatchFolder();
    if (parent_watch_ < 0 && folder_watch_ < 0)
      LogWarning("scheduler", fmt::format("{} can't be watched; changes of DAG files show after a restart", folder));
    thread_ = std::thread([this] { Loop(); });
  }
  ~InotifyWatch() override {
    uint64_t one = 1;
    [[maybe_unused]] ssize_t n = write(stop_, &one, sizeof(one));
    thread_.join();
    close(stop_);
    close(notify_);
  }

 private:
  void WatchFolder() {
    folder_watch_ = inotify_add_watch(
        notify_, folder_.c_str(),
        IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR);
  }

  /// Takes what has happened; whether it concerns the folder.
  bool Drain() {
    bool concerns = false;
    alignas(inotify_event) char buffer[16384];
    for (ssize_t n; (n = read(notify_, buffer, sizeof(buffer))) > 0;)
      for (ssize_t at = 0; at < n;) {
        const auto* event = reinterpret_cast<const inotify_event*>(buffer + at);
        at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
        const bool appeared = event->wd == parent_watch_ && event->len > 0 && name_ == event->name;
        if (appeared) WatchFolder();
        concerns |= appeared || event->wd == folder_watch_ || (event->mask & IN_Q_OVERFLOW) != 0;
      }
    return concerns;
  }

  void Loop() {
    constexpr int kSettleMs = 20;  // editors write a file in several steps
    pollfd fds[2] = {{notify_, POLLIN, 0}, {stop_, POLLIN, 0}};
    while (poll(fds, 2, -1) >= 0 && (fds[1].revents & POLLIN) == 0) {
      bool concerns = Drain();
      while (concerns && poll(fds, 2, kSettleMs) > 0 && (fds[1].revents & POLLIN) == 0) Drain();
      if ((fds[1].revents & POLLIN) != 0) return;
      if (concerns) changed_();
    }
  }

  std::function<void()> changed_;
  std::string folder_, name_;
  int notify_ = -1, stop_ = -1, folder_watch_ = -1, parent_watch_ = -1;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<FolderWatch> FolderWatch::Start(const std::string& folder, std::function<void()> changed) {
  return std::make_unique<InotifyWatch>(folder, std::move(changed));
}

}  // namespace tailrace::workflow

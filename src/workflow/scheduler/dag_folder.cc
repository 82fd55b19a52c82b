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
  InotifyWatch(const std::string& folder, std::function<void()> changed) : changed_(std::move(changed)) {
    notify_ = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    stop_ = eventfd(0, EFD_CLOEXEC);
    if (inotify_add_watch(notify_, folder.c_str(),
                          IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_ONLYDIR) < 0)
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
  void Loop() {
    constexpr int kSettleMs = 20;  // editors write a file in several steps
    pollfd fds[2] = {{notify_, POLLIN, 0}, {stop_, POLLIN, 0}};
    char events[16384];
    while (poll(fds, 2, -1) >= 0 && (fds[1].revents & POLLIN) == 0) {
      do {
        while (read(notify_, events, sizeof(events)) > 0) {}
      } while (poll(fds, 2, kSettleMs) > 0 && (fds[1].revents & POLLIN) == 0);
      if ((fds[1].revents & POLLIN) != 0) return;
      changed_();
    }
  }
  std::function<void()> changed_;
  int notify_, stop_;
  std::thread thread_;
};

}  // namespace

std::unique_ptr<FolderWatch> FolderWatch::Start(const std::string& folder, std::function<void()> changed) {
  return std::make_unique<InotifyWatch>(folder, std::move(changed));
}

}  // namespace tailrace::workflow

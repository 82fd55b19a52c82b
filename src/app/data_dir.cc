#include "app/data_dir.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "http/json_writer.h"
#include "io/file.h"

namespace tailrace::app {
namespace {

std::optional<Endpoint> ReadEndpoint(const std::string& data_dir) {
  std::ifstream in(data_dir + "/tailrace.json");
  if (!in) return std::nullopt;
  std::ostringstream text;
  text << in.rdbuf();
  const auto json = nlohmann::json::parse(text.str(), nullptr, false);
  if (!json.is_object()) return std::nullopt;
  Endpoint out;
  auto get = [&](const char* name) {
    return json.contains(name) && json[name].is_string() ? json[name].get<std::string>() : std::string();
  };
  out.pid = json.contains("pid") && json["pid"].is_number_integer() ? json["pid"].get<int64_t>() : 0;
  out.kafka = get("kafka");
  out.http = get("http");
  out.data_dir = get("data_dir");
  out.project = get("project");
  return out;
}

}  // namespace

std::string Endpoint::ToJson() const {
  http::JsonWriter json;
  json.BeginObject().Field("kafka", kafka).Key("http");
  if (http.empty()) json.Null();
  else json.Value(http);
  // There is no schema registry in this version: scripts that look for one find null.
  json.Key("registry").Null().Field("pid", pid).Field("data_dir", data_dir).Key("project");
  if (project.empty()) json.Null();
  else json.Value(project);
  json.EndObject();
  return json.Take();
}

Result<std::unique_ptr<DataDir>> DataDir::Open(const std::string& path) {
  TRY(io::MakeDirectories(path));
  char absolute[4096];
  if (!::realpath(path.c_str(), absolute)) return IoError("looking at " + path, errno);
  const std::string lock_file = std::string(absolute) + "/tailrace.lock";
  const int fd = ::open(lock_file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return IoError("opening " + lock_file, errno);
  if (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    const int reason = errno;
    ::close(fd);
    if (reason != EWOULDBLOCK) return IoError("locking " + lock_file, reason);
    std::string who = "another tailrace", remedy = "stop it";
    if (auto running = ReadEndpoint(absolute); running && running->pid > 0) {
      who = "tailrace with pid " + std::to_string(running->pid);
      if (!running->http.empty()) who += ", which answers at " + running->http;
      remedy = "use that one, stop it with 'kill " + std::to_string(running->pid) + "'";
    }
    return Error(ErrorCode::kConflict, "the data directory " + std::string(absolute) + " is in use by " + who)
        .Remedy(remedy + ", or give this one a directory of its own with --data-dir");
  }
  return std::unique_ptr<DataDir>(new DataDir(absolute, fd));
}

DataDir::~DataDir() {
  ::unlink((path_ + "/tailrace.json").c_str());
  ::close(lock_fd_);
}

Status DataDir::Publish(const Endpoint& endpoint) {
  return io::WriteFileAtomically(path_ + "/tailrace.json", endpoint.ToJson() + "\n");
}

std::optional<Endpoint> FindRunning(const std::string& data_dir) {
  const int fd = ::open((data_dir + "/tailrace.lock").c_str(), O_RDWR | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  const bool taken = ::flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  ::close(fd);
  return taken ? ReadEndpoint(data_dir) : std::nullopt;
}

}  // namespace tailrace::app

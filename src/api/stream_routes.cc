#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "api/json_body.h"
#include "api/routes.h"
#include "api/to_json.h"
#include "config/suggest.h"
#include "sql/planner.h"

#include <dirent.h>

namespace tailrace::api {

using http::Request;
using http::Response;

namespace {

constexpr size_t kSqlBytesMax = 4 << 20;

Error NoEngine() {
  return Error(ErrorCode::kConflict, "this process runs no streaming engine").Remedy("start it without --broker-only");
}

std::vector<std::string> StreamNames(const std::string& dir) {
  std::vector<std::string> out;
  if (DIR* d = opendir(dir.c_str())) {
    while (dirent* entry = readdir(d)) {
      const std::string name = entry->d_name;
      if (name.ends_with(".sql")) out.push_back(name.substr(0, name.size() - 4));
    }
    closedir(d);
  }
  return out;
}

Response Describe(const Services& services, int status, const std::string& name) {
  auto job = services.jobs->Describe(name);
  if (!job.ok()) return ErrorToResponse(job.error());
  return JsonResponse(status, *job);
}

}  // namespace

Result<StreamFile> ReadStreamFile(const Services& services, const std::string& name) {
  if (services.project_dir.empty())
    return Error(ErrorCode::kConflict,
                 "this process runs no project, so it has no streams/ to read '" + name + "' from")
        .Remedy("send the SQL itself, or start 'tailrace up PROJECT'");
  StreamFile out;
  out.path = name.ends_with(".sql") ? name : "streams/" + name + ".sql";
  char real[4096];
  const std::string full = out.path.starts_with('/') ? out.path : services.project_dir + "/" + out.path;
  if (!::realpath(full.c_str(), real))
    return NotFound("there is no file " + out.path + " in the project")
        .Remedy(config::SuggestRemedy(name, StreamNames(services.project_dir + "/streams")));
  if (!std::string_view(real).starts_with(services.project_dir + "/"))
    return Error(ErrorCode::kPermissionDenied, out.path + " lies outside of the project");
  struct stat info {};
  if (::stat(real, &info) != 0 || !S_ISREG(info.st_mode)) return NotFound(out.path + " is not a file");
  if (static_cast<size_t>(info.st_size) > kSqlBytesMax)
    return Error(ErrorCode::kLimitExceeded, out.path + " is larger than 4 MB");
  out.path = std::string(real).substr(services.project_dir.size() + 1);
  std::ifstream in(real, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  if (!in) return IoError("reading " + out.path, errno);
  out.text = TRY(sql::SubstituteVariables(out.path, text.str(), services.variables));
  return out;
}

void AddStreamRoutes(http::Router& router, const Services& services) {
  router.Add("GET", "/api/v1/streams", [&services](const Request&) {
    return JsonListResponse(services.jobs ? services.jobs->List() : std::vector<stream::JobInfo>());
  });
  router.Add("POST", "/api/v1/streams", [&services](const Request& r) -> Response {
    if (!services.jobs) return ErrorToResponse(NoEngine());
    const JsonBody body = TRY_HTTP(JsonBody::Parse(r, {"file", "sql", "name", "resume"}));
    const auto file = TRY_HTTP(body.Text("file"));
    const auto sql = TRY_HTTP(body.Text("sql"));
    if (file.has_value() == sql.has_value())
      return ErrorToResponse(InvalidArgument("the body needs one of the fields file and sql"));
    StreamFile source{TRY_HTTP(body.Text("name")).value_or("query") + ".sql", sql.value_or("")};
    if (file) source = TRY_HTTP(ReadStreamFile(services, *file));
    stream::JobOptions options;
    options.name = TRY_HTTP(body.Text("name")).value_or("");
    options.resume = TRY_HTTP(body.Bool("resume")).value_or(true);
    options.base_dir = services.project_dir.empty() ? services.data_dir : services.project_dir;
    const std::string name = TRY_HTTP(services.jobs->Start(source.path, source.text, options));
    return Describe(services, 201, name);
  });
  router.Add("GET", "/api/v1/streams/{name}", [&services](const Request& r) -> Response {
    if (!services.jobs) return ErrorToResponse(NoEngine());
    return Describe(services, 200, r.Param("name"));
  });
  router.Add("POST", "/api/v1/streams/{name}/stop", [&services](const Request& r) -> Response {
    if (!services.jobs) return ErrorToResponse(NoEngine());
    TRY_HTTP(services.jobs->Stop(r.Param("name")));
    return Describe(services, 200, r.Param("name"));
  });
  router.Add("GET", "/api/v1/streams/{name}/plan", [&services](const Request& r) -> Response {
    std::string name = r.Param("name");
    if (services.jobs)
      if (auto job = services.jobs->Describe(name); job.ok() && !job->file.empty()) name = job->file;
    StreamFile source = TRY_HTTP(ReadStreamFile(services, name));
    auto script = std::make_shared<sql::Script>(TRY_HTTP(sql::ParseScript(source.path, source.text)));
    return Response::Text(200, sql::Explain(TRY_HTTP(sql::MakePlan(std::move(script)))));
  });
}

}  // namespace tailrace::api

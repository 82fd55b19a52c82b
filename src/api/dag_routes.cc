#include <algorithm>

#include "api/json_body.h"
#include "api/routes.h"
#include "api/to_json.h"

namespace tailrace::api {

using http::Request;
using http::Response;
using workflow::Scheduler;

namespace {

constexpr int64_t kWaitSliceMs = 100;
constexpr int64_t kWaitMsMax = 20'000;  // below the client's time-out, and a handler thread is busy meanwhile

/// A handler that needs the scheduler.
template <typename F>
http::Handler WithScheduler(const Services& services, F handler) {
  return [&services, handler](const Request& request) -> Response {
    if (!services.scheduler)
      return ErrorToResponse(
          Error(ErrorCode::kConflict, "this process runs no scheduler").Remedy("start it without --broker-only"));
    return handler(*services.scheduler, request);
  };
}

Result<workflow::DagSummary> FindDag(Scheduler& scheduler, const std::string& dag_id) {
  for (auto& dag : scheduler.Dags())
    if (dag.dag_id == dag_id) return dag;
  return NotFound("there is no DAG '" + dag_id + "'").Remedy("see 'tailrace dag list'");
}

Response DagAnswer(Scheduler& scheduler, const std::string& dag_id) {
  auto dag = FindDag(scheduler, dag_id);
  if (!dag.ok()) return ErrorToResponse(dag.error());
  return JsonResponse(200, *dag);
}

Response TasksAnswer(Scheduler& scheduler, const Request& r) {
  return JsonListResponse(TRY_HTTP(scheduler.Tasks(r.Param("dag_id"), r.Param("run_id"))));
}

}  // namespace

void AddDagRoutes(http::Router& router, const Services& services) {
  auto add = [&](const char* method, const char* pattern, auto handler) {
    router.Add(method, pattern, WithScheduler(services, handler));
  };

  router.Add("GET", "/api/v1/dags", [&services](const Request&) {
    return JsonListResponse(services.scheduler ? services.scheduler->Dags() : std::vector<workflow::DagSummary>());
  });
  add("GET", "/api/v1/dags/{dag_id}", [](Scheduler& s, const Request& r) { return DagAnswer(s, r.Param("dag_id")); });
  add("GET", "/api/v1/dags/{dag_id}/source",
      [](Scheduler& s, const Request& r) { return Response::Text(200, TRY_HTTP(s.DagSource(r.Param("dag_id")))); });
  for (const bool paused : {true, false})
    add("POST", paused ? "/api/v1/dags/{dag_id}/pause" : "/api/v1/dags/{dag_id}/unpause",
        [paused](Scheduler& s, const Request& r) {
          TRY_HTTP(s.SetPaused(r.Param("dag_id"), paused));
          return DagAnswer(s, r.Param("dag_id"));
        });
  add("GET", "/api/v1/dags/{dag_id}/next", [](Scheduler& s, const Request& r) {
    const int64_t count = TRY_HTTP(QueryInt(r, "count", 1, 100, 5));
    http::JsonWriter json;
    json.BeginArray();
    for (const auto& [start, end] : TRY_HTTP(s.NextRuns(r.Param("dag_id"), static_cast<int>(count))))
      json.BeginObject().Field("data_interval_start_ms", start).Field("data_interval_end_ms", end).EndObject();
    json.EndArray();
    return Response::Json(200, json.Take() + "\n");
  });

  add("GET", "/api/v1/runs", [](Scheduler& s, const Request& r) {
    return JsonListResponse(TRY_HTTP(s.Runs("", static_cast<int>(TRY_HTTP(QueryInt(r, "limit", 1, 1000, 50))))));
  });
  add("GET", "/api/v1/dags/{dag_id}/runs", [](Scheduler& s, const Request& r) {
    TRY_HTTP(FindDag(s, r.Param("dag_id")));
    return JsonListResponse(
        TRY_HTTP(s.Runs(r.Param("dag_id"), static_cast<int>(TRY_HTTP(QueryInt(r, "limit", 1, 1000, 50))))));
  });
  add("POST", "/api/v1/dags/{dag_id}/runs", [](Scheduler& s, const Request& r) {
    const JsonBody body = TRY_HTTP(JsonBody::Parse(r, {"conf", "run_id", "logical_date_ms"}));
    return JsonResponse(
        201, TRY_HTTP(s.Trigger(r.Param("dag_id"), TRY_HTTP(body.Object("conf")).value_or("{}"),
                                TRY_HTTP(body.Text("run_id")).value_or(""), TRY_HTTP(body.Int("logical_date_ms")))));
  });
  add("GET", "/api/v1/dags/{dag_id}/runs/{run_id}", [&services](Scheduler& s, const Request& r) {
    const int64_t wait_ms = TRY_HTTP(QueryInt(r, "wait_ms", 0, kWaitMsMax, 0));
    for (int64_t left_ms = wait_ms; left_ms > 0 && !(services.stopping && services.stopping());
         left_ms -= kWaitSliceMs) {
      auto ended = s.WaitRun(r.Param("dag_id"), r.Param("run_id"), std::min(left_ms, kWaitSliceMs));
      if (ended.ok()) return JsonResponse(200, *ended);
      if (ended.error().code() != ErrorCode::kTimeout) return ErrorToResponse(ended.error());
    }
    return JsonResponse(200, TRY_HTTP(s.Run(r.Param("dag_id"), r.Param("run_id"))));
  });

  add("GET", "/api/v1/dags/{dag_id}/runs/{run_id}/tasks", TasksAnswer);
  add("GET", "/api/v1/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/logs", [](Scheduler& s, const Request& r) {
    const int64_t number = TRY_HTTP(QueryInt(r, "try", 0, 1'000'000, 0));
    return Response::Text(
        200, TRY_HTTP(s.TaskLog(r.Param("dag_id"), r.Param("run_id"), r.Param("task_id"), static_cast<int>(number))));
  });
  add("GET", "/api/v1/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/tries", [](Scheduler& s, const Request& r) {
    http::JsonWriter json;
    json.BeginArray();
    for (const auto& t : TRY_HTTP(s.Tries(r.Param("dag_id"), r.Param("run_id"), r.Param("task_id"))))
      json.BeginObject()
          .Field("try_number", t.try_number)
          .Field("state", t.state)
          .Field("note", t.note)
          .Field("start_date_ms", t.start_date_ms)
          .Field("end_date_ms", t.end_date_ms)
          .EndObject();
    json.EndArray();
    return Response::Json(200, json.Take() + "\n");
  });
  add("GET", "/api/v1/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/xcom/{key}", [](Scheduler& s, const Request& r) {
    return Response::Json(
        200, TRY_HTTP(s.XCom(r.Param("dag_id"), r.Param("run_id"), r.Param("task_id"), r.Param("key"))) + "\n");
  });
  add("POST", "/api/v1/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/clear", [](Scheduler& s, const Request& r) {
    const JsonBody body = TRY_HTTP(JsonBody::Parse(r, {"downstream"}));
    TRY_HTTP(s.Clear(r.Param("dag_id"), r.Param("run_id"), r.Param("task_id"),
                     TRY_HTTP(body.Bool("downstream")).value_or(true)));
    return TasksAnswer(s, r);
  });
  add("POST", "/api/v1/dags/{dag_id}/runs/{run_id}/tasks/{task_id}/state", [](Scheduler& s, const Request& r) {
    const JsonBody body = TRY_HTTP(JsonBody::Parse(r, {"state"}));
    TRY_HTTP(
        s.SetTaskState(r.Param("dag_id"), r.Param("run_id"), r.Param("task_id"), TRY_HTTP(body.RequiredText("state"))));
    return TasksAnswer(s, r);
  });
}

}  // namespace tailrace::api

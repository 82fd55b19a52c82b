#pragma once
// The routes of openapi.yaml by subject. api_test compares both lists.

#include "api/services.h"
#include "http/router.h"

namespace tailrace::api {

class StatusService;

void AddPageRoutes(http::Router& router);
void AddPlatformRoutes(http::Router& router, const Services& services, StatusService& status);
void AddStreamRoutes(http::Router& router, const Services& services);
void AddDagRoutes(http::Router& router, const Services& services);
void AddTopicRoutes(http::Router& router, const Services& services, StatusService& status);
void AddSqlRoutes(http::Router& router, const Services& services);

/// All of them.
http::Router MakeRouter(const Services& services, StatusService& status);

/// `name` of the query as a number within the range, or `otherwise` where absent.
Result<int64_t> QueryInt(const http::Request& request, const char* name, int64_t least, int64_t most,
                         int64_t otherwise);

/// "streams/x.sql" or "x" within the project: its path relative to it and its text with ${NAME} replaced.
struct StreamFile {
  std::string path, text;
};
Result<StreamFile> ReadStreamFile(const Services& services, const std::string& name);

}  // namespace tailrace::api

/// Unwraps a Result in a handler, or answers with its error.
#define TRY_HTTP(expression)                                            \
  ({                                                                    \
    auto try_result_ = (expression);                                    \
    if (!try_result_.ok()) return ErrorToResponse(try_result_.error()); \
    std::move(try_result_).value();                                     \
  })

#pragma once

#include <string>

#include "http/message.h"

namespace tailrace::api {

/// There is no login yet, so a page of another site must not reach us through the user's browser: a Host that is not
/// ours (DNS rebinding) is refused, and so is a change asked for by another Origin (CSRF). `bind_address` other than
/// loopback: the operator opened the port, any Host is good. Status 0 = may pass.
http::Response CheckOrigin(const http::Request& request, const std::string& bind_address);

}  // namespace tailrace::api

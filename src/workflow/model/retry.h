#pragma once

#include <cstdint>
#include <string>

namespace tailrace::workflow {

struct RetryPolicy {
  int retries = 0;
  int64_t delay_ms = 300'000;
  double backoff = 0;        // multiplier; 0 or 1: the delay stays the same. `true` in a file means 2.
  int64_t max_delay_ms = 0;  // 0: none but the 24 hours every backoff has
};

/// How long to wait after try `try_number` (from 1) failed. With backoff: b = ceil(delay * multiplier^(try-1)) seconds,
/// at least 1; wait b + sha1("dag#task#logical_date#try") mod b; at most 24 h, then max_delay (Airflow:
/// models/taskinstance.py, next_retry_datetime). Deterministic, so that a restart computes the same.
int64_t RetryDelayMs(const RetryPolicy& policy, const std::string& dag_id, const std::string& task_id,
                     int64_t logical_date_ms, int try_number);

/// Lower-case hex digest.
std::string Sha1Hex(const std::string& bytes);

}  // namespace tailrace::workflow

#pragma once

#include "workflow/operators/operator.h"

namespace tailrace::workflow {

/// Pokes as `mode`, `poke_interval`, `timeout`, `soft_fail`, `exponential_backoff` and `max_wait` say. In mode poke it
/// holds its slot and sleeps; in mode reschedule it pokes once and asks to come back. The timeout counts from the first
/// poke of the try, over reschedules and restarts.
Result<Outcome> RunSensor(Operator& op, TaskContext& context);

}  // namespace tailrace::workflow

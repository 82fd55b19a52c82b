#pragma once
// One function an operator; the parameters of each stand in registry.cc.

#include <memory>

#include "workflow/operators/operator.h"

namespace tailrace::workflow {

std::unique_ptr<Operator> MakeBash();
std::unique_ptr<Operator> MakePython();
std::unique_ptr<Operator> MakeEmpty();
std::unique_ptr<Operator> MakeBranch();
std::unique_ptr<Operator> MakeShortCircuit();
std::unique_ptr<Operator> MakeTriggerDag();
std::unique_ptr<Operator> MakeHttp();
std::unique_ptr<Operator> MakeSql();
std::unique_ptr<Operator> MakeCheckSql();
std::unique_ptr<Operator> MakeReportHtml();
std::unique_ptr<Operator> MakeKafkaCheck();
std::unique_ptr<Operator> MakeKafkaCreateTopics();
std::unique_ptr<Operator> MakeKafkaProduce();
std::unique_ptr<Operator> MakeKafkaOffsets();
std::unique_ptr<Operator> MakeStreamStart();
std::unique_ptr<Operator> MakeStreamStop();
std::unique_ptr<Operator> MakeGeneratorStart();
std::unique_ptr<Operator> MakeGeneratorStop();
std::unique_ptr<Operator> MakeStreamHealthSensor();
std::unique_ptr<Operator> MakeSqlSensor();
std::unique_ptr<Operator> MakeKafkaOffsetSensor();
std::unique_ptr<Operator> MakeBashSensor();
std::unique_ptr<Operator> MakeTimeDeltaSensor();
std::unique_ptr<Operator> MakeFileSensor();

}  // namespace tailrace::workflow

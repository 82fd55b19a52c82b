#include "workflow/dag_yaml/json_schema.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "workflow/dag_yaml/keys.h"
#include "workflow/model/trigger_rule.h"
#include "workflow/operators/operator.h"

namespace tailrace::workflow {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kTemplate = "^[\\s\\S]*\\{[\\s\\S]*$";

Json OfKey(const KeySpec& key) {
  Json j;
  switch (key.type) {
    case KeyType::kText: j = {{"type", "string"}}; break;
    case KeyType::kInteger: j = {{"type", "integer"}}; break;
    case KeyType::kBoolean: j = {{"type", "boolean"}}; break;
    case KeyType::kDuration: j = {{"$ref", "#/$defs/duration"}}; break;
    case KeyType::kDate: j = {{"type", "string"}}; break;
    case KeyType::kNumberOrBoolean: j = {{"type", {"number", "boolean"}}}; break;
    case KeyType::kTextList:
      j = {{"oneOf", {{{"type", "string"}}, {{"type", "array"}, {"items", {{"type", "string"}}}}}}};
      break;
    case KeyType::kMap: j = {{"type", "object"}}; break;
    case KeyType::kPools: j = {{"type", "object"}, {"additionalProperties", {{"type", "integer"}}}}; break;
    case KeyType::kCallbacks: j = {{"$ref", "#/$defs/callbacks"}}; break;
    case KeyType::kTasks: j = {{"type", "array"}, {"items", {{"$ref", "#/$defs/task"}}}}; break;
    case KeyType::kScheduleText: j = {{"type", {"string", "null"}}}; break;
  }
  j["description"] = key.help;
  return j;
}

Json OfParam(const ParamSpec& p) {
  Json exact;
  switch (p.type) {
    case ParamType::kText: return {{"type", {"string", "number", "boolean"}}, {"description", p.help}};
    case ParamType::kAny: return {{"description", p.help}};
    case ParamType::kList: return {{"description", p.help}};
    case ParamType::kMap: exact = {{"type", "object"}}; break;
    case ParamType::kInteger: exact = {{"type", "integer"}}; break;
    case ParamType::kNumber: exact = {{"type", "number"}}; break;
    case ParamType::kBoolean: exact = {{"type", "boolean"}}; break;
    case ParamType::kDuration: exact = {{"$ref", "#/$defs/duration"}}; break;
  }
  return {{"anyOf", {exact, {{"type", "string"}, {"pattern", kTemplate}}}}, {"description", p.help}};
}

std::vector<ParamSpec> ParamsOf(const OperatorSpec& op) {
  std::vector<ParamSpec> params = op.params;
  if (op.sensor) params.insert(params.end(), SensorParams().begin(), SensorParams().end());
  return params;
}

}  // namespace

std::string DagJsonSchema() {
  Json task_properties = Json::object(), operators = Json::array(), conditions = Json::array();
  for (const KeySpec& key : TaskKeys()) task_properties[key.name] = OfKey(key);
  for (const KeySpec& key : DefaultArgKeys()) task_properties[key.name] = OfKey(key);
  for (const OperatorSpec& op : Operators()) {
    operators.push_back(op.name);
    Json properties = Json::object(), required = Json::array();
    for (const ParamSpec& p : ParamsOf(op)) {
      properties[p.name] = OfParam(p);
      if (p.required) required.push_back(p.name);
    }
    Json with = {
        {"type", "object"}, {"description", op.help}, {"properties", properties}, {"additionalProperties", false}};
    if (!required.empty()) with["required"] = required;
    conditions.push_back(
        {{"if", {{"properties", {{"operator", {{"const", op.name}}}}}}}, {"then", {{"properties", {{"with", with}}}}}});
  }
  task_properties["operator"] = {{"enum", operators}, {"description", "What it does"}};
  Json rules = Json::array();
  for (std::string_view rule : TriggerRuleNames()) rules.push_back(rule);
  task_properties["trigger_rule"]["enum"] = rules;
  task_properties["weight_rule"]["enum"] = {"downstream", "upstream", "absolute"};

  Json steps = Json::array(), names = Json::array();
  for (const CallbackKind& kind : CallbackKinds()) {
    Json properties = Json::object();
    for (std::string_view key : kind.keys) properties[std::string(key)] = Json::object();
    steps.push_back({{"type", "object"},
                     {"properties",
                      {{kind.name,
                        {{"oneOf",
                          {{{"type", {"string", "null"}}},
                           {{"type", "object"}, {"properties", properties}, {"additionalProperties", false}}}}}}}},
                     {"required", {kind.name}},
                     {"additionalProperties", false}});
    names.push_back(kind.name);
  }
  steps.push_back({{"enum", names}});

  Json defaults = Json::object(), top = Json::object();
  for (const KeySpec& key : DefaultArgKeys()) defaults[key.name] = OfKey(key);
  for (const KeySpec& key : DagKeys()) top[key.name] = OfKey(key);
  top["default_args"] = {{"type", "object"},
                         {"properties", defaults},
                         {"additionalProperties", false},
                         {"description", "Keys for every task that does not set them itself"}};
  Json schema = {
      {"$schema", "https://json-schema.org/draft/2020-12/schema"},
      {"title", "tailrace DAG (dags/*.yaml)"},
      {"type", "object"},
      {"properties", top},
      {"required", {"tasks"}},
      {"additionalProperties", false},
      {"$defs",
       {{"duration",
         {{"type", {"string", "number"}}, {"description", "30s, 5m, 2h, 1d, 200ms; a bare number is seconds"}}},
        {"callback", {{"oneOf", steps}}},
        {"callbacks",
         {{"oneOf", {{{"$ref", "#/$defs/callback"}}, {{"type", "array"}, {"items", {{"$ref", "#/$defs/callback"}}}}}}}},
        {"task",
         {{"type", "object"},
          {"properties", task_properties},
          {"required", {"task_id", "operator"}},
          {"additionalProperties", false},
          {"allOf", conditions}}}}}};
  return schema.dump(2) + "\n";
}

std::string DagReferenceMarkdown() {
  std::string md =
      "# DAG files: every key and operator\n\nMade by `./dev gen` from the tables the loader checks against.\n";
  auto table = [&](const char* heading, const std::vector<KeySpec>& keys) {
    md += fmt::format("\n## {}\n\n| key | meaning |\n|---|---|\n", heading);
    for (const KeySpec& key : keys) md += fmt::format("| `{}` | {} |\n", key.name, key.help);
  };
  table("Of the DAG", DagKeys());
  table("Of a task", TaskKeys());
  table("Of a task, or of all by default_args", DefaultArgKeys());
  md += "\n## Callbacks\n\n| step | keys |\n|---|---|\n";
  for (const CallbackKind& kind : CallbackKinds())
    md +=
        fmt::format("| `{}` | `{}`; a plain text is `{}` |\n", kind.name, fmt::join(kind.keys, "` `"), kind.short_key);
  md += "\n## Operators\n";
  for (const OperatorSpec& op : Operators()) {
    md += fmt::format("\n### {}\n\n{}.{}\n", op.name, op.help, op.sensor ? " A sensor." : "");
    if (op.params.empty()) continue;
    md += "\n| parameter | meaning |\n|---|---|\n";
    for (const ParamSpec& p : op.params)
      md += fmt::format("| `{}`{} | {} |\n", p.name, p.required ? " (required)" : "", p.help);
  }
  md += "\n### Every sensor also has\n\n| parameter | meaning |\n|---|---|\n";
  for (const ParamSpec& p : SensorParams()) md += fmt::format("| `{}` | {} |\n", p.name, p.help);
  return md;
}

}  // namespace tailrace::workflow

// The one file that knows CLI11: its header alone takes longer to compile than any command.

#include "app/cli/command.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "api/services.h"
#include "app/data_dir.h"
#include "config/suggest.h"

namespace tailrace::app {
namespace {

/// Says what is wrong. Of names the parser alone would only say that a subcommand is missing.
void Explain(CLI::App& root, const CLI::ParseError& error, int argc, char** argv) {
  CLI::App* command = &root;
  std::string path = "tailrace";
  int at = 1;
  for (; at < argc && argv[at][0] != '-'; ++at) {
    std::vector<std::string> names;
    CLI::App* next = nullptr;
    for (CLI::App* sub : command->get_subcommands([](CLI::App*) { return true; })) {
      names.push_back(sub->get_name());
      if (sub->get_name() == argv[at]) next = sub;
    }
    if (names.empty()) break;  // what follows are the command's own arguments
    if (!next) {
      std::fprintf(stderr, "tailrace: there is no command '%s %s'\n  what to do: %s\n", path.c_str(), argv[at],
                   config::SuggestRemedy(argv[at], names).c_str());
      return;
    }
    command = next;
    path += " " + next->get_name();
  }
  std::vector<std::string> names, options;
  for (CLI::App* sub : command->get_subcommands([](CLI::App*) { return true; })) names.push_back(sub->get_name());
  if (!names.empty() && at >= argc) {
    std::fprintf(stderr, "tailrace: '%s' needs a command\n  what to do: %s; '%s --help' says more\n", path.c_str(),
                 config::SuggestRemedy("", names).c_str(), path.c_str());
    return;
  }
  for (const CLI::Option* option : command->get_options())
    for (const std::string& name : option->get_lnames()) options.push_back("--" + name);
  for (; at < argc; ++at) {
    std::string name = argv[at];
    name = name.substr(0, name.find('='));
    if (name == "--") break;
    if (!name.starts_with("--") || std::find(options.begin(), options.end(), name) != options.end()) continue;
    const std::string nearest = config::Nearest(name, options);
    std::fprintf(stderr, "tailrace: '%s' has no option %s\n  what to do: %s\n", path.c_str(), name.c_str(),
                 nearest.empty() ? ("see '" + path + " --help'").c_str() : ("did you mean '" + nearest + "'?").c_str());
    return;
  }
  std::fprintf(stderr, "tailrace: %s\n  what to do: see '%s --help'\n", error.what(), path.c_str());
}

}  // namespace

Option& Option::Required() {
  option_->required();
  return *this;
}
Option& Option::Type(const char* name) {
  option_->type_name(name);
  return *this;
}
Option& Option::Between(int64_t least, int64_t most) {
  option_->check(CLI::Range(least, most).description(""));
  return *this;
}
Option& Option::OneOf(const std::vector<std::string>& values) {
  option_->check(CLI::IsMember(values).description(""));
  return *this;
}

Command Command::Add(const char* name, const char* help, const std::string& example) {
  CLI::App* command = app_->require_subcommand(1)->add_subcommand(name, help);
  std::string footer;
  for (size_t start = 0; start < example.size();) {
    const size_t end = std::min(example.size(), example.find('\n', start));
    footer += (footer.empty() ? "" : "\n") + ("  " + example.substr(start, end - start));
    start = end + 1;
  }
  if (!footer.empty()) command->footer("Example:\n" + footer);
  return {command, invocation_};
}

namespace {

/// An argument that stands by its place needs no type beside its name.
CLI::Option* Describe(CLI::Option* option, const char* type, bool show_default) {
  option->type_name(option->get_positional() ? "" : type);
  return show_default ? option->capture_default_str() : option;
}

}  // namespace

Option Command::Value(const char* names, std::string& value, const std::string& help) {
  return Option(Describe(app_->add_option(names, value, help), "TEXT", !value.empty() && value != "."));
}
Option Command::Value(const char* names, int& value, const std::string& help) {
  return Option(Describe(app_->add_option(names, value, help), "N", value > 0));
}
Option Command::Value(const char* names, int64_t& value, const std::string& help) {
  return Option(Describe(app_->add_option(names, value, help), "N", value > 0));
}
Option Command::Value(const char* names, double& value, const std::string& help) {
  return Option(Describe(app_->add_option(names, value, help), "NUMBER", value > 0));
}
Option Command::Value(const char* names, std::vector<std::string>& value, const std::string& help) {
  return Option(Describe(app_->add_option(names, value, help), "TEXT", false)
                    ->expected(1)
                    ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll));
}
void Command::Flag(const char* names, bool& value, const std::string& help) { app_->add_flag(names, value, help); }

void Command::OutputOption() {
  Value("-o,--output", invocation_->output, "table, json or yaml").OneOf({"table", "json", "yaml"}).Type("FORMAT");
}
void Command::UrlOption() {
  Value("--url", invocation_->url,
        "address of the platform; default: TAILRACE_URL, then the one running in this directory, then "
        "http://127.0.0.1:8080")
      .Type("URL");
}
void Command::BootstrapOption() {
  Value("--bootstrap", invocation_->bootstrap,
        "Kafka to talk to; default: TAILRACE_KAFKA, then the platform running in this directory, then 127.0.0.1:9092")
      .Type("HOST:PORT");
}

void Command::SettingOptions(SettingFlags& flags) {
  for (const config::Setting& setting : config::AllSettings()) {
    const std::string name = setting.name;
    const bool common = name == "data.dir" || name.starts_with("port.") || name == "bind.address";
    std::string help = setting.doc;
    if (setting.type == config::SettingType::kChoice) help += " (" + std::string(setting.choices) + ")";
    if (*setting.otherwise) help += " [" + std::string(setting.otherwise) + "]";
    CLI::Option* option = app_->add_option(
        config::FlagName(setting),
        [&flags, name](const CLI::results_t& values) {
          flags.given[name] = values.back();
          return true;
        },
        help);
    option->type_name(config::SettingTypeName(setting.type))
        ->group(common ? "Options" : "Settings (also under 'settings:' in tailrace.yaml)");
  }
}

void Command::Action(std::function<Result<int>(const Invocation&)> action) {
  app_->callback([invocation = invocation_, action = std::move(action)] {
    invocation->run = [invocation, action] { return action(*invocation); };
  });
}

std::optional<int> ParseCommandLine(int argc, char** argv, Invocation* invocation) {
  CLI::App root("tailrace: Kafka, streaming SQL, workflows, serving and monitoring in one program");
  root.name("tailrace");
  root.set_version_flag("--version", std::string("tailrace ") + api::kVersion);
  root.footer(
      "Begin:\n  tailrace init my-project && tailrace run my-project\n\nEvery command has --help with an example. Exit "
      "status: 0 done, 1 failed, 2 wrong command line.");
  Command commands(&root, invocation);
  AddAllCommands(commands);
  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    if (e.get_exit_code() == 0) return root.exit(e);  // --help, --version
    Explain(root, e, argc, argv);
    return 2;
  }
  return std::nullopt;
}

Status SettingFlags::Apply(config::Settings* settings) const {
  for (const auto& [name, text] : given)
    if (auto status = settings->Set(name, text, config::SettingOrigin::kFlag); !status.ok())
      return std::move(status).error().Context(config::FlagName(*config::FindSetting(name)));
  return Ok();
}

std::string PlatformUrl(const Invocation& invocation) {
  std::string url = invocation.url;
  if (url.empty())
    if (const char* env = std::getenv("TAILRACE_URL")) url = env;
  if (url.empty())
    if (auto running = FindRunning(".tailrace")) url = running->http;
  if (url.empty()) url = "http://127.0.0.1:8080";
  while (url.ends_with('/')) url.pop_back();
  return url;
}

std::string KafkaBootstrap(const Invocation& invocation) {
  if (!invocation.bootstrap.empty()) return invocation.bootstrap;
  if (const char* env = std::getenv("TAILRACE_KAFKA"); env && *env) return env;
  if (auto running = FindRunning(".tailrace"); running && !running->kafka.empty()) return running->kafka;
  return "127.0.0.1:9092";
}

}  // namespace tailrace::app

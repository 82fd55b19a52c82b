// Against the answers of Python's Jinja2 (tests/workflow/jinja_vs_python.py), and what only ours has: limits and
// places.

#include <gtest/gtest.h>

#include <fstream>

#include "workflow/jinja/template.h"
#include "workflow/testing.h"

namespace tailrace::workflow {
namespace {

std::string ReadAll(const std::string& path) {
  std::ifstream in(path);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

TEST(Jinja, AnswersAsPython) {
  Result<Value> file = ParseJson(ReadAll(testing::SourceRoot(__FILE__) + "/tests/workflow/jinja_cases.json"));
  ASSERT_TRUE(file.ok()) << file.error().ToString();
  Map context = file->Find("context")->map();
  DateTime when;
  when.epoch_us = context.Find("when")->Find("$datetime_us")->integer();
  context.Set("when", Value(when));
  MapScope scope(context);
  int count = 0;
  for (const Value& c : file->Find("cases")->list()) {
    const std::string& source = c.Find("template")->string();
    Result<std::string> out = Render(source, scope);
    ++count;
    if (c.Find("error") != nullptr) {
      EXPECT_FALSE(out.ok()) << source << " gives " << *out;
      continue;
    }
    EXPECT_TRUE(out.ok()) << source << "\n  " << (out.ok() ? "" : out.error().ToString());
    if (out.ok()) { EXPECT_EQ(*out, c.Find("expect")->string()) << source; }
  }
  EXPECT_GE(count, 150);
}

std::string ErrorOf(const std::string& text) {
  Map map;
  map.Set("user", Value(Map()));
  Result<std::string> out = Render(text, MapScope(map), {.output_bytes = 100'000, .steps = 10'000});
  return out.ok() ? "no error: " + out->substr(0, 100) : out.error().ToString();
}

TEST(Jinja, ErrorsSayWhere) {
  EXPECT_EQ(ErrorOf("line\n  {{ nope }}"), "template: line 2, column 6: 'nope' is undefined");
  EXPECT_EQ(ErrorOf("{{ user.name }}"), "template: line 1, column 8: 'dict object' has no attribute 'name'");
  EXPECT_EQ(ErrorOf("{{ 1 + }}"), "template: line 1, column 8: expected an expression, found }}");
  EXPECT_EQ(ErrorOf("{% if x %}"), "template: line 1, column 11: the template ended; 'endif' is missing");
  EXPECT_EQ(ErrorOf("{{ 'x' | uper }}"), "template: line 1, column 8: no filter named 'uper'");
}

TEST(Jinja, LimitsHold) {
  EXPECT_NE(
      ErrorOf("{% for i in range(99999) %}{% for j in range(99999) %}x{% endfor %}{% endfor %}").find("too many steps"),
      std::string::npos);
  EXPECT_NE(ErrorOf("{{ 'x' * 1000000000000 }}").find("16 MB"), std::string::npos);
  EXPECT_NE(ErrorOf("{% set x = 'aaaaaaaaaa' * 20000 %}{{ x }}").find("more than 100000 bytes"), std::string::npos);
  EXPECT_NE(ErrorOf("{{ " + std::string(500, '(') + "1" + std::string(500, ')') + " }}").find("nested too deep"),
            std::string::npos);
  EXPECT_NE(ErrorOf("{{ 9223372036854775807 + 1 }}").find("too large"), std::string::npos);
  EXPECT_NE(ErrorOf("{{ range(100000000) }}").find("more than 100,000"), std::string::npos);
}

TEST(Jinja, RandomBytesNeverCrash) {
  const std::string pieces[] = {"{{",     "}}",    "{%",     "%}",  "{#", "#}",   " if ", " for ", " in ",  " x ",
                                "|",      "(",     ")",      "[",   "]",  "'",    "\"",   "1",     ".",     ",",
                                "-",      "endif", "endfor", "set", "=",  "~",    "*",    "**",    " is ",  "raw",
                                "endraw", "\n",    "{",      "}",   "\\", "\xff", ":",    " not ", " else "};
  uint64_t seed = 42;
  auto next = [&] { return seed = seed * 6364136223846793005ULL + 1442695040888963407ULL, seed >> 33; };
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    for (uint64_t n = next() % 24; n > 0; --n) text += pieces[next() % std::size(pieces)];
    (void)ErrorOf(text);
  }
}

}  // namespace
}  // namespace tailrace::workflow

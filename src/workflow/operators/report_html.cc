#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>

#include "base/clock.h"
#include "workflow/jinja/template.h"
#include "workflow/operators/list.h"
#include "workflow/operators/sql_support.h"
#include "workflow/operators/svg_plot.h"

namespace tailrace::workflow {
namespace {

constexpr uint64_t kRowsMax = 2000;  // of one section
constexpr size_t kSectionsMax = 200;

constexpr const char* kStyle = R"css(
:root{--bg:#fff;--fg:#1b2430;--soft:#667085;--line:#e4e7ec;--card:#fff;--head:#f8fafc;--c0:#2563eb;--c1:#f59e0b;--c2:#10b981;--c3:#ef4444;--c4:#8b5cf6;--c5:#0891b2}
@media(prefers-color-scheme:dark){:root{--bg:#0f1720;--fg:#e6eaf0;--soft:#98a2b3;--line:#253041;--card:#16202c;--head:#1b2735;--c0:#60a5fa;--c1:#fbbf24;--c2:#34d399;--c3:#f87171;--c4:#a78bfa;--c5:#22d3ee}}
*{box-sizing:border-box}body{margin:0;background:var(--bg);color:var(--fg);font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,sans-serif}
main{max-width:960px;margin:0 auto;padding:40px 24px 64px}h1{font-size:28px;margin:0 0 4px}h2{font-size:17px;margin:0 0 12px}
.sub{color:var(--soft);margin:0 0 28px}section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:20px 22px;margin:0 0 20px}
.numbers{display:flex;flex-wrap:wrap;gap:16px}.number{flex:1 1 150px;border:1px solid var(--line);border-radius:8px;padding:12px 16px}
.number b{display:block;font-size:26px;font-variant-numeric:tabular-nums}.number span{color:var(--soft);font-size:13px}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:14px}th,td{text-align:left;padding:7px 12px;border-bottom:1px solid var(--line);white-space:nowrap}
th{background:var(--head);font-weight:600}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}td.null{color:var(--soft)}tr:last-child td{border-bottom:0}
svg{width:100%;height:auto;display:block}.grid{stroke:var(--line)}.tick{fill:var(--soft);font-size:12px}.line{fill:none;stroke-width:2.2;stroke-linejoin:round}
.legend{margin:8px 0 0;color:var(--soft);font-size:13px}.legend span{margin-right:18px}.legend i{display:inline-block;width:10px;height:10px;border-radius:3px;margin-right:6px}
.none{color:var(--soft)}footer{color:var(--soft);font-size:13px;margin-top:28px}
)css";

std::string Table(const connectors::QueryResult& result) {
  if (result.rows.empty()) return "<p class=\"none\">no rows</p>";
  std::string html = "<div class=\"scroll\"><table><tr>";
  for (size_t c = 0; c < result.columns.size(); ++c)
    html += fmt::format("<th{}>{}</th>", Cell(result, 0, c).is_number() ? " class=\"n\"" : "",
                        EscapeHtml(result.columns[c].name));
  html += "</tr>";
  for (size_t r = 0; r < result.rows.size(); ++r) {
    html += "<tr>";
    for (size_t c = 0; c < result.rows[r].size(); ++c) {
      const auto& text = result.rows[r][c];
      if (!text) html += "<td class=\"null\">NULL</td>";
      else
        html += fmt::format("<td{}>{}</td>", Cell(result, r, c).is_number() ? " class=\"n\"" : "", EscapeHtml(*text));
    }
    html += "</tr>";
  }
  html += "</table></div>";
  if (result.truncated) html += fmt::format("<p class=\"none\">the first {} rows</p>", result.rows.size());
  return html;
}

Result<size_t> ColumnOf(const connectors::QueryResult& result, const std::string& name) {
  for (size_t c = 0; c < result.columns.size(); ++c)
    if (result.columns[c].name == name) return c;
  return InvalidArgument(fmt::format("the query has no column '{}'", name));
}

Result<std::string> Plot(const Map& section, const connectors::QueryResult& result, const std::string& kind) {
  if (result.columns.size() < 2) return InvalidArgument("a plot needs a query of at least two columns");
  size_t x = 0;
  if (const Value* v = section.Find("x")) x = TRY(ColumnOf(result, PythonStr(*v)));
  std::vector<size_t> ys;
  if (const Value* v = section.Find("y")) {
    for (const Value& name : v->is_list() ? v->list() : List{*v}) ys.push_back(TRY(ColumnOf(result, PythonStr(name))));
  } else {
    for (size_t c = 0; c < result.columns.size(); ++c)
      if (c != x) ys.push_back(c);
  }
  PlotData data;
  for (size_t r = 0; r < result.rows.size(); ++r) data.labels.push_back(result.rows[r][x].value_or("NULL"));
  for (size_t y : ys) {
    PlotSeries series{result.columns[y].name, {}};
    for (size_t r = 0; r < result.rows.size(); ++r) {
      Value v = Cell(result, r, y);
      series.values.push_back(v.is_number() ? v.number() : NAN);
    }
    data.series.push_back(std::move(series));
  }
  return RenderPlot(kind == "bar" ? PlotKind::kBar : PlotKind::kLine, data);
}

std::string Numbers(const connectors::QueryResult& result) {
  std::string html = "<div class=\"numbers\">";
  for (size_t c = 0; !result.rows.empty() && c < result.columns.size(); ++c) {
    Value v = Cell(result, 0, c);
    std::string text = v.is_double() ? fmt::format("{:.4g}", v.number()) : result.rows[0][c].value_or("–");
    if (v.is_double() && std::fabs(v.number()) >= 1e4) text = fmt::format("{:.0f}", v.number());
    html += fmt::format("<div class=\"number\"><b>{}</b><span>{}</span></div>", EscapeHtml(text),
                        EscapeHtml(result.columns[c].name));
  }
  return html + "</div>";
}

Status WriteAtomically(const std::string& path, const std::string& text) {
  for (size_t slash = path.find('/', 1); slash != std::string::npos; slash = path.find('/', slash + 1))
    if (mkdir(path.substr(0, slash).c_str(), 0755) != 0 && errno != EEXIST)
      return IoError("mkdir " + path.substr(0, slash), errno);
  std::string temporary = fmt::format("{}.{}.tmp", path, getpid());
  int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return IoError("open " + temporary, errno);
  size_t done = 0;
  while (done < text.size()) {
    ssize_t n = write(fd, text.data() + done, text.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      Error error = IoError("write " + temporary, errno);
      close(fd);
      unlink(temporary.c_str());
      return error;
    }
    done += static_cast<size_t>(n);
  }
  fsync(fd);
  close(fd);
  if (rename(temporary.c_str(), path.c_str()) != 0) return IoError("rename to " + path, errno);
  return {};
}

/// An HTML page of sections: text, tables, plots and numbers from SQL.
class ReportHtml final : public Operator {
 public:
  Result<Outcome> Execute(TaskContext& context) override {
    std::string title = TRY(context.Text("title")), subtitle = TRY(context.Text("subtitle", ""));
    std::string path = context.Path(TRY(context.Text("output")));
    List sections = TRY(context.Values("sections"));
    if (sections.size() > kSectionsMax) return Error(ErrorCode::kLimitExceeded, "a report of more than 200 sections");
    const std::string now = FormatIso8601Ms(context.environment.clock.NowMs());
    if (subtitle.empty()) subtitle = fmt::format("{} · {}", context.run.run_id, now);
    std::string html = fmt::format(
        "<!DOCTYPE html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" "
        "content=\"width=device-width,initial-scale=1\">"
        "<title>{0}</title><style>{1}</style></head><body><main><h1>{0}</h1><p class=\"sub\">{2}</p>",
        EscapeHtml(title), kStyle, EscapeHtml(subtitle));
    for (size_t i = 0; i < sections.size(); ++i) {
      if (!sections[i].is_map()) return InvalidArgument(fmt::format("sections[{}]: expected a map", i));
      if (context.cancel.cancelled()) return Outcome::Fail("cancelled");
      Result<std::string> body = Section(context, sections[i].map());
      if (!body.ok()) return std::move(body).error().Context(fmt::format("sections[{}]", i));
      const Value* heading = sections[i].Find("title");
      html += "<section>" + (heading ? "<h2>" + EscapeHtml(PythonStr(*heading)) + "</h2>" : std::string()) + *body +
              "</section>";
    }
    html += fmt::format("<footer>{}.{} · try {} · {}</footer></main></body></html>\n", EscapeHtml(context.dag.dag_id),
                        EscapeHtml(context.task.task_id), context.instance.try_number, now);
    TRY(WriteAtomically(path, html));
    context.log.Info(fmt::format("Wrote {} ({} sections, {} bytes)", path, sections.size(), html.size()));
    return Outcome::Success().Return(Value(path));
  }

 private:
  static Result<std::string> Section(TaskContext& context, const Map& section) {
    std::string html;
    if (const Value* text = section.Find("text")) {
      std::string escaped = EscapeHtml(PythonStr(*text)), paragraph;
      html += "<p>";
      for (char c : escaped) html += c == '\n' ? std::string("<br>") : std::string(1, c);
      html += "</p>";
    }
    if (!section.Find("sql")) return html;
    Map with = section;
    if (const Value* store = context.with.Find("store"); store && !with.Find("store")) with.Set("store", *store);
    connectors::QueryResult result = TRY(RunSql(context, with, kRowsMax));
    const Value* plot = section.Find("plot");
    std::string kind = plot ? PythonStr(*plot) : "table";
    if (kind == "line" || kind == "bar") html += TRY(Plot(section, result, kind));
    else if (kind == "number" || kind == "numbers") html += Numbers(result);
    else if (kind == "table") html += Table(result);
    else return InvalidArgument(fmt::format("plot: expected line, bar, number or table, found '{}'", kind));
    return html;
  }
};

}  // namespace

std::unique_ptr<Operator> MakeReportHtml() { return std::make_unique<ReportHtml>(); }

}  // namespace tailrace::workflow

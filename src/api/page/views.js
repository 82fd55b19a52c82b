"use strict";

/** A cell of a query: nested values as JSON, long ones cut. */
const cut = (v) => { const text = typeof v === "object" ? JSON.stringify(v) : String(v); return text.length > 400 ? text.slice(0, 400) + "…" : text; };
// One function a page: from the status (and what the page fetched) to HTML. No state, no events: app.js has those.

const panel = (title, note, content) => `<section class="panel"><div class="head"><h2>${title}</h2>${note ? `<span class="note">${note}</span>` : ""}</div>${content}</section>`;
const empty = (html) => `<p class="empty">${html}</p>`;
const table = (columns, rows) =>
  `<div class="scroll"><table><thead><tr>${columns.map(([name, kind]) => `<th class="${kind ?? ""}">${name}</th>`).join("")}</tr></thead><tbody>${rows.join("")}</tbody></table></div>`;
const figure = (name, value, unit, values, more) =>
  `<div class="figure"><span class="name">${name}</span><span class="value">${value} <small>${unit}</small></span>${values ? spark(values) : `<span class="more">${more ?? ""}</span>`}</div>`;

function alertsBlock(s) {
  return s.alerts.filter((a) => a.state === "firing").map((a) => `<section class="panel alert" role="alert">${esc(a.message)} <span class="soft">since ${time(a.fired_ms)}</span></section>`).join("");
}

function topicsTable(s) {
  if (!s.topics.length) return empty("No topics yet. Create one: <code>tailrace topic create events</code>, or let a Kafka client write to <code>" + esc(s.kafka) + "</code>.");
  return table([["Topic"], ["Partitions", "num"], ["Messages", "num"], ["Size", "num"], ["In", "num"]], s.topics.map((t) =>
    `<tr><td class="name"><a href="#/topics/${part(t.name)}">${esc(t.name)}</a></td><td class="num">${t.partitions}</td><td class="num">${count(t.messages)}</td><td class="num">${bytes(t.size_bytes)}</td><td class="num">${rate(t.messages_in_per_second)}/s</td></tr>`));
}

function groupsTable(s) {
  if (!s.groups.length) return empty("No consumer groups yet. They appear when a consumer or a streaming job commits its offsets.");
  return table([["Group"], ["State"], ["Members", "num"], ["Lag", "num"]], s.groups.map((g) =>
    `<tr><td class="name">${esc(g.group)}</td><td>${pill(g.state)}</td><td class="num">${g.members}</td><td class="num">${count(g.lag)}</td></tr>`));
}

function streamsTable(s) {
  if (!s.streams.length) return empty("No streaming jobs. Start one of the project's: <code>tailrace stream start NAME</code>, or trigger the DAG that does.");
  return table([["Stream"], ["State"], ["Last minute"], ["In", "num"], ["Out", "num"], ["Lag", "num"], ["Latency p99", "num"], ["Watermark", "num"], ["Bad", "num"]], s.streams.map((j) =>
    `<tr><td class="name"><a href="#/streams/${part(j.name)}">${esc(j.name)}</a></td><td>${pill(j.state)}</td><td>${spark(s.broker.history.streams[j.name], 90, 22)}</td><td class="num">${rate(j.records_in_per_second)}/s</td><td class="num">${rate(j.rows_out_per_second)}/s</td><td class="num">${count(j.lag)}</td><td class="num">${j.latency.p99_us == null ? "–" : span(j.latency.p99_us / 1000)}</td><td class="num">${j.watermark_ms == null ? "–" : time(j.watermark_ms)}</td><td class="num ${j.bad_records ? "" : "faint"}">${count(j.bad_records)}</td></tr>` +
    (j.error ? `<tr><td></td><td colspan="8" class="bad wrap">${esc(j.error)}</td></tr>` : "")));
}

function runRows(entries) {
  return entries.map(({ run, tasks }) =>
    `<tr><td class="name"><a href="#/dags/${part(run.dag_id)}">${esc(run.dag_id)}</a></td><td><a class="soft" href="#/dags/${part(run.dag_id)}/runs/${part(run.run_id)}">${esc(run.run_id)}</a></td><td>${pill(run.state)}</td><td><div class="squares">${tasks.map(square).join("")}</div></td><td class="num">${time(run.start_date_ms)}</td><td class="num">${run.start_date_ms ? span((run.end_date_ms ?? Date.now()) - run.start_date_ms) : "–"}</td></tr>`);
}
function runsTable(entries, dag) {
  if (!entries.length) return empty(`No runs yet. Trigger one: <code>tailrace dag trigger ${esc(dag ?? "DAG")}</code>.`);
  return table([["DAG"], ["Run"], ["State"], ["Tasks"], ["Started", "num"], ["Took", "num"]], runRows(entries));
}

// Alert rules, alerts of DAGs and missed SLAs in one list, newest first.
function alertsTable(s) {
  const rows = [
    ...s.alerts.map((a) => ({ time: a.resolved_ms || a.fired_ms || a.pending_since_ms, state: a.state, from: a.rule, text: a.message })),
    ...s.dag_alerts.map((a) => ({ time: a.time_ms, state: a.severity === "critical" ? "failed" : a.severity === "info" ? "" : "pending", label: a.severity, from: a.source, text: a.message })),
    ...s.sla_misses.map((m) => ({ time: m.time_ms, state: "pending", label: "SLA missed", from: m.dag_id, text: m.task_id + " in " + m.run_id })),
  ].sort((a, b) => b.time - a.time).slice(0, 10);
  if (!rows.length) return "";
  return panel("Alerts", "newest first", table([["Time"], ["State"], ["From"], ["Message"]], rows.map((r) =>
    `<tr><td class="soft">${time(r.time)}</td><td>${pill(r.state, r.label)}</td><td>${esc(r.from)}</td><td class="wrap">${esc(r.text)}</td></tr>`)));
}

function errorsTable(s) {
  if (!s.errors.length) return empty("Nothing went wrong since the start.");
  return table([["Time"], ["Component"], ["Message"], ["", "num"]], s.errors.slice(0, 20).map((e) =>
    `<tr><td class="soft">${time(e.time_ms)}</td><td>${pill(e.level === "error" ? "failed" : "pending", e.component)}</td><td class="wrap">${esc(e.message)}</td><td class="num faint">${e.repeated > 1 ? "× " + count(e.repeated) : ""}</td></tr>`));
}

function overview(s) {
  const h = s.broker.history;
  const running = s.streams.filter((j) => j.state === "RUNNING");
  const lag = running.reduce((sum, j) => sum + Math.max(0, j.lag ?? 0), 0);
  const p99 = Math.max(-1, ...running.map((j) => j.latency.p99_us ?? -1));
  return alertsBlock(s) +
    `<div class="figures">` +
    (s.broker.embedded ? figure("Records in", rate(s.broker.messages_in_per_second ?? 0), "/s", h.messages_in) : "") +
    figure("Rows out", rate(s.streams.reduce((sum, j) => sum + j.rows_out_per_second, 0)), "/s", h.rows_out) +
    (s.broker.embedded ? figure("Bytes in", bytes(s.broker.bytes_in_per_second ?? 0), "/s", h.bytes_in) : "") +
    figure("Stream lag", count(lag), "records", null, p99 < 0 ? "no latency yet" : "p99 latency " + span(p99 / 1000)) +
    figure("CPU", ((s.broker.cpu ?? 0) * 100).toFixed(0), "% of a core", h.cpu) +
    figure("Memory", bytes(s.process.resident_bytes), "", null, `up ${span(s.now_ms - s.started_ms)}`) +
    `</div>` +
    panel("Streams", "events per second, from source to commit", streamsTable(s)) +
    panel("DAG runs", "newest first", runsTable(s.runs.slice(0, 6))) +
    `<div class="two">` + panel("Topics", esc(s.kafka), topicsTable(s)) + panel("Consumer groups", "", groupsTable(s)) + `</div>` +
    alertsTable(s) +
    panel("Recent errors", "warnings and errors of this process", errorsTable(s)) +
    panel("Components", "", table([["Component"], ["Status"], [""]], s.health.components.map((c) => `<tr><td class="name">${esc(c.name)}</td><td>${pill(c.status)}</td><td class="soft wrap">${esc(c.detail)}</td></tr>`)));
}

const topicsPage = (s) => `<h1>Topics</h1><p class="sub">Any Kafka client reaches them at <code>${esc(s.kafka)}</code></p>` + panel("Topics", "", topicsTable(s)) + panel("Consumer groups", "", groupsTable(s));

function pretty(text) {
  if (text == null) return '<span class="faint">null</span>';
  try { return esc(JSON.stringify(JSON.parse(text), null, 2)); } catch { return esc(text); }
}
function topicPage(name, topic, messages) {
  if (topic.error) return problem(topic, "#/topics", "Topics");
  const sum = topic.partition_list ?? [];
  return `<p class="crumb"><a href="#/topics">Topics</a></p><h1>${esc(name)}</h1><p class="sub">${count(topic.messages)} messages, ${bytes(topic.size_bytes)}, ${rate(topic.messages_in_per_second)}/s in</p>` +
    panel("Partitions", "", table([["Partition"], ["First offset", "num"], ["End offset", "num"], ["Size", "num"]], sum.map((p) => `<tr><td class="name">${p.partition}</td><td class="num">${count(p.start_offset)}</td><td class="num">${count(p.end_offset)}</td><td class="num">${bytes(p.size_bytes)}</td></tr>`))) +
    panel("Last messages", "newest first", messages.error ? empty(esc(messages.error.message)) : !messages.length ? empty(`The topic is empty. Write to it: <code>echo '{"n": 1}' | tailrace topic produce ${esc(name)}</code>`) :
      messages.map((m) => `<details><summary class="row" style="padding:8px 18px;border-top:1px solid var(--line);cursor:pointer"><span class="soft">${time(m.timestamp_ms)}</span><span class="faint mono">${m.partition}:${m.offset}</span>${m.key == null ? "" : `<span class="mono">${esc(m.key.slice(0, 40))}</span>`}<span class="mono soft" style="flex:1;min-width:0;overflow:hidden;text-overflow:ellipsis;white-space:nowrap">${esc((m.value ?? "null").slice(0, 300))}</span></summary><pre>${pretty(m.value)}${Object.keys(m.headers).length ? "\n\nheaders " + esc(JSON.stringify(m.headers, null, 2)) : ""}</pre></details>`).join(""));
}

const streamsPage = (s) => alertsBlock(s) + `<h1>Streams</h1><p class="sub">SQL jobs of this process</p>` + panel("Jobs", "", streamsTable(s)) +
  panel("Generators", "simulated and replayed sources", !s.generators.length ? empty("The project has none in its <code>generators/</code>.") :
    table([["Generator"], ["State"], ["Rate", "num"], ["Sent", "num"], ["", "num"]], s.generators.map((g) => `<tr><td class="name">${esc(g.name)} <span class="faint">${esc(g.file)}</span></td><td>${pill(g.error ? "failed" : g.running ? "RUNNING" : "", g.error ? "failed" : g.running ? "running" : "stopped")}</td><td class="num">${g.rate ? rate(g.rate) + "/s" : "–"}</td><td class="num">${count(g.sent)}</td><td class="num"><button data-post="/api/v1/generators/${part(g.name)}/${g.running ? "stop" : "start"}">${g.running ? "Stop" : "Start"}</button></td></tr>` + (g.error ? `<tr><td colspan="5" class="bad wrap">${esc(g.error)}</td></tr>` : ""))));

function streamPage(s, name, plan) {
  const j = s.streams.find((x) => x.name === name);
  if (!j) return problem({ error: { message: `There is no stream ${name}.`, remedy: `Start it: tailrace stream start ${name}` } }, "#/streams", "Streams");
  const l = j.latency;
  const ms = (us) => (us == null ? "–" : span(us / 1000));
  return `<p class="crumb"><a href="#/streams">Streams</a></p><div class="titlebar"><div><h1>${esc(name)} ${pill(j.state)}</h1><p class="sub">${esc(j.file)}</p></div>${j.state === "RUNNING" ? `<button data-post="/api/v1/streams/${part(name)}/stop" data-ask="Stop ${esc(name)}? It takes a last checkpoint first.">Stop</button>` : ""}</div>` +
    (j.error ? `<section class="panel alert">${esc(j.error)}</section>` : "") +
    `<div class="figures">` + figure("In", rate(j.records_in_per_second), "/s", s.broker.history.streams[name]) + figure("Out", rate(j.rows_out_per_second), "/s", null, count(j.rows_out) + " rows in all") + figure("Lag", count(j.lag), "records", null, "waiting in the sources") + figure("Latency p99", ms(l.p99_us), "", null, `p50 ${ms(l.p50_us)}, max ${ms(l.max_us)}`) + `</div>` +
    `<div class="two">` + panel("Numbers", "", `<div class="body"><dl><dt>Read</dt><dd>${count(j.records_in)} records, ${bytes(j.bytes_in)}</dd><dt>Written</dt><dd>${count(j.rows_out)} rows</dd><dt>Bad records</dt><dd>${count(j.bad_records)}</dd><dt>Late rows</dt><dd>${count(j.late_records)}</dd><dt>Started</dt><dd>${dateTime(j.started_ms)}</dd><dt>Restarts</dt><dd>${j.restarts}</dd></dl></div>`) +
    panel("Checkpoints", "", `<div class="body"><dl><dt>Epoch</dt><dd>${j.epoch}</dd><dt>Last</dt><dd>${dateTime(j.last_checkpoint_ms)}</dd><dt>Took</dt><dd>${span(j.checkpoint_duration_ms)}</dd><dt>State</dt><dd>${bytes(j.state_bytes)}</dd><dt>Watermark</dt><dd>${j.watermark_ms == null ? "–" : dateTime(j.watermark_ms)}</dd></dl></div>`) + `</div>` +
    panel("Plan", "operators, sources at the bottom", plan == null ? empty("Loading …") : `<pre>${esc(plan)}</pre>`);
}

const schedule = (d) => (!d.schedule || d.schedule === "None" ? "on demand" : d.schedule);
const dagsPage = (s) => `<h1>DAGs</h1><p class="sub">Files in the project's dags/ are loaded when they change</p>` +
  panel("DAGs", "", !s.dags.length ? empty("No DAGs. Put a YAML file into the project's <code>dags/</code>.") :
    table([["DAG"], ["Schedule"], ["Last run"], ["Next"], ["Tasks", "num"], ["", "num"]], s.dags.map((d) => `<tr><td class="name wrap"><a href="#/dags/${part(d.dag_id)}">${esc(d.dag_id)}</a>${d.description ? `<div class="faint" style="font-weight:400">${esc(d.description)}</div>` : ""}</td><td>${esc(schedule(d))}${d.paused ? " " + pill("", "paused") : ""}</td><td>${d.last_run_state ? pill(d.last_run_state) : '<span class="faint">never</span>'}</td><td>${dateTime(d.next_run_ms)}</td><td class="num">${d.task_ids.length}</td><td class="num"><button data-post="/api/v1/dags/${part(d.dag_id)}/runs" ${d.error ? "disabled" : ""}>Trigger</button></td></tr>` + (d.error ? `<tr><td colspan="6" class="bad wrap">${esc(d.error)}</td></tr>` : "")))) +
  panel("Runs", "newest first", runsTable(s.runs));

function dagPage(s, id, runs, source) {
  const d = s.dags.find((x) => x.dag_id === id);
  if (!d) return problem({ error: { message: `There is no DAG ${id}.`, remedy: "See the project's dags/." } }, "#/dags", "DAGs");
  const known = new Map(s.runs.map((e) => [e.run.dag_id + e.run.run_id, e.tasks]));
  const entries = (Array.isArray(runs) ? runs : []).map((run) => ({ run, tasks: known.get(run.dag_id + run.run_id) ?? [] }));
  return `<p class="crumb"><a href="#/dags">DAGs</a></p><div class="titlebar"><div><h1>${esc(id)}</h1><p class="sub">${esc(d.description)} · ${esc(schedule(d))} · ${esc(d.file)}</p></div><div class="row"><button data-post="/api/v1/dags/${part(id)}/${d.paused ? "unpause" : "pause"}">${d.paused ? "Unpause" : "Pause"}</button><button class="main" data-post="/api/v1/dags/${part(id)}/runs">Trigger</button></div></div>` +
    (d.error ? `<section class="panel alert">${esc(d.error)}</section>` : "") + panel("Runs", "", runsTable(entries, id)) + panel("Source", esc(d.file), source == null ? empty("Loading …") : `<pre>${esc(source)}</pre>`);
}

function runPage(id, runId, run, tasks, selected) {
  if (run.error) return problem(run, "#/dags/" + part(id), id);
  const begun = Math.min(...tasks.map((t) => t.start_date_ms ?? Infinity));
  const end = Math.max(begun + 1, ...tasks.map((t) => t.end_date_ms ?? (t.start_date_ms ? Date.now() : 0)));
  const left = (t) => ((t.start_date_ms - begun) / (end - begun)) * 100;
  const width = (t) => (((t.end_date_ms ?? Date.now()) - t.start_date_ms) / (end - begun)) * 100;
  const base = `#/dags/${part(id)}/runs/${part(runId)}`;
  let detail = "";
  if (selected) {
    const t = tasks.find((x) => x.task_id === selected.task);
    const tries = Array.from({ length: Math.max(1, t?.try_number ?? 1) }, (_, k) => k + 1);
    const current = selected.try || tries.length;
    detail = `<section class="panel"><div class="head"><h2>Log of ${esc(selected.task)}</h2><span class="grow"></span><div class="row">${tries.map((n) => `<a class="tab ${n === current ? "here" : ""}" href="${base}/tasks/${part(selected.task)}/${n}">Try ${n}</a>`).join("")}<button data-post="/api/v1/dags/${part(id)}/runs/${part(runId)}/tasks/${part(selected.task)}/clear" data-ask="Run ${esc(selected.task)} and what follows it again?">Run again</button></div></div><pre id="log">${selected.log == null ? "Loading …" : esc(selected.log) || "(empty)"}</pre></section>`;
  }
  return `<p class="crumb"><a href="#/dags">DAGs</a> / <a href="#/dags/${part(id)}">${esc(id)}</a></p><h1>${esc(runId)} ${pill(run.state)}</h1><p class="sub">${esc(run.run_type)} · started ${dateTime(run.start_date_ms)} · took ${run.start_date_ms ? span((run.end_date_ms ?? Date.now()) - run.start_date_ms) : "–"}${Object.keys(run.conf ?? {}).length ? " · conf " + esc(JSON.stringify(run.conf)) : ""}</p>` +
    panel("Tasks", "click one for its log", table([["Task"], ["State"], ["When"], ["Took", "num"], ["Try", "num"], ["Operator"], ["Note"]], tasks.map((t) =>
      `<tr><td class="name"><a href="${base}/tasks/${part(t.task_id)}">${esc(t.task_id)}</a></td><td>${pill(t.state, t.state || "not begun")}</td><td style="min-width:200px"><div class="lane">${t.start_date_ms ? `<div class="bar ${stateClass(t.state)}" style="left:${left(t).toFixed(2)}%;width:${Math.max(0.5, Math.min(width(t), 100 - left(t))).toFixed(2)}%"></div>` : ""}</div></td><td class="num">${t.start_date_ms ? span((t.end_date_ms ?? Date.now()) - t.start_date_ms) : "–"}</td><td class="num">${t.try_number || "–"}<span class="faint">/${t.max_tries + 1}</span></td><td class="soft">${esc(t.operator)}</td><td class="soft wrap">${esc(t.note)}${t.next_retry_ms && t.state === "up_for_retry" ? " next try " + time(t.next_retry_ms) : ""}</td></tr>`))) + detail;
}

const sqlPage = (text, stores) => `<h1>SQL</h1><p class="sub">Read-only queries over the project's serving stores</p>
<section class="panel"><div class="body" style="padding-top:16px"><textarea id="sql" spellcheck="false" aria-label="SQL" placeholder="SELECT …      SHOW ALL TABLES lists what there is">${esc(text)}</textarea><div class="row" style="margin-top:10px"><button class="main" id="run-sql">Run</button><span class="faint">Ctrl+Enter</span><span class="grow"></span>${stores.length > 1 ? `<select id="store" aria-label="Store">${stores.map((s) => `<option>${esc(s.name)}</option>`).join("")}</select>` : ""}</div></div></section><div id="answer"></div>`;

function sqlAnswer(result) {
  if (result.error) return `<section class="panel alert">${esc(result.error.message)}${result.error.remedy ? `<div class="soft" style="font-weight:400">${esc(result.error.remedy)}</div>` : ""}</section>`;
  const number = (type) => /INT|DOUBLE|FLOAT|DECIMAL/.test(type);
  return panel(`${count(result.rows.length)} rows${result.truncated ? " shown, there are more" : ""}`, span(result.time_ms), !result.columns.length ? "" :
    table(result.columns.map((c) => [esc(c.name), number(c.type) ? "num" : ""]), result.rows.map((row) => `<tr>${row.map((v, i) => `<td class="mono ${number(result.columns[i].type) ? "num" : "wrap"}">${v == null ? '<span class="faint">NULL</span>' : esc(cut(v))}</td>`).join("")}</tr>`)));
}

const problem = (answer, back, name) => `<p class="crumb"><a href="${back}">${esc(name)}</a></p><h1>Not here</h1><p class="sub">${esc(answer.error.message)} ${esc(answer.error.remedy ?? "")}</p>`;

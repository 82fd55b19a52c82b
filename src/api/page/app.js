"use strict";
// Routes (#/dags/x/runs/y), the live status over server-sent events, and what buttons do.

let status = null;
let fetched = {};      // what the current page asked for besides the status, by name
let sqlText = "";
const main = document.getElementById("main");

async function api(path, options) {
  try {
    const response = await fetch(path, options);
    const text = await response.text();
    if ((response.headers.get("content-type") ?? "").includes("json")) return JSON.parse(text);
    return response.ok ? text : { error: { message: text } };
  } catch (e) {
    return { error: { message: "tailrace does not answer: " + e.message } };
  }
}
const post = (path, body) => api(path, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body ?? {}) });

const route = () => location.hash.replace(/^#\/?/, "").split("/").filter(Boolean).map(decodeURIComponent);

// What a page needs besides the status: name -> path. `live`: asked for again with every status.
function wanted([tab, name, runs, run, , task, attempt]) {
  if (tab === "topics" && name) return { live: { topic: `/api/v1/topics/${part(name)}`, messages: `/api/v1/topics/${part(name)}/messages?limit=20` } };
  if (tab === "streams" && name) return { once: { plan: `/api/v1/streams/${part(name)}/plan` } };
  if (tab === "dags" && runs === "runs") {
    const base = `/api/v1/dags/${part(name)}/runs/${part(run)}`;
    return { live: { run: base, tasks: base + "/tasks", ...(task ? { log: `${base}/tasks/${part(task)}/logs?try=${attempt ?? 0}` } : {}) } };
  }
  if (tab === "dags" && name) return { once: { source: `/api/v1/dags/${part(name)}/source` }, live: { runs: `/api/v1/dags/${part(name)}/runs?limit=20` } };
  if (tab === "sql") return { once: { stores: "/api/v1/stores" } };
  return {};
}

function html(parts) {
  const [tab, name, runs, run, , task, attempt] = parts;
  const text = (v) => (v == null ? null : typeof v === "string" ? v : v.error ? v.error.message : JSON.stringify(v));
  if (!tab) return overview(status);
  if (tab === "topics") return name ? (fetched.topic ? topicPage(name, fetched.topic, fetched.messages ?? []) : null) : topicsPage(status);
  if (tab === "streams") return name ? streamPage(status, name, text(fetched.plan)) : streamsPage(status);
  if (tab === "dags" && runs === "runs") {
    if (!fetched.run) return null;
    return runPage(name, run, fetched.run, Array.isArray(fetched.tasks) ? fetched.tasks : [], task ? { task, try: Number(attempt ?? 0), log: text(fetched.log) } : null);
  }
  if (tab === "dags") return name ? dagPage(status, name, fetched.runs, text(fetched.source)) : dagsPage(status);
  if (tab === "sql") return sqlPage(sqlText, Array.isArray(fetched.stores) ? fetched.stores : []);
  return `<h1>Not here</h1><p class="sub">There is no page ${esc(location.hash)}. <a href="#/">Overview</a></p>`;
}

function draw() {
  if (!status) return;
  const parts = route();
  document.getElementById("project").textContent = status.name || "tailrace";
  document.title = (status.name ? status.name + " · " : "") + "tailrace";
  const health = document.getElementById("health");
  health.className = "pill " + stateClass(status.health.status);
  health.textContent = status.health.status === "ok" ? "healthy" : status.health.components.filter((c) => c.status === "failed").map((c) => c.name).join(", ") + " failed";
  for (const a of document.querySelectorAll("#nav a")) {
    const here = a.dataset.tab === (parts[0] ?? "overview");
    a.classList.toggle("here", here);
    if (here) a.setAttribute("aria-current", "page");
    else a.removeAttribute("aria-current");
  }
  if (parts[0] === "sql" && document.getElementById("sql")) return;   // do not take the text from under the cursor
  const next = html(parts);
  if (next == null || next === draw.last) return;
  // A selection, an open message and the log's scroll position outlive the redraw.
  if (String(getSelection()).length && main.contains(getSelection().anchorNode)) return;
  const open = [...main.querySelectorAll("details")].some((d) => d.open);
  if (open && parts[0] === "topics") return;
  const log = document.getElementById("log");
  const atEnd = !log || log.scrollTop + log.clientHeight >= log.scrollHeight - 8, scroll = log?.scrollTop ?? 0;
  main.innerHTML = draw.last = next;
  const fresh = document.getElementById("log");
  if (fresh) fresh.scrollTop = atEnd ? fresh.scrollHeight : scroll;
}

async function load(which) {
  const at = location.hash;
  const paths = wanted(route())[which] ?? {};
  const names = Object.keys(paths);
  if (!names.length) return;
  const answers = await Promise.all(names.map((n) => api(paths[n])));
  if (location.hash !== at) return;   // the person went elsewhere meanwhile
  names.forEach((n, i) => (fetched[n] = answers[i]));
  draw();
}

async function navigate() {
  fetched = {};
  draw.last = null;
  if (route()[0] === "sql") main.innerHTML = "";
  draw();
  await Promise.all([load("once"), load("live")]);
  if (route()[0] === "sql" && (fetched.stores ?? []).length > 1 && !document.getElementById("store")) { main.innerHTML = ""; draw.last = null; draw(); }
}

async function runSql() {
  sqlText = document.getElementById("sql").value;
  const button = document.getElementById("run-sql");
  button.disabled = true;
  const store = document.getElementById("store")?.value;
  const answer = await post("/api/v1/sql", { sql: sqlText, max_rows: 500, ...(store ? { store } : {}) });
  button.disabled = false;
  document.getElementById("answer").innerHTML = sqlAnswer(answer);
}

main.addEventListener("click", async (event) => {
  if (event.target.id === "run-sql") return runSql();
  const button = event.target.closest("button[data-post]");
  if (!button || (button.dataset.ask && !confirm(button.dataset.ask))) return;
  button.disabled = true;
  const answer = await post(button.dataset.post);
  button.disabled = false;
  if (answer?.error) return alert(answer.error.message + (answer.error.remedy ? "\n\n" + answer.error.remedy : ""));
  if (answer?.run_id) location.hash = `#/dags/${part(answer.dag_id)}/runs/${part(answer.run_id)}`;
  load("live");
});
main.addEventListener("keydown", (event) => {
  if (event.target.id === "sql" && event.key === "Enter" && (event.ctrlKey || event.metaKey)) runSql();
});
addEventListener("hashchange", () => { main.focus(); scrollTo(0, 0); navigate(); });

function connect() {
  const link = document.getElementById("link");
  const source = new EventSource("/api/v1/events");
  source.addEventListener("open", () => { link.textContent = "live"; link.className = "pill good"; });
  source.addEventListener("error", () => { link.textContent = "no connection"; link.className = "pill bad"; });
  source.addEventListener("status", (event) => {
    status = JSON.parse(event.data);
    draw();
    load("live");
  });
}

api("/api/v1/status").then((answer) => {
  if (!answer.error) status = answer;
  navigate();
  connect();
});

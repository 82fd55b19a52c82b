"use strict";
// Numbers and times as people read them. Every text that comes from outside goes through esc() before it meets HTML.

const esc = (text) => String(text ?? "").replace(/[&<>"']/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" })[c]);

const count = (n) => (n == null ? "–" : n >= 1e9 ? (n / 1e9).toFixed(2) + " bn" : n >= 1e7 ? (n / 1e6).toFixed(1) + " M" : Math.round(n).toLocaleString("en-US"));
const rate = (n) => (n == null ? "–" : n > 0 && n < 10 ? n.toFixed(1) : count(n));

function bytes(n) {
  if (n == null) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  while (n >= 1000 && unit < 4) { n /= 1000; unit++; }
  return (unit === 0 ? Math.round(n) : n.toFixed(1)) + " " + units[unit];
}

function span(ms) {
  if (ms == null || ms < 0) return "–";
  if (ms < 10) return ms.toFixed(1) + " ms";
  if (ms < 1000) return Math.round(ms) + " ms";
  if (ms < 60000) return (ms / 1000).toFixed(1) + " s";
  const s = Math.floor(ms / 1000);
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86400)} d ${Math.floor((s % 86400) / 3600)} h`;
}

const time = (ms) => (ms == null || ms <= 0 ? "–" : new Date(ms).toLocaleTimeString("en-GB"));
const dateTime = (ms) => (ms == null || ms <= 0 ? "–" : new Date(ms).toLocaleString("en-GB", { dateStyle: "medium", timeStyle: "medium" }));

// An area under a line; the values fill the width, zero is the bottom.
function spark(values, width = 240, height = 34) {
  if (!values || values.length < 2) return `<svg viewBox="0 0 ${width} ${height}" aria-hidden="true"></svg>`;
  const top = Math.max(...values, 1e-9);
  const points = values.map((v, i) => `${((i * width) / (values.length - 1)).toFixed(1)},${(height - 2 - (v / top) * (height - 6)).toFixed(1)}`);
  return `<svg viewBox="0 0 ${width} ${height}" preserveAspectRatio="none" aria-hidden="true"><polygon class="spark-fill" points="0,${height} ${points.join(" ")} ${width},${height}"/><polyline class="spark-line" points="${points.join(" ")}"/></svg>`;
}

const stateClass = (state) => ({
  success: "good", RUNNING: "good", ok: "good", FINISHED: "", Stable: "good",
  failed: "bad", FAILED: "bad", upstream_failed: "bad", degraded: "bad", firing: "bad",
  running: "busy", CREATED: "busy", queued: "warn", scheduled: "warn", up_for_retry: "warn", up_for_reschedule: "warn", deferred: "warn", RESTARTING: "warn", pending: "warn",
  PreparingRebalance: "warn", CompletingRebalance: "warn", skipped: "skip", removed: "skip",
})[state] ?? "";
const pill = (state, text) => `<span class="pill ${stateClass(state)}">${esc(text ?? state ?? "none")}</span>`;
const square = (task) => `<span class="sq ${stateClass(task.state)}" title="${esc(task.task_id)}: ${esc(task.state || "not begun")}${task.try_number > 1 ? ", try " + task.try_number : ""}${task.note ? "\n" + esc(task.note) : ""}"></span>`;
const part = encodeURIComponent;

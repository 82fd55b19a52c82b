#include "workflow/model/dag.h"

#include <fmt/format.h>

#include <algorithm>
#include <queue>
#include <set>

namespace tailrace::workflow {

const Task* Dag::Find(const std::string& task_id) const {
  int i = Index(task_id);
  return i < 0 ? nullptr : &tasks[i];
}

int Dag::Index(const std::string& task_id) const {
  auto it = index_.find(task_id);
  return it == index_.end() ? -1 : it->second;
}

namespace {

/// Names one cycle among the tasks that no topological order reached. Every one of them has an upstream among them.
std::string NameCycle(const std::vector<Task>& tasks, const std::vector<std::vector<int>>& up,
                      const std::vector<int>& left) {
  std::set<int> stuck(left.begin(), left.end());
  std::vector<int> path;
  std::set<int> seen;
  int at = *stuck.begin();
  while (seen.insert(at).second) {
    path.push_back(at);
    for (int u : up[at])
      if (stuck.contains(u)) {
        at = u;
        break;
      }
  }
  std::vector<int> cycle(std::find(path.begin(), path.end(), at), path.end());
  std::reverse(cycle.begin(), cycle.end());  // walked upstream
  std::string text;
  for (int i : cycle) text += tasks[i].task_id + " -> ";
  return text + tasks[cycle.front()].task_id;
}

}  // namespace

Status Dag::Link(std::vector<std::vector<std::string>> upstream_ids) {
  const int n = static_cast<int>(tasks.size());
  index_.clear();
  for (int i = 0; i < n; ++i) index_[tasks[i].task_id] = i;
  std::vector<std::vector<int>> up(n), down(n);
  for (int i = 0; i < n; ++i)
    for (const std::string& id : upstream_ids[i]) {
      int u = Index(id);
      if (u < 0)
        return InvalidArgument(fmt::format("task '{}': upstream '{}' is no task of this DAG", tasks[i].task_id, id));
      if (u == i) return InvalidArgument(fmt::format("task '{}' is its own upstream", id));
      if (std::find(up[i].begin(), up[i].end(), u) != up[i].end()) continue;
      up[i].push_back(u);
      down[u].push_back(i);
    }
  std::vector<int> waiting(n), order;
  std::priority_queue<int, std::vector<int>, std::greater<>> ready;
  for (int i = 0; i < n; ++i) {
    waiting[i] = static_cast<int>(up[i].size());
    if (waiting[i] == 0) ready.push(i);
  }
  while (!ready.empty()) {
    int i = ready.top();
    ready.pop();
    order.push_back(i);
    for (int d : down[i])
      if (--waiting[d] == 0) ready.push(d);
  }
  if (static_cast<int>(order.size()) < n) {
    std::vector<int> left;
    for (int i = 0; i < n; ++i)
      if (waiting[i] > 0) left.push_back(i);
    return Error(ErrorCode::kInvalidArgument, "the tasks form a cycle: " + NameCycle(tasks, up, left))
        .Remedy("remove one of these dependencies");
  }
  std::vector<int> place(n);
  for (int i = 0; i < n; ++i) place[order[i]] = i;
  std::vector<Task> sorted;
  sorted.reserve(n);
  for (int i : order) {
    Task task = std::move(tasks[i]);
    task.upstream.clear();
    task.downstream.clear();
    for (int u : up[i]) task.upstream.push_back(place[u]);
    for (int d : down[i]) task.downstream.push_back(place[d]);
    std::sort(task.downstream.begin(), task.downstream.end());
    sorted.push_back(std::move(task));
  }
  tasks = std::move(sorted);
  leaves.clear();
  for (int i = 0; i < n; ++i) {
    index_[tasks[i].task_id] = i;
    // What only teardowns follow is a leaf (Airflow: DAG.leaves, dagrun.py).
    bool last =
        std::all_of(tasks[i].downstream.begin(), tasks[i].downstream.end(), [&](int d) { return tasks[d].teardown; });
    if (last && (!tasks[i].teardown || tasks[i].on_failure_fail_dagrun)) leaves.push_back(i);
  }
  for (int i = 0; i < n; ++i) {
    Task& task = tasks[i];
    task.total_weight = task.priority_weight;
    if (task.weight_rule == WeightRule::kDownstream) {
      for (int d : Descendants(i)) task.total_weight += tasks[d].priority_weight;
    } else if (task.weight_rule == WeightRule::kUpstream) {
      std::set<int> above;
      std::vector<int> stack(task.upstream);
      while (!stack.empty()) {
        int u = stack.back();
        stack.pop_back();
        if (!above.insert(u).second) continue;
        task.total_weight += tasks[u].priority_weight;
        stack.insert(stack.end(), tasks[u].upstream.begin(), tasks[u].upstream.end());
      }
    }
  }
  return {};
}

std::vector<int> Dag::Descendants(int index) const {
  std::vector<bool> seen(tasks.size());
  std::vector<int> stack(tasks[index].downstream), out;
  while (!stack.empty()) {
    int i = stack.back();
    stack.pop_back();
    if (seen[i]) continue;
    seen[i] = true;
    out.push_back(i);
    stack.insert(stack.end(), tasks[i].downstream.begin(), tasks[i].downstream.end());
  }
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace tailrace::workflow

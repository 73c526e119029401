#include <algorithm>

#include <fmt/ranges.h>

#include "tranche/plan/plan.h"

namespace tranche {
namespace {

std::string Indented(const std::string& text, const std::string& indent) {
  std::string out = indent;
  for (char c : text) {
    out += c;
    if (c == '\n') out += indent;
  }
  return out;
}

std::string BatchText(const BatchPolicy& policy) {
  if (policy.automatic)
    return fmt::format("batches of {} rows or more, by what a row costs, or {}", FormatCount(policy.rows),
                       FormatBytes(policy.bytes));
  return fmt::format("batches of {} rows or {}", FormatCount(policy.rows), FormatBytes(policy.bytes));
}

std::string StageText(const PlannedStage& stage, bool direct) {
  std::string text = fmt::format("stage {}\n", stage.name);
  for (const std::string& from : stage.flow) text += fmt::format("  from     {}\n", from);
  for (const std::string& input : stage.inputs) {
    if (std::ranges::find(stage.flow, input) == stage.flow.end())
      text += fmt::format("  joined   {}\n", input);
  }
  for (const PlannedStep& step : stage.steps) text += fmt::format("  step     {}\n", step.origin);
  for (const Guard& guard : stage.guards) {
    text +=
        fmt::format("  checked  {} the stage, by a query of its own{}\n",
                    guard.when == Guard::When::kBefore ? "before" : "after", guard.warn ? " (warns)" : "");
  }
  std::string columns;
  for (const Column& column : stage.columns) {
    columns += fmt::format("{}{} {}", columns.empty() ? "" : ", ", column.name, column.type);
  }
  text += fmt::format("  columns  {}\n", columns);
  text += direct ? "  ends     directly in its store: the engine writes the file, no spool\n"
                 : fmt::format("  ends     in a {}spool: {}\n", stage.streams() ? "streamed " : "",
                               stage.why_ends);
  text += fmt::format("  query\n{}\n", Indented(stage.query.text(), "    "));
  return text;
}

std::string UnusedColumns(const Plan& plan, const std::string& input) {
  for (const PlannedStage& stage : plan.stages) {
    const auto unused = stage.unused.find(input);
    if (unused != stage.unused.end())
      return fmt::format("  not read: {} (nothing uses them)\n", fmt::join(unused->second, ", "));
  }
  return "";
}

}  // namespace

std::string Near(std::string description, const Job& job) {
  const std::string folder = job.file.substr(0, job.file.rfind('/') + 1);
  for (size_t at = description.find(folder); at != std::string::npos; at = description.find(folder, at)) {
    description.erase(at, folder.size());
  }
  return description;
}

std::string ExplainPlan(const Job& job, const Plan& plan, const Sources& sources) {
  std::string text = fmt::format("job {}\n\n", job.name);
  for (const Input& input : job.inputs) {
    const Source& source = *sources.at(input.name);
    text += fmt::format("input {}: {} {}\n", input.name, input.spec->name, Near(source.Describe(), job));
    text += UnusedColumns(plan, input.name);
  }
  const bool direct = plan.stores.size() == 1 && plan.stores.front().direct;
  for (const PlannedStage& stage : plan.stages) text += "\n" + StageText(stage, direct);
  for (const PlannedStore& planned : plan.stores) {
    const Store& store = *planned.store;
    text += fmt::format("\nstore {}: {}\n", store.name, Near(planned.sink->Describe(), job));
    text += fmt::format("  takes    stage {}\n", planned.stage);
    text += fmt::format("  promise  {}\n", planned.guarantee());
    text += fmt::format("  writes   {}\n", planned.sink->whole() ? "one unit" : BatchText(store.batch));
  }
  return text;
}

}  // namespace tranche

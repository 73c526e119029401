#include "tranche/run/trace.h"

#include <algorithm>
#include <filesystem>
#include <memory>

#include <nlohmann/json.hpp>

#include "tranche/cli/commands.h"
#include "tranche/run/reject_retry.h"
#include "tranche/run/tables.h"

namespace tranche {
namespace {

using Json = nlohmann::json;

// "a=1,b=x" is two conditions if each part between commas is one.
Status AddConditions(const std::string& argument, TraceQuestion& question) {
  std::vector<std::string> parts = SplitAtCommas(argument);
  const bool each =
      std::ranges::all_of(parts, [](const std::string& part) { return part.find('=') + 1 > 1; });
  if (!each) parts = {argument};
  for (const std::string& part : parts) {
    const size_t equals = part.find('=');
    if (equals == 0) return Fail(Code::kJob, "'{}' names no column", part).Hint("write column=value");
    question.where.emplace_back(part.substr(0, equals), part.substr(equals + 1));
  }
  return {};
}

Result<TraceQuestion> QuestionOf(const TraceFlags& flags) {
  TraceQuestion question{.store = flags.store, .most = flags.limit};
  for (const std::string& argument : flags.key) {
    if (argument.find('=') == std::string::npos) {
      question.key.push_back(argument);
    } else {
      TRANCHE_TRY(AddConditions(argument, question));
    }
  }
  if (!question.key.empty() && !question.where.empty()) {
    return Fail(Code::kJob, "'{}' is a value of the key, and '{}' one of a column", question.key.front(),
                question.where.front().first)
        .Hint("name the columns of all: column=value");
  }
  return question;
}

std::string_view Word(Fate fate) {
  switch (fate) {
    case Fate::kStored:
      return "stored";
    case Fate::kDeleted:
      return "deleted";
    case Fate::kSuperseded:
      return "superseded";
    case Fate::kRejected:
      return "rejected";
    case Fate::kWaiting:
      return "not stored yet";
    case Fate::kSent:
      return "sent";
  }
  return "";
}

std::string_view Word(RunState state) {
  return state == RunState::kFinished ? "finished" : state == RunState::kOpen ? "unfinished" : "given up";
}

std::string SpanText(Span span) {
  if (span.rows() == 1) return "row " + FormatCount(span.from);
  return fmt::format("rows {} to {}", FormatCount(span.from), FormatCount(span.to - 1));
}

std::string CountsText(const Counts& counts) {
  std::string text = FormatCount(counts.stored) + " stored";
  for (const auto& [count, word] :
       {std::pair{counts.superseded, "superseded"}, std::pair{counts.unmatched, "unmatched"},
        std::pair{counts.rejected, "rejected"}}) {
    if (count > 0) text += fmt::format(", {} {}", FormatCount(count), word);
  }
  return text;
}

std::string Nearby(const std::string& path) {
  const std::string near =
      std::filesystem::path(path).lexically_proximate(std::filesystem::current_path()).string();
  return near.starts_with("..") || !path.starts_with('/') ? path : near;
}

std::string PlaceText(const InputPlace& place) {
  const std::string input = place.input.empty() ? "" : fmt::format("input {}", place.input);
  if (place.file.empty()) return fmt::format("{}: {} files", input, FormatCount(place.files));
  std::string text = (input.empty() ? "" : input + ": ") + Nearby(place.file);
  if (place.line > 0) text += fmt::format(":{}", place.line);
  return text;
}

// " (rejects of run 1, once more)" of a retry.
std::string Retried(const RunRecord& run) {
  const auto parameters = ParametersOf(run);
  if (!parameters || !parameters->contains(kRetryParameter)) return "";
  const std::string& list = parameters->at(kRetryParameter);
  return fmt::format(" (rejects of run {}, once more)", list.substr(0, list.find('-')));
}

void PrintText(const TracedRun& traced, const TracedRow& row) {
  const RunRecord& run = traced.run;
  const int64_t when = run.finished > 0 ? run.finished : run.started;
  const std::string table = TableOfRun(run);
  fmt::print("run {}{}{}, {} {}: {}", run.number, table.empty() ? "" : fmt::format(" of table '{}'", table),
             Retried(run), run.state == RunState::kOpen ? "begun" : Word(run.state),
             FormatTime(when).substr(0, 19), Word(row.fate));
  if (row.fate == Fate::kRejected) {
    fmt::print(" by {}\n", row.origin);
  } else {
    fmt::print("{} store {}\n",
               row.fate == Fate::kStored    ? " in"
               : row.fate == Fate::kDeleted ? " from"
                                            : ",",
               row.store);
  }
  if (!row.reason.empty()) fmt::print("  reason  {}\n", row.reason);
  if (!row.column.empty()) fmt::print("  column  {}\n", row.column);
  if (row.row >= 0) fmt::print("  number  row {} of stage '{}'\n", FormatCount(row.row), row.stage);
  if (row.superseded_by)
    fmt::print("  by      row {} of the same batch, which has its key\n", FormatCount(*row.superseded_by));
  if (row.later)
    fmt::print("  later   row {} of the run has its key too, in a later batch\n", FormatCount(*row.later));
  if (row.batch) {
    fmt::print("  batch   {}: {}\n", SpanText(row.batch->span), CountsText(row.batch->counts));
    if (!row.batch->committed.empty())
      fmt::print("  commit  {}, epoch {}\n", row.batch->committed, row.batch->epoch);
    if (row.batch->committed.empty() && run.finished > 0)
      fmt::print("  public  with the run, by {}\n", FormatTime(run.finished));
    constexpr size_t kMostFiles = 5;
    const auto& files = row.batch->files;
    for (size_t i = 0; i < std::min(files.size(), kMostFiles); ++i)
      fmt::print("  {:6}  {}\n", files.size() == 1 ? "file" : "one of", Nearby(files[i]));
    if (files.size() > kMostFiles) fmt::print("          and {} more\n", files.size() - kMostFiles);
  }
  if (!row.remark.empty()) fmt::print("  but     {}\n", row.remark);
  for (const InputPlace& place : row.from) fmt::print("  read    {}\n", PlaceText(place));
  fmt::print("  row     {}\n", row.content);
}

Json ToJson(const InputPlace& place) {
  Json json{{"input", place.input}};
  json["file"] = place.file.empty() ? Json(nullptr) : Json(place.file);
  json["line"] = place.line > 0 ? Json(place.line) : Json(nullptr);
  if (place.files > 0) json["files"] = place.files;
  return json;
}

Json ToJson(const TracedRun& traced, const TracedRow& row) {
  const RunRecord& run = traced.run;
  Json json{{"run", run.number}, {"run_id", run.id}, {"state", Word(run.state)}, {"fate", Word(row.fate)}};
  if (const std::string table = TableOfRun(run); !table.empty()) json["table"] = table;
  json["started"] = FormatTime(run.started);
  json["finished"] = run.finished > 0 ? Json(FormatTime(run.finished)) : Json(nullptr);
  json["store"] = row.store;
  json["stage"] = row.stage;
  json["row"] = row.row >= 0 ? Json(row.row) : Json(nullptr);
  json["superseded_by"] = row.superseded_by ? Json(*row.superseded_by) : Json(nullptr);
  json["later"] = row.later ? Json(*row.later) : Json(nullptr);
  json["batch"] = nullptr;
  if (row.batch) {
    const Counts& counts = row.batch->counts;
    json["batch"] = {
        {"from", row.batch->span.from},      {"to", row.batch->span.to},      {"epoch", row.batch->epoch},
        {"committed", row.batch->committed}, {"sent", counts.sent},           {"stored", counts.stored},
        {"superseded", counts.superseded},   {"unmatched", counts.unmatched}, {"rejected", counts.rejected},
        {"files", row.batch->files}};
  }
  json["remark"] = row.remark;
  json["origin"] = row.origin;
  json["reason"] = row.reason;
  json["column"] = row.column;
  json["from"] = Json::array();
  for (const InputPlace& place : row.from) json["from"].push_back(ToJson(place));
  Json content = Json::parse(row.content, nullptr, false);
  json["content"] = content.is_discarded() ? Json(row.content) : std::move(content);
  return json;
}

}  // namespace

Status TraceCommand(Session& session, const TraceFlags& flags) {
  TRANCHE_ASSIGN(TraceQuestion question, QuestionOf(flags));
  question.table = TableOf(session.set());
  TRANCHE_ASSIGN(const Job job, session.Load(flags.path, session.set(), NewId(), /*offline=*/true));
  TRANCHE_ASSIGN(auto state, session.OpenState(job));
  TRANCHE_ASSIGN(Engine * engine, session.engine());
  const JobLoader load = [&](const std::map<std::string, std::string>& set, const std::string& run_id) {
    return session.Load(flags.path, set, run_id);
  };
  TRANCHE_ASSIGN(const Trace trace, TraceRows(load, *state, session.FolderOf(job), question, *engine));
  std::string unknown;
  bool any = false;
  for (const TracedRun& run : trace.runs) {
    for (const TracedRow& row : run.rows) {
      if (session.flags().json) {
        fmt::print("{}\n", ToJson(run, row).dump(-1, ' ', false, Json::error_handler_t::replace));
        continue;
      }
      if (std::exchange(any, true)) fmt::print("\n");
      PrintText(run, row);
    }
    for (const std::string& remark : run.remarks)
      session.log().Warn(fmt::format("run {}: {}", run.run.number, remark));
    if (run.more)
      session.log().Info(fmt::format("run {}: more are left out; --limit shows more", run.run.number));
    if (!run.kept && run.run.state == RunState::kFinished)
      unknown += fmt::format("{}{}", unknown.empty() ? "" : ", ", run.run.number);
  }
  if (!unknown.empty())
    session.log().Info(fmt::format("runs that kept no batches are not looked into: {}", unknown));
  return {};
}

}  // namespace tranche

#include <algorithm>
#include <memory>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "tranche/cli/commands.h"
#include "tranche/cli/table.h"
#include "tranche/run/reject_list.h"
#include "tranche/run/reject_retry.h"
#include "tranche/run/runner.h"
#include "tranche/run/tables.h"

namespace tranche {
namespace {

// The open rejects of a run, wherever they are kept: those that no retry has taken.
class RejectList {
 public:
  RejectList(Session& session, int64_t most) : session_(session), most_(most) {}

  Status Read(const std::string& path, int64_t run_number) {
    TRANCHE_ASSIGN(const Job asked, session_.Load(path, session_.set(), NewId(), /*offline=*/true));
    TRANCHE_ASSIGN(auto state, session_.OpenState(asked));
    TRANCHE_ASSIGN(run_, FindRefusing(*state, {run_number, TableOf(session_.set())}));
    const JobLoader load = [&](const std::map<std::string, std::string>& set, const std::string& run_id) {
      return session_.Load(path, set, run_id);
    };
    TRANCHE_ASSIGN(Engine * engine, session_.engine());
    TRANCHE_ASSIGN(standing_, StandingOf(load, *state, session_.FolderOf(asked), run_, *engine, most_));
    return {};
  }

  const RunRecord& run() const { return run_; }
  const std::vector<NumberedReject>& open() const { return standing_.open; }
  int64_t taken() const { return standing_.taken; }

 private:
  Session& session_;
  int64_t most_;
  RunRecord run_;
  RejectStanding standing_;
};

std::string PlaceOf(const Reject& reject) {
  if (reject.file.empty()) return reject.row < 0 ? "" : fmt::format("row {}", reject.row);
  std::string place = reject.file;
  if (reject.line > 0) place += fmt::format(":{}", reject.line);
  if (reject.byte >= 0) place += fmt::format(" byte {}", reject.byte);
  return place;
}

nlohmann::json ToJson(int64_t number, const Reject& reject) {
  return {{"number", number},        {"origin", reject.origin}, {"reason", reject.reason},
          {"column", reject.column}, {"file", reject.file},     {"line", reject.line},
          {"byte", reject.byte},     {"row", reject.row},       {"content", reject.content}};
}

void PrintJson(int64_t number, const Reject& reject) {
  fmt::print("{}\n", ToJson(number, reject).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace

Status RejectsListCommand(Session& session, const RejectsFlags& flags) {
  RejectList list(session, flags.limit);
  TRANCHE_TRY(list.Read(flags.path, flags.run));
  if (session.flags().json) {
    for (const NumberedReject& one : list.open()) PrintJson(one.number, one.reject);
    return {};
  }
  if (list.open().empty()) {
    session.log().Info(
        fmt::format("run {} has no {}rejects", list.run().number, list.taken() > 0 ? "open " : ""));
    return {};
  }
  std::vector<TextRow> rows;
  for (const auto& [number, reject] : list.open()) {
    rows.push_back({fmt::format("{}", number), reject.origin, PlaceOf(reject), reject.column, reject.reason});
  }
  fmt::print("{}", FormatTable({"number", "origin", "place", "column", "reason"}, rows, 100));
  if (std::ssize(rows) == flags.limit) session.log().Info("more are left out; --limit shows more");
  return {};
}

Status RejectsShowCommand(Session& session, const RejectsFlags& flags) {
  RejectList list(session, kAllRejects);
  TRANCHE_TRY(list.Read(flags.path, flags.run));
  const auto found = std::ranges::find(list.open(), flags.number, &NumberedReject::number);
  if (found == list.open().end()) {
    const int64_t all = std::ssize(list.open()) + list.taken();
    if (flags.number <= all)
      return Fail(Code::kJob, "reject {} of run {} was retried", flags.number, list.run().number);
    return Fail(Code::kJob, "run {} has no reject {}; it has {}", list.run().number, flags.number, all);
  }
  const Reject& reject = found->reject;
  if (session.flags().json) {
    PrintJson(flags.number, reject);
    return {};
  }
  fmt::print("reject {} of run {}\norigin  {}\nplace   {}\n", flags.number, list.run().number, reject.origin,
             PlaceOf(reject));
  if (!reject.column.empty()) fmt::print("column  {}\n", reject.column);
  fmt::print("reason  {}\nrow     {}\n", reject.reason, reject.content);
  return {};
}

}  // namespace tranche

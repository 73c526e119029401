#include <memory>

#include <CLI/CLI.hpp>
#include <nlohmann/json.hpp>

#include "tranche/cli/commands.h"
#include "tranche/cli/table.h"
#include "tranche/run/reject_list.h"

namespace tranche {
namespace {

// All rejects of a run, numbered from 1: those that lie beside the job, then those that the databases keep.
class RejectList {
 public:
  RejectList(Session& session, int64_t most) : session_(session), most_(most) {}

  Status Read(const std::string& path, int64_t run_number) {
    TRANCHE_ASSIGN(const Job asked, session_.Load(path, session_.set(), NewId(), /*offline=*/true));
    TRANCHE_ASSIGN(auto state, session_.OpenState(asked));
    TRANCHE_ASSIGN(run_, FindRun(*state, run_number == 0 ? std::nullopt : std::optional(run_number)));
    const auto parameters = nlohmann::json::parse(run_.parameters, nullptr, false);
    if (parameters.is_discarded())
      return Fail(Code::kOutside, "state.db: the parameters of run {} cannot be read", run_.number);
    TRANCHE_ASSIGN(const Job job,
                   session_.Load(path, parameters.get<std::map<std::string, std::string>>(), run_.id));
    TRANCHE_ASSIGN(Engine * engine, session_.engine());
    TRANCHE_ASSIGN(rejects_, ListRejects(job, *state, run_, *engine, most_));
    return {};
  }

  const RunRecord& run() const { return run_; }
  const std::vector<Reject>& rejects() const { return rejects_; }

 private:
  Session& session_;
  int64_t most_;
  RunRecord run_;
  std::vector<Reject> rejects_;
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
    for (size_t i = 0; i < list.rejects().size(); ++i)
      PrintJson(static_cast<int64_t>(i) + 1, list.rejects()[i]);
    return {};
  }
  if (list.rejects().empty()) {
    session.log().Info(fmt::format("run {} has no rejects", list.run().number));
    return {};
  }
  std::vector<TextRow> rows;
  for (const Reject& reject : list.rejects()) {
    rows.push_back(
        {fmt::format("{}", rows.size() + 1), reject.origin, PlaceOf(reject), reject.column, reject.reason});
  }
  fmt::print("{}", FormatTable({"number", "origin", "place", "column", "reason"}, rows, 100));
  if (std::ssize(rows) == flags.limit) session.log().Info("more are left out; --limit shows more");
  return {};
}

Status RejectsShowCommand(Session& session, const RejectsFlags& flags) {
  RejectList list(session, flags.number);
  TRANCHE_TRY(list.Read(flags.path, flags.run));
  if (std::ssize(list.rejects()) < flags.number) {
    return Fail(Code::kJob, "run {} has no reject {}; it has {}", list.run().number, flags.number,
                list.rejects().size());
  }
  const Reject& reject = list.rejects()[flags.number - 1];
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

Status RejectsRetryCommand(Session&, const RejectsFlags&) {
  return Fail(Code::kJob, "rejects retry is not in this version")
      .Hint("mend the rows and run the job on them");
}

}  // namespace tranche

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>

#include <nlohmann/json.hpp>

#include "tranche/base/file.h"
#include "tranche/cli/commands.h"
#include "tranche/duckdb/duckdb_engine.h"
#include "tranche/run/kept.h"
#include "tranche/run/reject_list.h"
#include "tranche/run/reject_retry.h"
#include "tranche/run/tables.h"

namespace tranche {
namespace {

using Set = std::map<std::string, std::string>;

std::string Listed(const std::vector<std::string>& texts) {
  return fmt::format("{}", fmt::join(texts, "\n"));
}

// What is retried together: rows of one origin have the same columns, and go on at the same place.
struct Share {
  std::string origin;
  std::vector<NumberedReject> rejects;
};

class Retry {
 public:
  Retry(Session& session, const RejectsFlags& flags, StopSignal& stop)
      : session_(session), flags_(flags), stop_(stop) {}

  Status Run() {
    TRANCHE_ASSIGN(const Job asked, session_.Load(flags_.path, session_.set(), NewId()));
    TRANCHE_TRY(session_.Apply(asked));
    folder_ = std::filesystem::absolute(session_.FolderOf(asked)).string();
    TRANCHE_TRY(ReadState());
    // Two retries at a time would list the same rows. The job's own lock comes with each run.
    TRANCHE_ASSIGN(const FileLock lock,
                   FileLock::Acquire(folder_ + "/retry.lock", fmt::format("process {}", getpid())));
    TRANCHE_TRY(ReadState());
    TRANCHE_ASSIGN(const RunRecord refusing, FindRefusing(*state_, {flags_.run, TableOf(session_.set())}));
    TRANCHE_ASSIGN(const Set refused, ParametersOf(refusing));
    TRANCHE_TRY(ResumeOpen(TableOf(refused)));
    TRANCHE_TRY(RemoveUnusedLists(folder_, *state_));
    TRANCHE_TRY(FindRows());
    if (shares_.empty() && passed_over_.empty()) {
      session_.log().Info(fmt::format("run {} has no open rejects", run_.number));
      return {};
    }
    std::vector<std::string> lists;
    for (const Share& share : shares_) TRANCHE_TRY(Seal(share, lists));
    TRANCHE_ASSIGN(const Keeping keeping, KeepingOf(*state_, run_));  // as the run, so its retries
    const bool keeps = keeping != Keeping::kNothing;
    for (const std::string& list : lists) {
      Set set = parameters_;
      set[kRetryParameter] = list;
      TRANCHE_TRY(RunOne(session_, {.keep_batches = keeps}, flags_.path, set, stop_));
      TRANCHE_TRY(stop_.Check());
    }
    if (lists.empty()) return Fail(Code::kJob, "{}", Listed(passed_over_));
    for (const std::string& text : passed_over_) session_.log().Warn(text);
    return {};
  }

 private:
  Status ReadState() {
    TRANCHE_ASSIGN(state_, State::OpenReadOnly(folder_));
    return {};
  }

  // Each table is on its own.
  Status ResumeOpen(const std::string& table) {
    TRANCHE_ASSIGN(const auto runs, state_->Runs());
    for (const RunRecord& run : runs) {
      TRANCHE_ASSIGN(const Set parameters, ParametersOf(run));
      if (run.state != RunState::kOpen || TableOf(parameters) != table) continue;
      if (!IsRetry(run)) {
        return Fail(Code::kJob, "run {} is not finished: its rejects are not known yet", run.number)
            .Hint("run the job again, with a higher `rejects` if there are too many");
      }
      TRANCHE_TRY(RunOne(session_, {}, flags_.path, parameters, stop_));
    }
    return ReadState();
  }

  Status FindRows() {
    TRANCHE_ASSIGN(run_, FindRefusing(*state_, {flags_.run, TableOf(session_.set())}));
    if (IsRetry(run_))
      return Fail(Code::kJob, "run {} is a retry; its rejects are listed with those of the first run",
                  run_.number);
    TRANCHE_ASSIGN(parameters_, ParametersOf(run_));
    TRANCHE_ASSIGN(engine_, MakeDuckDb({.threads = 1, .spill_folder = folder_ + "/spill"}));
    const JobLoader load = [&](const Set& set, const std::string& run_id) {
      return session_.Load(flags_.path, set, run_id);
    };
    TRANCHE_ASSIGN(job_, load(parameters_, NewId()));
    TRANCHE_ASSIGN(auto standing, StandingOf(load, *state_, folder_, run_, *engine_, kAllRejects));
    if (!flags_.from.empty()) return Mend(standing.open);
    for (NumberedReject& one : standing.open) ShareOf(one.reject.origin).rejects.push_back(std::move(one));
    return LeaveOutUnfit();
  }

  Share& ShareOf(const std::string& origin) {
    const auto found = std::ranges::find(shares_, origin, &Share::origin);
    return found != shares_.end() ? *found : shares_.emplace_back(Share{.origin = origin, .rejects = {}});
  }

  // Only what the file names is retried.
  Status Mend(std::vector<NumberedReject>& open) {
    const std::string file = std::filesystem::absolute(flags_.from).string();
    TRANCHE_ASSIGN(const MendedRows named,
                   ReadMended(file, {}, session_.registry(), *engine_, folder_ + "/retry"));
    for (const auto& [number, row] : named) {
      const auto found = std::ranges::find(open, number, &NumberedReject::number);
      if (found == open.end()) {
        return Fail(Code::kJob, "{}: run {} has no open reject {}", flags_.from, run_.number, number)
            .Hint("`tranche rejects list` shows the numbers");
      }
      ShareOf(found->reject.origin).rejects.push_back(*found);
    }
    if (shares_.empty()) return Fail(Code::kJob, "{} names no reject", flags_.from);
    if (shares_.size() > 1) {
      return Fail(Code::kJob, "{} has rows that were refused at two places: {} and {}", flags_.from,
                  shares_[0].origin, shares_[1].origin)
          .Hint("make a file for each: their columns differ");
    }
    TRANCHE_ASSIGN(const Columns columns, ColumnsOf(shares_.front().origin));
    TRANCHE_ASSIGN(const MendedRows rows,
                   ReadMended(file, columns, session_.registry(), *engine_, folder_ + "/retry"));
    for (NumberedReject& one : shares_.front().rejects) one.reject.content = rows.at(one.number);
    return {};
  }

  Status LeaveOutUnfit() {
    for (Share& share : shares_) {
      const auto count = std::ssize(share.rejects);
      if (share.origin.starts_with("input ")) {
        share.rejects.clear();
        passed_over_.push_back(fmt::format("{} of {} could not be read: give them, mended, with --from FILE",
                                           Rows(count), share.origin));
        continue;
      }
      const auto cut = std::erase_if(share.rejects, [](const NumberedReject& one) {
        return !nlohmann::json::accept(one.reject.content);
      });
      if (cut > 0) {
        passed_over_.push_back(fmt::format("{} of {} were cut at 64 KiB: give them whole with --from FILE",
                                           Rows(static_cast<int64_t>(cut)), share.origin));
      }
    }
    std::erase_if(shares_, [](const Share& share) { return share.rejects.empty(); });
    return {};
  }

  static std::string Rows(int64_t count) {
    return fmt::format("{} {}", FormatCount(count), count == 1 ? "row" : "rows");
  }

  Result<Columns> ColumnsOf(const std::string& origin) {
    return ColumnsBefore(job_, origin, *engine_, folder_ + "/retry/input");
  }

  Status Seal(const Share& share, std::vector<std::string>& lists) {
    if (auto after = JobAfter(job_, share.origin); !after) {
      passed_over_.push_back(after.error().ToString());
      return {};
    }
    TRANCHE_ASSIGN(const Columns columns, ColumnsOf(share.origin));
    TRANCHE_ASSIGN(std::string name, SealList(folder_, run_.number, columns, share.rejects, *engine_));
    lists.push_back(std::move(name));
    return {};
  }

  Session& session_;
  const RejectsFlags& flags_;
  StopSignal& stop_;
  std::string folder_;
  std::unique_ptr<State> state_;
  RunRecord run_;
  Set parameters_;  // of the run
  std::unique_ptr<Engine> engine_;
  Job job_;
  std::vector<Share> shares_;
  std::vector<std::string> passed_over_;  // why
};

}  // namespace

Status RejectsRetryCommand(Session& session, const RejectsFlags& flags) {
  StopSignal stop;
  stop.Install();
  Status done = Retry(session, flags, stop).Run();
  stop.RaiseAgain();
  return done;
}

}  // namespace tranche

#include "tranche/report/report.h"

#include <memory>

#include "tranche/base/file.h"
#include "tranche/cli/commands.h"
#include "tranche/run/tables.h"

namespace tranche {
Status ReportCommand(Session& session, const ReportFlags& flags) {
  TRANCHE_ASSIGN(const Job job, session.Load(flags.path, session.set(), NewId(), /*offline=*/true));
  TRANCHE_ASSIGN(auto state, session.OpenState(job));
  TRANCHE_ASSIGN(const RunRecord run, FindRun(*state, {flags.run, TableOf(session.set())}));
  if (run.summary.empty()) {
    return Fail(Code::kOutside, "run {} has left no summary: it was killed, or it is at work", run.number)
        .Hint("run the job again: it resumes, and reports at its end");
  }
  TRANCHE_ASSIGN(const ReportData data, ParseSummary(run.summary));
  const std::string html = RenderReport(data);
  if (flags.out == "-") {
    fmt::print("{}", html);
    return {};
  }
  const std::string out =
      flags.out.empty() ? fmt::format("{}/report-{}.html", session.FolderOf(job), run.number) : flags.out;
  TRANCHE_TRY(WriteFileDurably(out, html));
  fmt::print("{}\n", out);
  return {};
}

}  // namespace tranche

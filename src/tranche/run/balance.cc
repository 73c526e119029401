#include "tranche/run/balance.h"

#include "tranche/base/units.h"

namespace tranche {

Status JudgeStage(ReportData::Stage& stage, bool has_filter) {
  if (!stage.equation) return {};
  int64_t in = 0;
  for (const ReportData::Flow& flow : stage.from) {
    if (!flow.joined) in += flow.rows;
  }
  const int64_t out = stage.rejected + (stage.folds ? stage.folded : stage.rows);
  stage.filtered = in - out;
  if (stage.filtered == 0 || (has_filter && stage.filtered > 0)) return {};
  return Fail(Code::kData,
              "stage '{}' does not balance: {} rows came in, {} are accounted for ({} {}, {} rejected)",
              stage.name, in, out, stage.folds ? stage.folded : stage.rows, stage.folds ? "folded" : "sealed",
              stage.rejected)
      .Hint("nothing was published; please report this, it should not happen");
}

namespace {

void Append(std::string& text, const std::string& name, int64_t rows) {
  text += fmt::format("{}{} {}", text.empty() ? "" : ", ", name, FormatCount(rows));
}

}  // namespace

std::string BalanceLine(const ReportData& report) {
  std::string read;
  std::string stored;
  std::string extra;
  int64_t rejected = 0;
  int64_t filtered = 0;
  for (const ReportData::Input& input : report.inputs) Append(read, input.name, input.read);
  for (const ReportData::Stage& stage : report.stages) {
    filtered += stage.filtered;
    rejected += stage.rejected;  // by its readers and its steps
  }
  int64_t superseded = 0, unmatched = 0;
  for (const ReportData::Store& store : report.stores) {
    Append(stored, store.name, store.counts.stored);
    rejected += store.counts.rejected;
    superseded += store.counts.superseded;
    unmatched += store.counts.unmatched;
  }
  if (superseded > 0) extra += fmt::format(" · superseded {}", FormatCount(superseded));
  if (unmatched > 0) extra += fmt::format(" · unmatched {}", FormatCount(unmatched));
  return fmt::format("{}: read {} · filtered {} · rejected {}{} · stored {}",
                     report.balanced ? "balanced" : "NOT BALANCED", read, FormatCount(filtered),
                     FormatCount(rejected), extra, stored);
}

}  // namespace tranche

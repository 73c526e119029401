// Balance: for every stage and every store, rows in = rows out + what is accounted for by name.
#pragma once

#include <string>

#include "tranche/base/result.h"
#include "tranche/report/report.h"

namespace tranche {

// The equation of a stage: Σ of what flowed in = filtered + rejected + (folded or sealed). `filtered` is one
// number, the difference (fused filters can't be told apart); where the stage has no filter the difference
// must be none.
Status JudgeStage(ReportData::Stage& stage, bool has_filter);

// One line, source to store: "read 336,776 (flights) · filtered 8,255 · rejected 0 · stored 19,486 (hourly)".
std::string BalanceLine(const ReportData& report);

}  // namespace tranche

// Which columns of its inputs a stage does not use: the engine's own projection push-down says so, on a query
// over readers without rows.
#pragma once

#include "tranche/plan/plan.h"

namespace tranche {

// Sets stage.unused. Where the engine can't be asked, every column counts as used.
void FindUnusedColumns(PlannedStage& stage, const Plan& plan, const Sources& sources,
                       const Parameters& parameters, Engine& engine);

}  // namespace tranche

// Whether a stage's rows come out the same, and in the same order, each time its query is run over the same
// files: then stores may begin before it is sealed, and a start after a crash reads on where the last one
// was.
#pragma once

#include "tranche/plan/plan.h"

namespace tranche {

// Whether a stage takes the rows of one input one by one, and hands them on in their order: no step, and no
// expression, looks at other rows.
bool TakesRowsAsTheyCome(const PlannedStage& stage);

// Whether it does so with one input of files, and without a function that answers otherwise the next time
// (random, now). What only looks like one counts as one.
bool IsSteady(const PlannedStage& stage, const Job& job, const Engine& engine);

}  // namespace tranche

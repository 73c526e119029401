// The relational steps: each renders itself as SQL (see connector/step.h). One file a step.
#pragma once

#include "tranche/connector/spec.h"

namespace tranche {

StepSpec AggregateStep();
StepSpec CastStep();
StepSpec CheckStep();
StepSpec DedupeStep();
StepSpec DeriveStep();
StepSpec DropStep();
StepSpec FillStep();
StepSpec FilterStep();
StepSpec JoinStep();
StepSpec LimitStep();
StepSpec RenameStep();
StepSpec SampleStep();
StepSpec SelectStep();
StepSpec SortStep();
StepSpec SqlStep();

}  // namespace tranche

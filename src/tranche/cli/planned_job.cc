#include "tranche/cli/planned_job.h"

#include <filesystem>

#include "tranche/base/file.h"
#include "tranche/run/inputs.h"

namespace tranche {

PlannedJob::~PlannedJob() {
  if (!scratch.empty()) (void)RemoveFolder(scratch);
}

Result<PlannedJob> PlanJob(Session& session, const std::string& path) {
  const std::string id = NewId();
  PlannedJob planned;
  TRANCHE_ASSIGN(planned.tables, session.TablesOf(path));
  TRANCHE_ASSIGN(planned.job,
                 session.Load(path, session.SetOf(planned.tables.empty() ? "" : planned.tables.front()), id));
  TRANCHE_TRY(session.Apply(planned.job));
  TRANCHE_ASSIGN(Engine * engine, session.engine());
  planned.scratch = (std::filesystem::temp_directory_path() / ("tranche-" + id)).string();
  TRANCHE_TRY(MakeFolders(planned.scratch));
  TRANCHE_ASSIGN(planned.sources, MakeSources(planned.job));
  TRANCHE_ASSIGN(
      auto splits,
      PlanInputs(planned.job, planned.sources,
                 {.engine = engine, .scratch = planned.scratch, .parameters = &planned.job.values}));
  TRANCHE_ASSIGN(planned.plan, MakePlan(planned.job, planned.sources, *engine, /*seed=*/1));
  return planned;
}

}  // namespace tranche

// Execution: one start of one run, from its record to its end.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "tranche/run/context.h"
#include "tranche/run/inputs.h"
#include "tranche/run/spooler.h"
#include "tranche/run/store_worker.h"
#include "tranche/run/stored.h"

namespace tranche {

class Execution {
 public:
  Execution(RunContext& context, Sources sources, bool resumed);
  ~Execution();

  // Everything up to and with "finished". What it learns on the way stands in context.report, also after an
  // error.
  Status Run();

 private:
  Status PrepareInputs();
  void NameNewFiles(const std::vector<SplitRecord>& recorded, const InputsContext& inputs);
  Status MakeStages();
  Status TryStages();
  Status DropStages(const std::vector<StageRecord>& stages);
  Status Note(Stored how);
  // A stage that was not sealed is read again, and goes on behind the rows that were stored.
  bool goes_on() const { return stored_ == Stored::kAside || stored_ == Stored::kWhileRead; }
  // Whether the whole job is one query that goes into its one store, without a spool.
  bool IsDirect(const std::vector<StageRecord>& records) const;
  // Whether stores may begin before the stage is sealed.
  bool Streams(const PlannedStage& stage) const;
  // Starts the stores of a stage that grows; an error of one that has begun ends the run.
  Status StoreWhileItGrows(const PlannedStage& stage, const std::string& id, const Spool& spool, bool flows);
  // A segment goes when all stores of its stage have its rows; and need be no file, if all begin while they
  // come.
  bool Drops(const PlannedStage& stage) const;
  bool Holds(const PlannedStage& stage) const;
  void DropStored(const PlannedStage& stage, const std::string& id, Spool spool);
  void EndStores();
  Status MakeWorkers();
  // Lets the store take the stage's rows, in a thread of its own.
  void Start(size_t store, const std::string& stage_id, const Spool& spool);
  Status StoreAll();
  Status StoreDirect(const PlannedStage& stage);
  Status Finish();

  void Describe();
  void DescribeStage(const PlannedStage& stage, const StageTally& tally, bool direct);
  Status JudgeStages();

  RunContext& context_;
  Sources sources_;
  bool resumed_;
  Stored stored_ = Stored::kNothing;
  bool direct_ = false;
  Plan plan_;
  std::map<std::string, SealedStage> sealed_;
  std::vector<std::unique_ptr<StoreWorker>> workers_;
  std::mutex dropping_;
  struct Storing;
  // By the number of the store; each goes before its worker.
  std::map<size_t, std::unique_ptr<Storing>> under_way_;
};

}  // namespace tranche

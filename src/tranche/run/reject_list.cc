#include "tranche/run/reject_list.h"

#include "tranche/run/state_journal.h"

namespace tranche {

SinkContext LookingContext(const RunRecord& run, const std::string& store, Engine& engine, Journal& journal) {
  return {.job_key = run.job_key,
          .store = store,
          .run_id = run.id,
          .run_number = run.number,
          .engine = &engine,
          .journal = &journal,
          .clock = &SystemClock()};
}

Result<std::vector<Reject>> ListRejects(const Job& job, State& state, const RunRecord& run, Engine& engine,
                                        int64_t most) {
  std::vector<Reject> rejects;
  TRANCHE_ASSIGN(auto stored, state.Rejects(run.id, "", most));
  for (auto& one : stored) rejects.push_back(std::move(one.reject));
  for (const Body& body : job.bodies) {
    for (const Store& store : body.stores) {
      TRANCHE_ASSIGN(auto session, engine.Fork());
      TRANCHE_ASSIGN(auto sink, store.spec->make(Options(&store.spec->shape, &store.value)));
      StateJournal journal(state, run.id, store.name);
      SinkContext context = LookingContext(run, store.name, *session, journal);
      TRANCHE_TRY(sink->ListRejects(context, [&](Reject reject) -> Status {
        if (std::ssize(rejects) < most) rejects.push_back(std::move(reject));
        return {};
      }));
      sink.reset();  // it works on the session
    }
  }
  return rejects;
}

}  // namespace tranche

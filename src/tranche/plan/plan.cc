#include "tranche/plan/plan.h"

#include <algorithm>
#include <set>

#include "tranche/batch/cutter.h"
#include "tranche/plan/chain.h"
#include "tranche/plan/steady.h"
#include "tranche/plan/unused.h"

namespace tranche {

std::string InputRelation(std::string_view input) {
  return QuoteName(fmt::format("tranche input {}", input));
}
std::string StageRelation(std::string_view stage) {
  return QuoteName(fmt::format("tranche stage {}", stage));
}

bool PlannedStage::marked() const { return std::ranges::find(hidden, kRejectColumn) != hidden.end(); }

bool PlannedStage::ordered() const { return std::ranges::find(hidden, kOrdinalColumn) != hidden.end(); }

const PlannedStage* Plan::FindStage(std::string_view name) const {
  for (const PlannedStage& stage : stages) {
    if (stage.name == name) return &stage;
  }
  return nullptr;
}

namespace {

size_t Occurrences(std::string_view text, std::string_view word) {
  size_t count = 0;
  for (size_t at = text.find(word); at != std::string_view::npos; at = text.find(word, at + word.size()))
    ++count;
  return count;
}

class Planner {
 public:
  // `ordered`: an input that is read in the order of its key; empty: none.
  Planner(const Job& job, const Sources& sources, Engine& engine, uint64_t seed, bool places,
          std::set<std::string> spooled, std::string ordered)
      : job_(job),
        sources_(sources),
        engine_(engine),
        seed_(seed),
        places_(places),
        spooled_(std::move(spooled)),
        ordered_(std::move(ordered)) {}

  Result<Plan> Make() {
    for (const Input& input : job_.inputs) TRANCHE_TRY(CheckNames(input));
    for (const Input& input : job_.inputs) {
      if (!FlowsAlone(input.name)) TRANCHE_TRY(AddInput(input));
    }
    TRANCHE_TRY(AddPrepared());
    for (const Body* body : InOrder()) TRANCHE_TRY(AddBody(*body));
    for (PlannedStage& stage : plan_.stages) NameWhatItReads(stage);
    TRANCHE_TRY(CheckTargets());
    PlannedStore* only = plan_.stores.size() == 1 ? &plan_.stores.front() : nullptr;
    if (only != nullptr && plan_.stages.size() == 1 && only->store->spec->direct && only->sink->whole() &&
        CanBeDirect(plan_.stages.front())) {
      only->direct = true;
    }
    return std::move(plan_);
  }

 private:
  bool branched() const { return job_.bodies.size() != 1 || !job_.bodies.front().name.empty(); }

  // The one input that flows through the job, and that nobody joins: its steps belong to the job's own chain.
  bool FlowsAlone(const std::string& name) const {
    return job_.from.size() == 1 && job_.from.front() == name && !spooled_.contains(name);
  }

  Relation ScanOf(const Input& input) const {
    const Source& source = *sources_.at(input.name);
    std::vector<std::string> hidden;
    if (source.marks()) hidden.emplace_back(kRejectColumn);
    if (input.name == ordered_) hidden.emplace_back(kOrdinalColumn);
    if (places_ && source.places() && job_.Flows(input.name))
      hidden.insert(hidden.end(), {std::string(kFileColumn), std::string(kLineColumn)});
    return RelationOver(source.columns(), std::move(hidden), InputRelation(input.name));
  }

  // The visible rows of a sealed stage: its groups end with it.
  Relation RowsOf(const std::string& stage) const {
    std::vector<std::string> hidden;
    std::ranges::copy_if(plan_.FindStage(stage)->hidden, std::back_inserter(hidden), IsPlace);
    return RelationOver(plan_.FindStage(stage)->columns, std::move(hidden), StageRelation(stage));
  }

  Chain NewChain(std::string name) { return Chain(std::move(name), plan_, engine_, job_, seed_, relations_); }

  Status CheckNames(const Input& input) const {
    for (const Column& column : sources_.at(input.name)->columns()) {
      if (column.name.starts_with(kHiddenPrefix)) return ReservedName(column.name).At(input.place);
      const size_t nul = column.name.find('\0');
      if (nul == std::string::npos && !column.name.empty()) continue;
      Error error =
          nul == std::string::npos
              ? Fail(Code::kJob, "a column of input '{}' has no name", input.name)
              : Fail(Code::kJob, "a column's name has a NUL byte after '{}'", column.name.substr(0, nul));
      return std::move(error).Hint("give it a name where it is made").At(input.place);
    }
    return {};
  }

  // An input that is joined, or one of several that flow: a relation that others put into their queries, or a
  // spool.
  Status AddInput(const Input& input) {
    Chain chain = NewChain("input " + input.name);
    chain.Begin(ScanOf(input), {input.name});
    for (const StepItem& item : input.prepare) TRANCHE_TRY(chain.Add(item));
    if (spooled_.contains(input.name)) {
      stage_of_[input.name] = chain.Seal("more than one stage reads it");
    } else if (chain.must_seal()) {
      stage_of_[input.name] = chain.Seal("its refused rows are taken out first");
    } else {
      unsealed_[input.name] = chain.stage();
    }
    relations_[input.name] = chain.relation();
    return {};
  }

  // What `names` (inputs, branches) give: one relation, or the union of several by column name.
  Result<Relation> Flow(const std::vector<std::string>& names, const Place& place) {
    if (names.size() == 1) return relations_.at(names.front());
    SqlText select;
    SqlText stub;
    bool marked = false;
    bool placed = true;
    for (const std::string& name : names) {
      const Relation& part = relations_.at(name);
      marked = marked || part.marked();
      placed = placed && part.Hides(kFileColumn);
      if (!select.text().empty()) {
        select << " UNION ALL BY NAME ";
        stub << " UNION ALL BY NAME ";
      }
      select << "SELECT * FROM " << part.from;
      stub << "SELECT * FROM " << Stub(part.columns);
    }
    auto columns = engine_.Bind({stub, &job_.values});
    if (!columns) return std::move(columns).error().In("the inputs cannot be put together").At(place);
    SqlText from("(");
    from << select << ")";
    std::vector<std::string> hidden;
    if (marked) hidden.emplace_back(kRejectColumn);
    if (placed) hidden.insert(hidden.end(), {std::string(kFileColumn), std::string(kLineColumn)});
    return RelationOver(*std::move(columns), std::move(hidden), from);
  }

  // The stages that stand for `names`; an input without one stands for itself.
  std::vector<std::string> FlowOf(const std::vector<std::string>& names) const {
    std::vector<std::string> flow;
    for (const std::string& name : names) {
      const auto stage = stage_of_.find(name);
      flow.push_back(stage == stage_of_.end() ? name : stage->second);
    }
    return flow;
  }

  void Inherit(Chain& chain, const std::vector<std::string>& from) const {
    for (const std::string& name : from) {
      if (const auto part = unsealed_.find(name); part != unsealed_.end()) chain.Inherit(part->second);
    }
  }

  Status AddPrepared() {
    if (job_.from.empty()) return {};
    Chain chain = NewChain(branched() ? "prepared" : "rows");
    if (FlowsAlone(job_.from.front())) {
      const Input& input = *job_.FindInput(job_.from.front());
      relations_[input.name] = ScanOf(input);
      chain.Begin(relations_[input.name], job_.from);
      for (const StepItem& item : input.prepare) TRANCHE_TRY(chain.Add(item));
    } else {
      TRANCHE_ASSIGN(Relation relation, Flow(job_.from, {job_.file, 1, 1}));
      chain.Begin(std::move(relation), FlowOf(job_.from));
      Inherit(chain, job_.from);
    }
    for (const StepItem& item : job_.prepare) TRANCHE_TRY(chain.Add(item));
    if (!branched()) return AddRest(chain, job_.bodies.front());
    prepared_ = chain.Seal(fmt::format("{} branches start from it", job_.bodies.size()));
    stage_of_[kPrepared] = prepared_;
    relations_[kPrepared] = RowsOf(prepared_);
    return {};
  }

  // Branches after those that they start from.
  std::vector<const Body*> InOrder() const {
    std::vector<const Body*> order;
    if (!branched() && !job_.from.empty()) return order;  // done with the prepared rows
    std::set<std::string> done;
    while (order.size() < job_.bodies.size()) {
      for (const Body& body : job_.bodies) {
        if (done.contains(body.name)) continue;
        const bool ready = std::ranges::all_of(body.from, [&](const std::string& name) {
          return done.contains(name) || job_.FindInput(name) != nullptr;
        });
        if (ready) {
          order.push_back(&body);
          done.insert(body.name);
        }
      }
    }
    return order;
  }

  Status AddBody(const Body& body) {
    const std::vector<std::string> from = body.from.empty() ? std::vector<std::string>{kPrepared} : body.from;
    if (body.from.empty() && prepared_.empty()) {
      return Fail(Code::kJob, "branch '{}' has no `from`, and there are no prepared rows", body.name)
          .At(body.place);
    }
    Chain chain = NewChain("branch " + body.name);
    TRANCHE_ASSIGN(Relation relation, Flow(from, body.place));
    const std::vector<std::string> flow = FlowOf(from);
    chain.Begin(std::move(relation), flow);
    Inherit(chain, from);
    for (const StepItem& item : body.prepare) TRANCHE_TRY(chain.Add(item));
    TRANCHE_TRY(AddRest(chain, body, flow.size() == 1 ? flow.front() : ""));
    return {};
  }

  // Group, process and stores. `upstream`: the sealed stage that the chain began from, if it is one.
  Status AddRest(Chain& chain, const Body& body, const std::string& upstream = "") {
    if (body.group) TRANCHE_TRY(chain.OpenGroup(*body.group));
    for (const StepItem& item : body.process) TRANCHE_TRY(chain.Add(item));
    TRANCHE_TRY(chain.KeepGroups());
    std::string stage = upstream;
    if (!chain.idle() || plan_.FindStage(upstream) == nullptr) {
      stage = chain.Seal(body.stores.size() == 1 ? "a store reads it"
                                                 : fmt::format("{} stores read it", body.stores.size()));
    }
    if (!body.name.empty()) {
      stage_of_[body.name] = stage;
      relations_[body.name] = RowsOf(stage);
    }
    for (const Store& store : body.stores) {
      Options options(&store.spec->shape, &store.value);
      auto sink = store.spec->make(options);
      if (!sink) return std::move(sink).error().At(store.place);
      PlannedStore planned{.store = &store, .sink = *std::move(sink), .stage = stage};
      for (const Column& column : plan_.FindStage(stage)->columns) planned.columns.push_back(column.name);
      plan_.stores.push_back(std::move(planned));
    }
    return {};
  }

  void NameWhatItReads(PlannedStage& stage) const {
    std::string text = stage.query.text();
    for (const Guard& guard : stage.guards) text += guard.query.text();
    for (const Input& input : job_.inputs) {
      if (Occurrences(text, InputRelation(input.name)) > 0) stage.inputs.push_back(input.name);
    }
    for (const PlannedStage& other : plan_.stages) {
      if (Occurrences(text, StageRelation(other.name)) > 0) stage.stages.push_back(other.name);
    }
  }

  // No two stores may write the same file or table, nor one into the other's folder.
  Status CheckTargets() const {
    for (const PlannedStore& one : plan_.stores) {
      for (const PlannedStore& other : plan_.stores) {
        if (&one == &other) continue;
        const std::string a = one.sink->target();
        const std::string b = other.sink->target();
        if (a.empty() || (a != b && !b.starts_with(a + "/"))) continue;
        const Store& later = &one < &other ? *other.store : *one.store;
        const Store& earlier = &one < &other ? *one.store : *other.store;
        return Fail(Code::kJob, "store '{}' writes where store '{}' writes", later.name, earlier.name)
            .Hint("give each its own file, folder or table")
            .At(later.place);
      }
    }
    return {};
  }

  bool CanBeDirect(const PlannedStage& stage) const {
    if (!stage.hidden.empty()) return false;  // marks and counts are taken out when rows are sealed
    return std::ranges::none_of(stage.guards,
                                [](const Guard& guard) { return guard.when == Guard::When::kAfter; });
  }

  static constexpr const char* kPrepared = "";

  const Job& job_;
  const Sources& sources_;
  Engine& engine_;
  uint64_t seed_;
  bool places_;
  std::set<std::string> spooled_;                // inputs that get a spool of their own
  std::string ordered_;                          // one that is read in the order of its key
  std::map<std::string, Relation> relations_;    // inputs, branches, and the prepared rows
  std::map<std::string, std::string> stage_of_;  // sealed stages of inputs, of branches, of the prepared rows
  std::map<std::string, PlannedStage>
      unsealed_;  // what is done to an input within the query of whoever reads it
  std::string prepared_;
  Plan plan_;
};

// What pays where a store waits for a server: the rows come more slowly in an order, and are there sooner.
bool PaysInOrder(const Plan& plan, const Sources& sources, bool places) {
  if (plan.stages.size() != 1 || places || !TakesRowsAsTheyCome(plan.stages.front())) return false;
  return sources.at(plan.stages.front().inputs.front())->ordered() &&
         std::ranges::any_of(plan.stores, [](const PlannedStore& store) {
           return !store.sink->whole() && !store.sink->aside();
         });
}

}  // namespace

Result<Plan> MakePlan(const Job& job, const Sources& sources, Engine& engine, uint64_t seed, bool places) {
  std::set<std::string> spooled;
  std::string ordered;
  while (true) {
    TRANCHE_ASSIGN(Plan plan, Planner(job, sources, engine, seed, places, spooled, ordered).Make());
    // An input is read once: if two stages want it, it gets a spool.
    std::map<std::string, int> readers;
    for (const PlannedStage& stage : plan.stages) {
      for (const std::string& input : stage.inputs) ++readers[input];
    }
    const size_t before = spooled.size();
    for (const auto& [input, count] : readers) {
      if (count > 1) spooled.insert(input);
    }
    if (ordered.empty() && PaysInOrder(plan, sources, places)) {
      ordered = plan.stages.front().inputs.front();
    } else if (spooled.size() == before) {
      for (PlannedStage& stage : plan.stages) FindUnusedColumns(stage, plan, sources, job.values, engine);
      if (plan.stages.size() == 1) plan.stages.front().steady = IsSteady(plan.stages.front(), job, engine);
      for (const Input& input : job.inputs) {
        if (!readers.contains(input.name)) {
          plan.warnings.push_back(fmt::format("input '{}' is not used", input.name));
        }
      }
      return plan;
    }
  }
}

SqlText WithRelations(const std::map<std::string, SqlText>& definitions, const SqlText& query) {
  SqlText text;
  for (const auto& [relation, definition] : definitions) {
    const size_t uses = Occurrences(query.text(), relation);
    if (uses == 0) continue;
    text << (text.text().empty() ? "WITH " : ", ") << relation
         << (uses == 1 ? " AS NOT MATERIALIZED " : " AS MATERIALIZED ") << definition;
  }
  text << " " << query;
  return text;
}

std::string PlannedStore::guarantee() const {
  std::string own = sink->guarantee();
  return own.empty() ? store->spec->guarantee : own;
}

}  // namespace tranche

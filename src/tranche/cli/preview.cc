#include <algorithm>
#include <memory>

#include "tranche/batch/cutter.h"
#include "tranche/cli/commands.h"
#include "tranche/cli/planned_job.h"
#include "tranche/cli/table.h"

namespace tranche {
namespace {

// The relations of a plan with nothing sealed: stages stand in the query themselves, without their refused
// rows.
class Inline {
 public:
  Inline(PlannedJob& planned, Engine& engine) : planned_(planned), engine_(engine) {}

  Result<SqlText> Query(const SqlText& body) {
    std::map<std::string, SqlText> definitions;
    TRANCHE_TRY(Define(body, definitions));
    SqlText text;
    for (const std::string& relation : order_) {
      text << (text.text().empty() ? "WITH " : ", ") << relation << " AS NOT MATERIALIZED "
           << definitions.at(relation);
    }
    text << " " << body;
    return text;
  }

 private:
  Status Define(const SqlText& body, std::map<std::string, SqlText>& definitions) {
    for (const Input& input : planned_.job.inputs) {
      const std::string relation = InputRelation(input.name);
      if (!body.text().contains(relation) || definitions.contains(relation)) continue;
      SourceContext context{.input = input.name,
                            .engine = &engine_,
                            .scratch = planned_.scratch,
                            .parameters = &planned_.job.values};
      TRANCHE_ASSIGN(definitions[relation], planned_.sources.at(input.name)->Scan(context));
      order_.push_back(relation);
    }
    for (const PlannedStage& stage : planned_.plan.stages) {
      const std::string relation = StageRelation(stage.name);
      if (!body.text().contains(relation) || definitions.contains(relation)) continue;
      TRANCHE_TRY(Define(stage.query, definitions));
      SqlText kept("(SELECT * FROM (");
      kept << stage.query << ")";
      if (stage.marked()) kept << " WHERE " << kRejectColumn << " IS NULL";
      kept << ")";
      definitions[relation] = std::move(kept);
      order_.push_back(relation);
    }
    return {};
  }

  PlannedJob& planned_;
  Engine& engine_;
  std::vector<std::string> order_;
};

// An input's name, a branch's, a step's ("filter (prepare 2)" or its end "prepare 2"), or nothing: what is
// stored first.
Result<SqlText> Find(const PlannedJob& planned, const std::string& name) {
  const Plan& plan = planned.plan;
  auto of_stage = [](const PlannedStage& stage) {
    return SqlText("SELECT * FROM " + StageRelation(stage.name));
  };
  if (name.empty())
    return of_stage(
        *plan.FindStage(plan.stores.empty() ? plan.stages.back().name : plan.stores.front().stage));
  std::vector<std::string> known;
  for (const Input& input : planned.job.inputs) {
    known.push_back(input.name);
    if (input.name == name) return SqlText("SELECT * FROM " + InputRelation(name));
  }
  for (const Body& body : planned.job.bodies) {
    if (!body.name.empty()) known.push_back(body.name);
    if (body.name == name && !body.stores.empty()) {
      for (const PlannedStore& store : plan.stores) {
        if (store.store->name == body.stores.front().name) return of_stage(*plan.FindStage(store.stage));
      }
    }
  }
  for (const PlannedStage& stage : plan.stages) {
    known.push_back(stage.name);
    if (stage.name == name || stage.name == "branch " + name) return of_stage(stage);
    for (const PlannedStep& step : stage.steps) {
      known.push_back(step.origin);
      if (step.origin == name || step.origin.ends_with("(" + name + ")")) return step.select;
    }
  }
  const std::string nearest = Nearest(name, known);
  return Fail(Code::kJob, "there is no input, branch or step '{}'", name)
      .Hint(nearest.empty() ? fmt::format("there are: {}", fmt::join(known, ", "))
                            : "did you mean '" + nearest + "'?");
}

}  // namespace

Status PreviewCommand(Session& session, const PreviewFlags& flags) {
  TRANCHE_ASSIGN(PlannedJob planned, PlanJob(session, flags.path));
  if (!planned.tables.empty()) {
    session.log().Info(fmt::format("of table '{}', the first of {}; --set table=… shows another",
                                   planned.tables.front(), planned.tables.size()));
  }
  TRANCHE_ASSIGN(Engine * engine, session.engine());
  TRANCHE_ASSIGN(const SqlText found, Find(planned, flags.name));
  SqlText limited("SELECT * FROM (");
  limited << found << fmt::format(") LIMIT {}", flags.rows);
  TRANCHE_ASSIGN(const SqlText sql, Inline(planned, *engine).Query(limited));
  TRANCHE_ASSIGN(const Columns columns, engine->Bind({sql, &planned.job.values}));
  TRANCHE_ASSIGN(const auto answer, engine->Select({sql, &planned.job.values}));
  std::vector<std::string> header;
  std::vector<size_t> visible;
  for (size_t i = 0; i < columns.size(); ++i) {
    if (columns[i].name.starts_with(kHiddenPrefix)) continue;
    header.push_back(columns[i].name);
    visible.push_back(i);
  }
  std::vector<TextRow> shown;
  for (const TextRow& row : answer) {
    TextRow& line = shown.emplace_back();
    for (size_t i : visible) line.push_back(row[i]);
  }
  fmt::print("{}", FormatTable(header, shown));
  return {};
}

}  // namespace tranche

#include "tranche/plan/unused.h"

#include <algorithm>

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "tranche/batch/cutter.h"

namespace tranche {
namespace {

class NoRows : public Reader {
 public:
  explicit NoRows(std::shared_ptr<arrow::Schema> schema) : schema_(std::move(schema)) {}
  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }
  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    return std::shared_ptr<arrow::RecordBatch>();
  }

 private:
  std::shared_ptr<arrow::Schema> schema_;
};

// A registered reader of these columns, without rows.
Result<std::string> RegisterEmpty(Engine& engine, const Columns& columns) {
  std::shared_ptr<arrow::Schema> schema;
  {
    TRANCHE_ASSIGN(auto reader, engine.Run({SqlText("SELECT * FROM " + Stub(columns))}));
    schema = reader->schema();
  }
  return engine.Register(schema, [schema]() -> Result<std::unique_ptr<Reader>> {
    return std::unique_ptr<Reader>(new NoRows(schema));
  });
}

Columns WithHidden(Columns columns, const std::vector<std::string>& hidden) {
  for (const std::string& name : hidden) columns.push_back({name, HiddenType(name)});
  return columns;
}

// Registered readers in the place of a stage's relations.
class Question {
 public:
  explicit Question(Engine& engine) : engine_(engine) {}
  ~Question() {
    for (const auto& [relation, reader] : readers_) engine_.Unregister(reader);
  }
  Question(const Question&) = delete;

  Status Add(const std::string& relation, const Columns& columns) {
    TRANCHE_ASSIGN(readers_[relation], RegisterEmpty(engine_, columns));
    definitions_[relation] = SqlText(fmt::format("(SELECT * FROM {})", readers_[relation]));
    return {};
  }

  Status Ask(const SqlText& query, const Parameters& parameters) {
    TRANCHE_ASSIGN(auto reader, engine_.Run({WithRelations(definitions_, query), &parameters}));
    while (true) {
      TRANCHE_ASSIGN(auto rows, reader->Next());
      if (rows == nullptr) return {};
    }
  }

  // Nothing = the engine did not scan it.
  std::optional<std::set<std::string>> Used(const std::string& relation) const {
    std::optional<std::set<std::string>> used;
    for (const ScanCount& scan : engine_.LastScans()) {
      if (scan.function != readers_.at(relation)) continue;
      if (!used) used.emplace();
      used->insert(scan.columns.begin(), scan.columns.end());
    }
    return used;
  }

 private:
  Engine& engine_;
  std::map<std::string, std::string> readers_;
  std::map<std::string, SqlText> definitions_;
};

}  // namespace

void FindUnusedColumns(PlannedStage& stage, const Plan& plan, const Sources& sources,
                       const Parameters& parameters, Engine& engine) {
  // Guards that look at the inputs have queries of their own; a user's SELECT may work long without any
  // input; and without steps all columns go on.
  if (!stage.guards.empty() || stage.steps.empty()) return;
  for (const PlannedStep& step : stage.steps) {
    if (step.origin.starts_with("sql ")) return;
  }
  Question question(engine);
  for (const std::string& input : stage.inputs) {
    const Source& source = *sources.at(input);
    std::vector<std::string> hidden(source.marks() ? 1 : 0, std::string(kRejectColumn));
    if (source.ordered()) hidden.emplace_back(kOrdinalColumn);
    if (source.places()) hidden.insert(hidden.end(), {std::string(kFileColumn), std::string(kLineColumn)});
    if (!question.Add(InputRelation(input), WithHidden(source.columns(), hidden))) return;
  }
  for (const std::string& name : stage.stages) {
    const PlannedStage& other = *plan.FindStage(name);
    if (!question.Add(StageRelation(name), WithHidden(other.columns, other.hidden))) return;
  }
  if (!question.Ask(stage.query, parameters)) return;
  for (const std::string& input : stage.inputs) {
    const auto used = question.Used(InputRelation(input));
    if (!used) continue;
    for (const Column& column : sources.at(input)->columns()) {
      if (!used->contains(column.name)) stage.unused[input].insert(column.name);
    }
  }
}

}  // namespace tranche

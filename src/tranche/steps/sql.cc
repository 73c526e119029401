#include <algorithm>

#include "tranche/batch/cutter.h"
#include "tranche/steps/clause.h"
#include "tranche/steps/steps.h"

namespace tranche {
namespace {

// Which other inputs it reads is known by the engine's parser alone: inputs() names none.
class Sql final : public Step {
 public:
  explicit Sql(Expression select) : select_(std::move(select)) {}

  bool blocking() const override { return true; }
  Cardinality cardinality() const override { return Cardinality::kOther; }

  Result<StepOutput> Render(const Relation& input, const StepContext& context) const override {
    if (!input.group.empty()) {
      return Fail(Code::kJob, "`sql` cannot look at one group after the other")
          .Hint("`aggregate` first, or work on all rows with `over (partition by …)` before `group`")
          .At(select_.source.place);
    }
    TRANCHE_TRY(context.engine->CheckSelect(select_));
    TRANCHE_ASSIGN(auto tables, context.engine->TablesOf(select_));
    for (const std::string& table : tables) TRANCHE_TRY(CheckKnown(table, *context.inputs));
    // One that is named twice is materialized by the engine, so that nothing is read twice.
    SqlText select("WITH input AS ");
    select << clause::Rows(input);
    for (const auto& [name, relation] : *context.inputs) {
      const bool named =
          std::ranges::any_of(tables, [&](const std::string& table) { return clause::Same(table, name); });
      if (named && name != "input") select << ", " << QuoteName(name) << " AS " << clause::Rows(relation);
    }
    select << " SELECT * FROM (" << select_ << "\n) AS output";
    return StepOutput{.select = std::move(select), .hidden = {}};
  }

 private:
  // Anything else would be a table of the engine's own: its catalog, its settings.
  Status CheckKnown(const std::string& table, const std::map<std::string, Relation>& inputs) const {
    std::vector<std::string> known{"input"};
    for (const auto& [name, relation] : inputs) known.push_back(name);
    if (std::ranges::any_of(known, [&](const std::string& name) { return clause::Same(table, name); }))
      return {};
    const std::string nearest = Nearest(table, known);
    return Fail(Code::kJob, "there is no input '{}'", table)
        .Hint(nearest.empty() ? "name it under `collect:`" : "did you mean '" + nearest + "'?")
        .At(select_.source.place);
  }

  Expression select_;
};

// A statement may end in a semicolon; what is put into brackets may not.
Expression WithoutSemicolon(Expression select) {
  std::string& text = select.text;
  const size_t end = text.find_last_not_of(" \t\r\n;");
  text.resize(end == std::string::npos ? 0 : end + 1);
  return select;
}

Shape LongForm() {
  return Shape::Object({{"path", Shape::Path(), "A file with the SELECT.", Field::kRequired}});
}

}  // namespace

StepSpec SqlStep() {
  StepSpec spec;
  spec.name = "sql";
  spec.summary = "Puts the result of a SELECT in the place of the rows.";
  spec.doc =
      "`input` is what the step before handed on; the job's other inputs stand "
      "under their names. "
      "Only a SELECT, and no functions that read files. `${name}` is a bound value. "
      "What an open group holds cannot be asked: `aggregate` first.";
  spec.shape = Shape::OneOf({Shape::Sql(), LongForm()});
  spec.example =
      "sql: |\n"
      "  select customer, sum(amount) as amount\n"
      "  from input\n"
      "  group by customer\n";
  // A file's text stands in the place of its path by now: the loader puts it there, with its ${…}.
  spec.make = [](const Options& options) -> Result<std::unique_ptr<Step>> {
    return std::make_unique<Sql>(WithoutSemicolon(ToExpression(options.node())));
  };
  return spec;
}

}  // namespace tranche

#include "tranche/batch/cutter.h"
#include "tranche/steps/clause.h"
#include "tranche/steps/steps.h"

namespace tranche {
namespace {

class Filter final : public Step {
 public:
  explicit Filter(Expression condition) : condition_(std::move(condition)) {}

  bool blocking() const override { return clause::HasWindow(condition_); }
  Cardinality cardinality() const override { return Cardinality::kFilters; }

  // The condition is computed beside the rows, not in WHERE, where window functions are not allowed.
  Result<StepOutput> Render(const Relation& input, const StepContext& context) const override {
    TRANCHE_TRY(clause::CheckWindow(input, condition_));
    TRANCHE_ASSIGN(SqlText condition, clause::Bracketed(condition_, context));
    constexpr const char* kKept = "__tranche_kept";
    SqlText select("SELECT ");
    select << clause::All(input) << " FROM (SELECT input.*, ";
    if (input.marked()) {
      select << "CASE WHEN " << clause::Of(kRejectColumn) << " IS NULL THEN " << condition
             << " ELSE true END";
    } else {
      select << condition;
    }
    select << " AS " << kKept << " FROM " << (blocking() ? clause::Numbered(input) : input).from
           << " AS input) AS input WHERE input." << kKept;
    if (blocking()) select << " ORDER BY " << clause::RowNumber();  // windows mix up the rows
    return StepOutput{.select = std::move(select), .hidden = input.hidden};
  }

 private:
  Expression condition_;
};

}  // namespace

StepSpec FilterStep() {
  StepSpec spec;
  spec.name = "filter";
  spec.summary = "Keeps the rows for which an expression is true.";
  spec.doc =
      "Rows for which the expression is false or NULL are dropped on purpose: they are counted as filtered, "
      "not as "
      "rejects. Use `check` for rows that must not be there.\n\n"
      "Window functions are allowed: `row_number() over (partition by customer order by sold desc) <= 3`.";
  spec.shape = Shape::Expression();
  spec.example = "filter: amount > 0 and country <> 'test'\n";
  spec.make = [](const Options& options) -> Result<std::unique_ptr<Step>> {
    return std::make_unique<Filter>(ToExpression(options.node()));
  };
  return spec;
}

}  // namespace tranche

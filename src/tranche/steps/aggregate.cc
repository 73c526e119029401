#include <algorithm>

#include "tranche/batch/cutter.h"
#include "tranche/steps/clause.h"
#include "tranche/steps/steps.h"

namespace tranche {
namespace {

class Aggregate final : public Step {
 public:
  explicit Aggregate(std::vector<clause::Definition> definitions) : definitions_(std::move(definitions)) {}

  bool blocking() const override { return true; }
  Cardinality cardinality() const override { return Cardinality::kFolds; }

  Result<StepOutput> Render(const Relation& input, const StepContext& context) const override {
    std::vector<Item> items;
    for (const std::string& name : input.group) {
      if (FindColumn(input.columns, name) != nullptr)
        items.push_back(Plain(name));  // not a hidden number of the group
    }
    SqlText folded;
    for (size_t i = 0; i < definitions_.size(); ++i) {
      const auto& [column, expression] = definitions_[i];
      TRANCHE_TRY(clause::CheckNewName(column));
      TRANCHE_TRY(clause::KeepGroup(input, column, "aggregate into"));
      TRANCHE_ASSIGN(SqlText value, clause::Bracketed(expression, context));
      folded << value << " AS " << Folded(i) << ", ";
      items.push_back({.name = column.text, .expression = SqlText("input." + Folded(i)), .plain = true});
    }
    TRANCHE_TRY(NarrowSums(input, folded, context, items));
    Relation groups{
        .from = Fold(input, folded), .columns = {}, .hidden = {std::string(kRowsColumn)}, .group = {}};
    StepOutput output{
        .select = Project(groups, items), .hidden = groups.hidden, .guards = {}, .ends_group = true};
    return output;
  }

 private:
  static std::string Folded(size_t i) { return fmt::format("__tranche_fold_{}", i + 1); }

  // One row for each group, in the order of the groups.
  static SqlText Fold(const Relation& input, const SqlText& folded) {
    const std::string groups = PartitionBy(input);
    SqlText select("(SELECT ");
    if (!groups.empty()) select << groups << ", ";
    select << folded;
    if (input.Hides(kRowsColumn)) {
      select << fmt::format("CAST(coalesce(sum({}), 0) AS BIGINT)", clause::Of(kRowsColumn));
    } else {
      select << "count(*)";
    }
    select << " AS " << QuoteName(kRowsColumn) << " FROM " << input.from << " AS input";
    if (!groups.empty()) select << " GROUP BY " << groups << " ORDER BY " << groups;
    select << ")";
    return select;
  }

  // Sums of whole numbers are HUGEINT, which no store and few readers know.
  Status NarrowSums(const Relation& input, const SqlText& folded, const StepContext& context,
                    std::vector<Item>& items) const {
    SqlText probe("SELECT * FROM ");
    probe << Fold(clause::StubOf(input), folded);
    TRANCHE_ASSIGN(Columns columns, context.engine->Bind({probe, context.parameters}));
    const size_t first = items.size() - definitions_.size();
    for (size_t i = 0; i < definitions_.size(); ++i) {
      const Column* column = FindColumn(columns, Folded(i));
      if (column != nullptr && column->type == "HUGEINT") {
        items[first + i].expression = SqlText(fmt::format("CAST(input.{} AS BIGINT)", Folded(i)));
      }
    }
    return {};
  }

  std::vector<clause::Definition> definitions_;
};

}  // namespace

StepSpec AggregateStep() {
  StepSpec spec;
  spec.name = "aggregate";
  spec.summary = "Folds each group into one row.";
  spec.doc =
      "The group's columns come first by themselves, then the values, one row for each group in the order of "
      "the groups. "
      "The groups end here: later steps see all rows. Without `group`, all rows become one row, even if "
      "there are none.\n\n"
      "Sums of whole numbers are BIGINT; a sum that does not fit stops the run.";
  spec.shape = Shape::Map(Shape::Column(), Shape::Expression());
  spec.example =
      "aggregate:\n"
      "  sales: sum(amount)\n"
      "  baskets: count(distinct basket_id)\n";
  spec.make = [](const Options& options) -> Result<std::unique_ptr<Step>> {
    TRANCHE_ASSIGN(auto definitions, clause::Definitions(options.node()));
    if (definitions.empty())
      return Fail(Code::kJob, "'aggregate' needs at least one column").At(options.place());
    return std::make_unique<Aggregate>(std::move(definitions));
  };
  return spec;
}

}  // namespace tranche

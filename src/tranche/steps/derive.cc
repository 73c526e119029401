#include <algorithm>

#include "tranche/steps/clause.h"
#include "tranche/steps/steps.h"

namespace tranche {
namespace {

class Derive final : public Step {
 public:
  explicit Derive(std::vector<clause::Definition> definitions) : definitions_(std::move(definitions)) {}

  bool blocking() const override {
    return std::ranges::any_of(definitions_, clause::HasWindow, &clause::Definition::expression);
  }

  Result<StepOutput> Render(const Relation& input, const StepContext& context) const override {
    std::vector<Item> items;
    for (const Column& column : input.columns) items.push_back(Plain(column.name));
    for (const auto& [column, expression] : definitions_) {
      TRANCHE_TRY(clause::CheckNewName(column));
      TRANCHE_TRY(clause::CheckWindow(input, expression));
      TRANCHE_TRY(clause::KeepGroup(input, column, "replace"));
      Item item{.name = column.text};
      TRANCHE_ASSIGN(item.expression, clause::Bracketed(expression, context));
      auto old =
          std::ranges::find_if(items, [&](const Item& each) { return clause::Same(each.name, column.text); });
      if (old == items.end()) {
        items.push_back(std::move(item));
      } else {
        item.name = old->name;
        *old = std::move(item);
      }
    }
    return StepOutput{.select = clause::Project(input, items, blocking()), .hidden = input.hidden};
  }

 private:
  std::vector<clause::Definition> definitions_;
};

}  // namespace

StepSpec DeriveStep() {
  StepSpec spec;
  spec.name = "derive";
  spec.summary = "Adds columns, or replaces them, by expressions.";
  spec.doc =
      "Each expression sees the columns as they are before this step, not its neighbours: what builds on a "
      "new column "
      "stands in a `derive` of its own. A column that is replaced keeps its place, a new one comes last.\n\n"
      "Functions of many rows need a window: `sum(amount) over (partition by customer)`.";
  spec.shape = Shape::Map(Shape::Column(), Shape::Expression());
  spec.example =
      "derive:\n"
      "  net: amount - discount\n"
      "  day: \"sold::date\"\n";
  spec.make = [](const Options& options) -> Result<std::unique_ptr<Step>> {
    TRANCHE_ASSIGN(auto definitions, clause::Definitions(options.node()));
    if (definitions.empty()) {
      return Fail(Code::kJob, "'derive' needs at least one column").At(options.place());
    }
    return std::make_unique<Derive>(std::move(definitions));
  };
  return spec;
}

}  // namespace tranche

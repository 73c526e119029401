#include "tranche/steps/clause.h"
#include "tranche/steps/steps.h"

namespace tranche {
namespace {

class Sort final : public Step {
 public:
  explicit Sort(std::vector<clause::Order> orders) : orders_(std::move(orders)) {}

  bool blocking() const override { return true; }

  Result<StepOutput> Render(const Relation& input, const StepContext& context) const override {
    TRANCHE_ASSIGN(SqlText order, clause::OrderBy(orders_, context));
    SqlText select("SELECT ");
    select << clause::All(input) << " FROM " << input.from << " AS input ORDER BY ";
    if (!input.group.empty()) select << PartitionBy(input) << ", ";
    select << order;
    return StepOutput{.select = std::move(select), .hidden = input.hidden};
  }

 private:
  std::vector<clause::Order> orders_;
};

}  // namespace

StepSpec SortStep() {
  StepSpec spec;
  spec.name = "sort";
  spec.summary = "Puts the rows in order.";
  spec.doc =
      "Columns or expressions, each with `asc` (the default) or `desc`, and `nulls first` or `nulls last` "
      "(the default in both directions). Rows that are equal come in any order, which may differ from run to "
      "run: name one more column where it matters. In an open group, rows are in the order of the groups "
      "first. A name with spaces is quoted as in SQL: `'\"Order ID\" desc'`.";
  spec.shape = Shape::ListOrOne(Shape::Order());
  spec.example = "sort: [amount desc, order_id]\n";
  spec.make = [](const Options& options) -> Result<std::unique_ptr<Step>> {
    auto orders = clause::ToOrders(options.node());
    if (orders.empty()) return Fail(Code::kJob, "'sort' needs at least one column").At(options.place());
    return std::make_unique<Sort>(std::move(orders));
  };
  return spec;
}

}  // namespace tranche

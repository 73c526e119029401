#include <algorithm>

#include "tranche/steps/clause.h"
#include "tranche/steps/steps.h"

namespace tranche {
namespace {

class Select final : public Step {
 public:
  Select(std::vector<clause::Name> columns, Place place)
      : columns_(std::move(columns)), place_(std::move(place)) {}

  bool blocking() const override { return false; }

  Result<StepOutput> Render(const Relation& input, const StepContext&) const override {
    TRANCHE_ASSIGN(auto names, clause::FindAll(input, columns_));
    for (const std::string& group : input.group) {
      const bool visible = FindColumn(input.columns, group) != nullptr;
      if (visible && std::ranges::find(names, group) == names.end()) {
        return Fail(Code::kJob, "cannot leave out '{}': the rows are grouped by it", group)
            .Hint("add it to the columns of `select`")
            .At(place_);
      }
    }
    std::vector<Item> items;
    for (const std::string& name : names) items.push_back(Plain(name));
    return StepOutput{.select = Project(input, items), .hidden = input.hidden};
  }

 private:
  std::vector<clause::Name> columns_;
  Place place_;
};

}  // namespace

StepSpec SelectStep() {
  StepSpec spec;
  spec.name = "select";
  spec.summary = "Keeps these columns, in this order.";
  spec.doc = "All other columns are dropped. In an open group its columns must be among them.";
  spec.shape = Shape::ListOrOne(Shape::Column());
  spec.example = "select: [order_id, customer, amount]\n";
  spec.make = [](const Options& options) -> Result<std::unique_ptr<Step>> {
    auto names = clause::Names(options.node());
    if (names.empty()) return Fail(Code::kJob, "'select' needs at least one column").At(options.place());
    return std::make_unique<Select>(std::move(names), options.place());
  };
  return spec;
}

}  // namespace tranche

#include <algorithm>

#include "tranche/steps/clause.h"
#include "tranche/steps/steps.h"

namespace tranche {
namespace {

class Drop final : public Step {
 public:
  Drop(std::vector<clause::Name> columns, Place place)
      : columns_(std::move(columns)), place_(std::move(place)) {}

  bool blocking() const override { return false; }

  Result<StepOutput> Render(const Relation& input, const StepContext&) const override {
    TRANCHE_ASSIGN(auto dropped, clause::FindAll(input, columns_));
    for (const clause::Name& column : columns_) TRANCHE_TRY(clause::KeepGroup(input, column, "drop"));
    std::vector<Item> items;
    for (const Column& column : input.columns) {
      if (std::ranges::find(dropped, column.name) == dropped.end()) items.push_back(Plain(column.name));
    }
    if (items.empty())
      return Fail(Code::kJob, "'drop' leaves no column").Hint("keep at least one").At(place_);
    return StepOutput{.select = Project(input, items), .hidden = input.hidden};
  }

 private:
  std::vector<clause::Name> columns_;
  Place place_;
};

}  // namespace

StepSpec DropStep() {
  StepSpec spec;
  spec.name = "drop";
  spec.summary = "Drops these columns and keeps all others.";
  spec.doc = "A column that is not there is an error. Columns of an open group cannot be dropped.";
  spec.shape = Shape::ListOrOne(Shape::Column());
  spec.example = "drop: [discount, internal_note]\n";
  spec.make = [](const Options& options) -> Result<std::unique_ptr<Step>> {
    return std::make_unique<Drop>(clause::Names(options.node()), options.place());
  };
  return spec;
}

}  // namespace tranche

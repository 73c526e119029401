#include "tranche/steps/clause.h"
#include "tranche/steps/steps.h"

namespace tranche {
namespace {

class Limit final : public Step {
 public:
  explicit Limit(int64_t rows) : rows_(rows) {}

  // Refused rows must be out before: they do not count.
  bool blocking() const override { return true; }
  Cardinality cardinality() const override { return Cardinality::kOther; }

  Result<StepOutput> Render(const Relation& input, const StepContext&) const override {
    SqlText select;
    if (input.group.empty()) {
      select << "SELECT " << clause::All(input) << " FROM " << input.from
             << fmt::format(" AS input LIMIT {}", rows_);
    } else {
      select << clause::FirstRows(input, clause::RowNumber(), rows_);
    }
    return StepOutput{.select = std::move(select), .hidden = input.hidden};
  }

 private:
  int64_t rows_;
};

}  // namespace

StepSpec LimitStep() {
  StepSpec spec;
  spec.name = "limit";
  spec.summary = "Keeps the first N rows.";
  spec.doc =
      "The first in the order that the rows come in: put a `sort` before. In an open group, N rows of each "
      "group.";
  spec.shape = Shape::Integer();
  spec.example = "limit: 100\n";
  spec.make = [](const Options& options) -> Result<std::unique_ptr<Step>> {
    TRANCHE_ASSIGN(int64_t rows, ParseInteger(options.node().text));
    return std::make_unique<Limit>(rows);
  };
  return spec;
}

}  // namespace tranche

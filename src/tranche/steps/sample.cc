#include <cmath>

#include "tranche/steps/clause.h"
#include "tranche/steps/steps.h"

namespace tranche {
namespace {

// Rows are drawn by a hash of their number and the run's seed: the same run draws the same rows again.
class Sample final : public Step {
 public:
  explicit Sample(RejectLimit size) : size_(size) {}

  bool blocking() const override { return true; }
  Cardinality cardinality() const override { return Cardinality::kOther; }

  Result<StepOutput> Render(const Relation& input, const StepContext& context) const override {
    // Two rounds: DuckDB's hash of two values hardly mixes them.
    const std::string draw =
        fmt::format("hash(xor(hash({}), {}::UBIGINT))", clause::RowNumber(), context.seed);
    SqlText select;
    if (size_.count) {
      select = clause::FirstRows(input, fmt::format("{}, {}", draw, clause::RowNumber()), *size_.count);
    } else {
      const double share = std::min(*size_.percent / 100, 1.0);
      const auto limit = static_cast<unsigned long long>(
          std::min(std::ldexp(share, 64), std::nextafter(std::ldexp(1.0, 64), 0.0)));
      select << "SELECT " << clause::All(input) << " FROM " << clause::Numbered(input).from << " AS input";
      if (share < 1) select << fmt::format(" WHERE {} < {}::UBIGINT", draw, limit);
    }
    return StepOutput{.select = std::move(select), .hidden = input.hidden};
  }

 private:
  RejectLimit size_;
};

}  // namespace

StepSpec SampleStep() {
  StepSpec spec;
  spec.name = "sample";
  spec.summary = "Keeps N rows, or P% of them, drawn by chance.";
  spec.doc =
      "The draw depends on the run alone: a resumed run keeps the same rows, another run draws others. Rows "
      "stay in "
      "order. `100` keeps exactly so many (of each open group), `1%` about so many.";
  spec.shape = Shape::Share();
  spec.example = "sample: 1%\n";
  spec.make = [](const Options& options) -> Result<std::unique_ptr<Step>> {
    auto size = ParseRejectLimit(options.node().text);
    if (!size)
      return Fail(Code::kJob, "not a sample: '{}'", options.node().text)
          .Hint("write how many rows, or up to 100%")
          .At(options.place());
    return std::make_unique<Sample>(*size);
  };
  return spec;
}

}  // namespace tranche

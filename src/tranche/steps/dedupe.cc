#include "tranche/steps/clause.h"
#include "tranche/steps/steps.h"

namespace tranche {
namespace {

class Dedupe final : public Step {
 public:
  Dedupe(std::vector<clause::Name> key, std::vector<clause::Order> order, bool last)
      : key_(std::move(key)), order_(std::move(order)), last_(last) {
    if (!last_) return;
    for (clause::Order& each : order_) each = clause::Reversed(std::move(each));
  }

  bool blocking() const override { return true; }
  Cardinality cardinality() const override { return Cardinality::kOther; }

  Result<StepOutput> Render(const Relation& input, const StepContext& context) const override {
    TRANCHE_ASSIGN(auto key, clause::FindAll(input, key_));
    TRANCHE_ASSIGN(SqlText order, clause::OrderBy(order_, context));
    if (!order_.empty()) order << ", ";
    order << clause::RowNumber() << (last_ ? " DESC" : "");
    SqlText select("SELECT ");
    select << clause::All(input) << " FROM " << clause::Numbered(input).from
           << " AS input QUALIFY row_number() OVER (PARTITION BY " << PartitionBy(input, key) << " ORDER BY "
           << order << ") = 1 ORDER BY " << clause::RowNumber();
    return StepOutput{.select = std::move(select), .hidden = input.hidden};
  }

 private:
  std::vector<clause::Name> key_;
  std::vector<clause::Order> order_;
  bool last_;
};

Shape DedupeForm() {
  return Shape::Object({
      {"key", Shape::ListOrOne(Shape::Column()),
       "Rows that are equal in these columns are the same; NULL equals NULL.", Field::kRequired},
      {"order", Shape::ListOrOne(Shape::Order()),
       "What is first and last. Without it, the order that the rows come in."},
      {"keep", Shape::Choice({"first", "last"}), "Which of the same rows stays.", "first"},
  });
}

}  // namespace

StepSpec DedupeStep() {
  StepSpec spec;
  spec.name = "dedupe";
  spec.summary = "Keeps one row of each key.";
  spec.doc =
      "`[key, …]` keeps the first row of each key in the order that the rows come in; the long form says "
      "which. Rows that "
      "stay keep their order. In an open group, each group is looked at alone.";
  spec.shape = Shape::OneOf({Shape::ListOrOne(Shape::Column()), DedupeForm()});
  spec.example =
      "dedupe:\n"
      "  key: [customer_id]\n"
      "  order: changed_at\n"
      "  keep: last\n";
  spec.make = [](const Options& options) -> Result<std::unique_ptr<Step>> {
    const Node& node = options.node();
    const bool lone = !node.is_map();
    auto key = clause::Names(lone ? node : *options.Raw("key"));
    if (key.empty()) return Fail(Code::kJob, "'dedupe' needs at least one column as key").At(node.place);
    std::vector<clause::Order> order;
    if (!lone && options.Has("order")) order = clause::ToOrders(*options.Raw("order"));
    return std::make_unique<Dedupe>(std::move(key), std::move(order),
                                    !lone && options.Text("keep") == "last");
  };
  return spec;
}

}  // namespace tranche

#include <algorithm>

#include "tranche/base/units.h"
#include "tranche/batch/cutter.h"
#include "tranche/steps/clause.h"
#include "tranche/steps/steps.h"

namespace tranche {
namespace {

struct Key {
  clause::Name left;
  clause::Name right;
};

std::string OfOther(std::string_view column) { return "other." + QuoteName(column); }

class Join final : public Step {
 public:
  Join(clause::Name with, std::vector<Key> keys, std::string how, bool one)
      : with_(std::move(with)), keys_(std::move(keys)), how_(std::move(how)), one_(one) {}

  bool blocking() const override { return false; }
  Cardinality cardinality() const override { return Cardinality::kOther; }
  std::vector<std::string> inputs() const override { return {with_.text}; }

  Result<StepOutput> Render(const Relation& input, const StepContext& context) const override {
    TRANCHE_ASSIGN(const Relation* other, FindInput(context));
    std::vector<clause::Name> names[2];
    for (const Key& key : keys_) {
      names[0].push_back(key.left);
      names[1].push_back(key.right);
    }
    TRANCHE_ASSIGN(auto left, clause::FindAll(input, names[0]));
    auto right = clause::FindAll(*other, names[1]);
    if (!right) return std::move(right).error().In(fmt::format("in '{}'", with_.text));
    TRANCHE_TRY(CheckTypes(input, left, *other, *right));
    const bool adds = how_ == "inner" || how_ == "left";
    StepOutput output{.select = {}, .hidden = input.hidden};
    if (adds) {
      TRANCHE_ASSIGN(output.select, Adding(input, left, *other, *right));
    } else {
      output.select = Testing(input, left, *other, *right);
    }
    if (one_) output.guards.push_back(OneMatch(*other, *right));
    return output;
  }

 private:
  Result<const Relation*> FindInput(const StepContext& context) const {
    auto found = context.inputs->find(with_.text);
    if (found != context.inputs->end()) return &found->second;
    std::vector<std::string> names;
    for (const auto& [name, relation] : *context.inputs) {
      if (!name.empty()) names.push_back(name);
    }
    Error error = Fail(Code::kJob, "no input '{}' to join with", with_.text);
    if (auto nearest = Nearest(with_.text, names); !nearest.empty()) {
      error.message += fmt::format("; did you mean '{}'?", nearest);
    }
    return std::move(error).Hint("name it under `collect:`").At(with_.place);
  }

  // Text against anything else would be cast row by row, and stop at the first row that does not fit.
  Status CheckTypes(const Relation& input, const std::vector<std::string>& left, const Relation& other,
                    const std::vector<std::string>& right) const {
    for (size_t i = 0; i < keys_.size(); ++i) {
      const std::string& type = FindColumn(input.columns, left[i])->type;
      const std::string& other_type = FindColumn(other.columns, right[i])->type;
      if ((type == "VARCHAR") != (other_type == "VARCHAR")) {
        return Fail(Code::kJob, "cannot join on '{}' ({}) and '{}' of '{}' ({})", left[i], type, right[i],
                    with_.text, other_type)
            .Hint("give them the same type, by `types` of the input or by `cast` before")
            .At(keys_[i].left.place);
      }
    }
    return {};
  }

  // The left rows with their keys. A refused row's keys are NULL: it matches nothing and passes.
  static SqlText Keyed(const Relation& input, const std::vector<std::string>& left) {
    if (!input.marked()) return input.from;
    SqlText from("(SELECT input.*");
    for (size_t i = 0; i < left.size(); ++i) {
      from << fmt::format(", CASE WHEN {} IS NULL THEN {} END AS __tranche_key_{}", clause::Of(kRejectColumn),
                          clause::Of(left[i]), i + 1);
    }
    from << " FROM " << input.from << " AS input)";
    return from;
  }

  static std::string Condition(const Relation& input, const std::vector<std::string>& left,
                               const std::vector<std::string>& right) {
    std::string condition;
    for (size_t i = 0; i < left.size(); ++i) {
      const std::string key =
          input.marked() ? fmt::format("input.__tranche_key_{}", i + 1) : clause::Of(left[i]);
      condition += fmt::format("{}{} = {}", i == 0 ? "" : " AND ", OfOther(right[i]), key);
    }
    return condition;
  }

  // inner, left
  Result<SqlText> Adding(const Relation& input, const std::vector<std::string>& left, const Relation& other,
                         const std::vector<std::string>& right) const {
    SqlText select("SELECT ");
    select << clause::All(input);
    std::vector<std::string> twice;
    for (const Column& column : other.columns) {
      if (std::ranges::find(right, column.name) != right.end()) continue;
      if (FindColumn(input.columns, column.name) != nullptr) twice.push_back(column.name);
      select << ", " << OfOther(column.name);
    }
    if (!twice.empty()) {
      return Fail(Code::kJob, "both sides of the join with '{}' have {}", with_.text, fmt::join(twice, ", "))
          .Hint(fmt::format("rename, drop or select columns in the `prepare` of '{}', or join on them too",
                            with_.text))
          .At(with_.place);
    }
    const bool marked_inner = how_ == "inner" && input.marked();
    select << " FROM " << Keyed(input, left) << " AS input "
           << (how_ == "inner" && !marked_inner ? "INNER" : "LEFT") << " JOIN ";
    if (marked_inner) {
      select << "(SELECT *, true AS __tranche_match FROM " << clause::Rows(other) << ")";
    } else {
      select << clause::Rows(other);
    }
    select << " AS other ON " << Condition(input, left, right);
    if (marked_inner)
      select << " WHERE other.__tranche_match OR " << clause::Of(kRejectColumn) << " IS NOT NULL";
    return select;
  }

  // semi, anti
  SqlText Testing(const Relation& input, const std::vector<std::string>& left, const Relation& other,
                  const std::vector<std::string>& right) const {
    SqlText select("SELECT ");
    select << clause::All(input) << " FROM " << Keyed(input, left) << " AS input WHERE ";
    if (input.marked()) select << clause::Of(kRejectColumn) << " IS NOT NULL OR ";
    select << (how_ == "anti" ? "NOT " : "") << "EXISTS (SELECT 1 FROM " << clause::Rows(other)
           << " AS other WHERE " << Condition(input, left, right) << ")";
    return select;
  }

  Guard OneMatch(const Relation& other, const std::vector<std::string>& right) const {
    std::string columns;
    std::string present;
    std::string shown;
    for (const std::string& name : right) {
      const std::string column = clause::Of(name);
      const bool first = &name == &right.front();
      columns += (first ? "" : ", ") + column;
      present += fmt::format("{}{} IS NOT NULL", first ? "" : " AND ", column);
      shown += fmt::format("{}{} || left(CAST({} AS VARCHAR), 200)", first ? "" : " || ",
                           QuoteText(fmt::format("{}{}=", first ? "" : ", ", name)), column);
    }
    Guard guard;
    guard.query << "SELECT 'key (' || " << shown << " || ') matches ' || count(*) || "
                << QuoteText(fmt::format(" rows of {}", with_.text)) << " FROM " << clause::Rows(other)
                << " AS input WHERE " << present << " GROUP BY " << columns
                << " HAVING count(*) > 1 ORDER BY count(*) DESC, " << columns << " LIMIT 3";
    guard.hint = fmt::format(
        "write `matches: many` to join with each of them, or `dedupe` in the `prepare` of '{}'", with_.text);
    guard.place = with_.place;
    return guard;
  }

  clause::Name with_;
  std::vector<Key> keys_;
  std::string how_;
  bool one_;
};

std::vector<Key> KeysOf(const Node& node) {
  std::vector<Key> keys;
  for (const clause::Name& name : clause::Names(node)) keys.push_back({name, name});
  for (const auto& [left, right] : node.entries)
    keys.push_back({{left.name, left.place}, {right.text, right.place}});
  return keys;
}

Result<std::unique_ptr<Step>> Make(const Options& options) {
  std::vector<Key> keys = KeysOf(*options.Raw("using"));
  if (keys.empty()) return Fail(Code::kJob, "'using' needs at least one column").At(options.PlaceOf("using"));
  std::string how = options.Text("how");
  const bool adds = how == "inner" || how == "left";
  if (!adds && options.Has("matches")) {
    return Fail(Code::kJob, "a {} join adds no rows: take `matches` away", how)
        .At(options.PlaceOf("matches"));
  }
  const bool one = adds && options.Text("matches") == "one";
  return std::make_unique<Join>(clause::Name{options.Text("with"), options.PlaceOf("with")}, std::move(keys),
                                std::move(how), one);
}

}  // namespace

StepSpec JoinStep() {
  StepSpec spec;
  spec.name = "join";
  spec.summary = "Adds the columns of another input, by a key.";
  spec.doc =
      "The columns of the rows that flow come first, then those of the other input without its key. A column "
      "of the same "
      "name on both sides is an error. A key that is NULL matches nothing.\n\n"
      "A join may not multiply rows unaware: with `matches: one`, a key that the other input has twice stops "
      "the run "
      "before it begins, and is shown. The order of the rows is not promised: `sort` after.";
  spec.shape = Shape::Object({
      {"with", Shape::Name(), "The other input.", Field::kRequired},
      {"using",
       Shape::OneOf({Shape::ListOrOne(Shape::Column()), Shape::Map(Shape::Column(), Shape::Column())}),
       "The key: columns of the same name on both sides, or `{ours: theirs}`.", Field::kRequired},
      {"how", Shape::Choice({"inner", "left", "semi", "anti"}),
       "`inner` drops rows without a match, `left` keeps them with NULLs; `semi` keeps rows that have a "
       "match and `anti` "
       "those that have none, without adding columns.",
       "inner"},
      {"matches", Shape::Choice({"one", "many"}), "How many rows of the other input a key may have.", "one"},
  });
  spec.example =
      "join:\n"
      "  with: airports\n"
      "  using: {dest: faa}\n"
      "  how: left\n";
  spec.make = Make;
  return spec;
}

}  // namespace tranche

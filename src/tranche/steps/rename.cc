#include <algorithm>
#include <cctype>

#include "tranche/steps/clause.h"
#include "tranche/steps/steps.h"

namespace tranche {
namespace {

constexpr std::string_view kSnakeCase = "snake_case";

// "Order ID" → order_id, camelCase → camel_case, HTTPServer → http_server. Letters beyond ASCII stay as they
// are.
std::string SnakeCase(std::string_view name) {
  auto at = [&](size_t i) {
    return i < name.size() ? static_cast<unsigned char>(name[i]) : static_cast<unsigned char>(0);
  };
  std::string snake;
  bool gap = false;
  for (size_t i = 0; i < name.size(); ++i) {
    const unsigned char c = at(i);
    const bool word = c >= 0x80 || std::isalnum(c) != 0;
    if (word && std::isupper(c) != 0 && i > 0) {
      const bool after_small =
          std::islower(at(i - 1)) != 0 || std::isdigit(at(i - 1)) != 0 || at(i - 1) >= 0x80;
      const bool last_of_capitals = std::isupper(at(i - 1)) != 0 && std::islower(at(i + 1)) != 0;
      gap = gap || after_small || last_of_capitals;
    }
    if (word) {
      if (gap && !snake.empty()) snake += '_';
      snake += static_cast<char>(c < 0x80 ? std::tolower(c) : c);
    }
    gap = !word;
  }
  return snake;
}

class RenameColumns final : public Step {
 public:
  struct Pair {
    clause::Name from;
    std::string to;
  };
  // No pairs: all columns, to snake case.
  RenameColumns(std::vector<Pair> pairs, Place place) : pairs_(std::move(pairs)), place_(std::move(place)) {}

  bool blocking() const override { return false; }

  Result<StepOutput> Render(const Relation& input, const StepContext&) const override {
    TRANCHE_ASSIGN(std::vector<Pair> pairs, PairsFor(input));
    std::vector<clause::Name> from;
    for (const Pair& pair : pairs) from.push_back(pair.from);
    TRANCHE_ASSIGN(std::vector<std::string> old_names, clause::FindAll(input, from));
    std::vector<Item> items;
    for (const Column& column : input.columns) {
      const auto old_name = std::ranges::find(old_names, column.name);
      if (old_name == old_names.end()) {
        TRANCHE_TRY(Add({.from = {column.name, place_}, .to = column.name}, column.name, items));
        continue;
      }
      const Pair& pair = pairs[old_name - old_names.begin()];
      if (pair.to != column.name)
        TRANCHE_TRY(clause::KeepGroup(input, {column.name, pair.from.place}, "rename"));
      TRANCHE_TRY(clause::CheckNewName({pair.to, pair.from.place}));
      TRANCHE_TRY(Add(pair, column.name, items));
    }
    return StepOutput{.select = Project(input, items), .hidden = input.hidden};
  }

 private:
  Result<std::vector<Pair>> PairsFor(const Relation& input) const {
    if (!pairs_.empty()) return pairs_;
    std::vector<Pair> pairs;
    for (const Column& column : input.columns) {
      pairs.push_back({.from = {column.name, place_}, .to = SnakeCase(column.name)});
      if (pairs.back().to.empty()) {
        return Fail(Code::kJob, "column '{}' has no letter or digit to make a snake_case name from",
                    column.name)
            .Hint("rename it by hand: `rename: {\"old\": new}`")
            .At(place_);
      }
    }
    return pairs;
  }

  static Status Add(const Pair& pair, const std::string& old_name, std::vector<Item>& items) {
    for (const Item& other : items) {
      if (clause::Same(other.name, pair.to)) {
        return Fail(Code::kJob, "two columns would be called '{}'; the second is '{}'", pair.to, old_name)
            .Hint("rename or drop one of them before")
            .At(pair.from.place);
      }
    }
    items.push_back(Plain(old_name, pair.to));
    return {};
  }

  std::vector<Pair> pairs_;
  Place place_;
};

}  // namespace

StepSpec RenameStep() {
  StepSpec spec;
  spec.name = "rename";
  spec.summary = "Gives columns other names.";
  spec.doc =
      "`{old: new}` renames the columns that it lists. `snake_case` renames all: `Order ID` becomes "
      "`order_id`, "
      "`unitPrice` becomes `unit_price`. Two columns of one name are an error.";
  spec.shape =
      Shape::OneOf({Shape::Choice({std::string(kSnakeCase)}), Shape::Map(Shape::Column(), Shape::Column())});
  spec.example =
      "rename:\n"
      "  Order ID: order_id\n"
      "  qty: quantity\n";
  spec.make = [](const Options& options) -> Result<std::unique_ptr<Step>> {
    std::vector<RenameColumns::Pair> pairs;
    for (const auto& [key, value] : options.node().entries)
      pairs.push_back({{key.name, key.place}, value.text});
    const bool map = options.node().is_map();
    if (map && pairs.empty())
      return Fail(Code::kJob, "'rename' needs at least one column").At(options.place());
    return std::make_unique<RenameColumns>(std::move(pairs), options.place());
  };
  return spec;
}

}  // namespace tranche

#include <algorithm>
#include <array>
#include <optional>

#include "tranche/batch/cutter.h"
#include "tranche/steps/clause.h"
#include "tranche/steps/steps.h"

namespace tranche {
namespace {

constexpr std::array<std::string_view, 5> kMethods = {"mean", "median", "mode", "previous", "linear"};

Shape Methods() { return Shape::Choice({kMethods.begin(), kMethods.end()}); }

// How one column is filled: by a constant or by a method.
struct Filling {
  clause::Name column;
  std::optional<clause::Name> constant;
  clause::Name method = {};
  std::vector<clause::Name> by = {};
  std::vector<clause::Order> order = {};
};

Shape FillForm() {
  return Shape::Object({
      {"value", Shape::Text(), "A constant; for one that looks like a method."},
      {"method", Methods(), "How the value is found."},
      {"by", Shape::ListOrOne(Shape::Column()), "Look only at rows that are equal in these columns."},
      {"order", Shape::ListOrOne(Shape::Order()),
       "For `previous`: what comes before what (else the order that the rows come in). For `linear`: one "
       "number, date or "
       "time along which values are drawn."},
  });
}

Result<Filling> ParseLongForm(clause::Name column, const Node& node) {
  const Shape shape = FillForm();
  const Options options(&shape, &node);
  Filling filling{.column = std::move(column), .constant = {}};
  const bool constant = options.Has("value");
  if (constant == options.Has("method")) {
    return Fail(Code::kJob, "'fill' needs either `value` or `method`").At(node.place);
  }
  if (options.Has("by")) filling.by = clause::Names(*options.Raw("by"));
  if (options.Has("order")) filling.order = clause::ToOrders(*options.Raw("order"));
  if (constant) {
    if (options.Has("by") || options.Has("order")) {
      return Fail(Code::kJob, "a constant needs neither `by` nor `order`").At(node.place);
    }
    filling.constant = {options.Text("value"), options.PlaceOf("value")};
    return filling;
  }
  filling.method = {options.Text("method"), options.PlaceOf("method")};
  const bool ordered = filling.method.text == "previous" || filling.method.text == "linear";
  if (!ordered && options.Has("order")) {
    return Fail(Code::kJob, "`order` is for `previous` and `linear`, not for `{}`", filling.method.text)
        .At(options.PlaceOf("order"));
  }
  return filling;
}

Result<Filling> ParseFilling(const Node::Key& key, const Node& value) {
  const clause::Name column{key.name, key.place};
  if (value.is_map()) return ParseLongForm(column, value);
  const clause::Name word{value.text, value.place};
  if (std::ranges::find(kMethods, word.text) == kMethods.end())
    return Filling{.column = column, .constant = word};
  return Filling{.column = column, .constant = {}, .method = word};
}

// The part of a column's rows that a filling looks at, as SQL finds it.
struct Frame {
  std::string partition;  // "PARTITION BY … " or ""
  SqlText order;          // of the rows, the last resort included
  std::string value;      // the column
};

std::string Partition(const Relation& input, const std::vector<std::string>& by) {
  const std::string columns = PartitionBy(input, by);
  return columns.empty() ? "" : fmt::format("PARTITION BY {} ", columns);
}

SqlText Previous(const Frame& frame) {
  SqlText text;
  text << "last_value(" << frame.value << " IGNORE NULLS) OVER (" << frame.partition << "ORDER BY "
       << frame.order << " ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW)";
  return text;
}

// Between the neighbours that have a value; NULL where one of them is missing. `key`: the order as a DOUBLE.
SqlText Interpolated(const Frame& frame, const SqlText& key) {
  auto nearest = [&](bool before, bool of_key) {
    SqlText text(before ? "last_value(" : "first_value(");
    text << "CASE WHEN " << frame.value << " IS NOT NULL AND " << key << " IS NOT NULL THEN ";
    if (of_key) {
      text << key;
    } else {
      text << "CAST(" << frame.value << " AS DOUBLE)";
    }
    text << " END IGNORE NULLS) OVER (" << frame.partition << "ORDER BY " << frame.order << " ROWS BETWEEN "
         << (before ? "UNBOUNDED PRECEDING AND CURRENT ROW)" : "CURRENT ROW AND UNBOUNDED FOLLOWING)");
    return text;
  };
  SqlText text;
  text << nearest(true, false) << " + (" << nearest(false, false) << " - " << nearest(true, false)
       << ") * coalesce((" << key << " - " << nearest(true, true) << ") / nullif(" << nearest(false, true)
       << " - " << nearest(true, true) << ", 0), 0)";
  return text;
}

class Fill final : public Step {
 public:
  explicit Fill(std::vector<Filling> fillings) : fillings_(std::move(fillings)) {}

  bool blocking() const override {
    return std::ranges::any_of(fillings_, [](const Filling& filling) { return !filling.constant; });
  }

  Result<StepOutput> Render(const Relation& input, const StepContext& context) const override {
    std::vector<Item> items;
    for (const Column& column : input.columns) items.push_back(Plain(column.name));
    for (const Filling& filling : fillings_) {
      TRANCHE_ASSIGN(Column column, clause::Find(input, filling.column));
      TRANCHE_TRY(clause::KeepGroup(input, filling.column, "fill"));
      Item item{.name = column.name};
      if (filling.constant) {
        TRANCHE_ASSIGN(item.expression, Constant(column, *filling.constant, context));
      } else {
        TRANCHE_ASSIGN(item.expression, ByMethod(input, column, filling, context));
      }
      auto old = std::ranges::find(items, column.name, &Item::name);
      *old = std::move(item);
    }
    return StepOutput{.select = clause::Project(input, items, blocking()), .hidden = input.hidden};
  }

 private:
  static Result<SqlText> Constant(const Column& column, const clause::Name& constant,
                                  const StepContext& context) {
    const std::string text = QuoteText(constant.text);
    std::string fits = fmt::format("TRY_CAST({} AS {}) IS NOT NULL", text, column.type);
    if (clause::IsInteger(column.type) || column.type.starts_with("DECIMAL(")) {  // a cast alone would round
      fits += fmt::format(" AND TRY_CAST({0} AS DOUBLE) = CAST(TRY_CAST({0} AS {1}) AS DOUBLE)", text,
                          column.type);
    }
    TRANCHE_ASSIGN(auto rows, context.engine->Select({SqlText("SELECT " + fits), context.parameters}));
    if (rows.empty() || rows[0].empty() || rows[0][0] != "true") {
      return Fail(Code::kJob, "'{}' is not a {}, which is the type of '{}'", constant.text, column.type,
                  column.name)
          .Hint("fill with a value of that type, or `cast` the column before")
          .At(constant.place);
    }
    return SqlText(fmt::format("coalesce({}, CAST({} AS {}))", clause::Of(column.name), text, column.type));
  }

  static Result<SqlText> ByMethod(const Relation& input, const Column& column, const Filling& filling,
                                  const StepContext& context) {
    const std::string& method = filling.method.text;
    const bool numbers_only = method == "mean" || method == "linear";
    if (numbers_only && !clause::IsNumber(column.type)) {
      return Fail(Code::kJob, "`{}` needs numbers; '{}' is {}", method, column.name, column.type)
          .Hint("use median, mode or previous, or `cast` the column before")
          .At(filling.method.place);
    }
    TRANCHE_ASSIGN(auto by, clause::FindAll(input, filling.by));
    TRANCHE_ASSIGN(SqlText order, clause::OrderBy(filling.order, context));
    if (!filling.order.empty()) order << ", ";
    order << clause::RowNumber();
    const Frame frame{Partition(input, by), std::move(order), clause::Of(column.name)};
    TRANCHE_ASSIGN(SqlText found, Found(input, column, filling, frame, context));
    // Whole numbers become fractions by `mean` and `linear`; every other column keeps its type.
    SqlText value;
    value << "coalesce(" << frame.value << ", ";
    if (numbers_only && clause::IsInteger(column.type)) {
      value << found << ")";
    } else {
      value << "CAST(" << found << " AS " << column.type << "))";
    }
    return value;
  }

  static Result<SqlText> Found(const Relation& input, const Column& column, const Filling& filling,
                               const Frame& frame, const StepContext& context) {
    const std::string& method = filling.method.text;
    auto window = [&](std::string_view function) {
      return SqlText(fmt::format("{} OVER ({})", function, frame.partition));
    };
    if (method == "mean") return window(fmt::format("avg({})", frame.value));
    // Of several that are equally frequent, the least.
    if (method == "mode") return window(fmt::format("mode({0} ORDER BY {0})", frame.value));
    if (method == "median") {
      const bool between = clause::IsNumber(column.type) && !clause::IsInteger(column.type);
      return window(between ? fmt::format("median({})", frame.value)
                            : fmt::format("quantile_disc({}, 0.5)", frame.value));
    }
    if (method == "previous") return Previous(frame);
    TRANCHE_ASSIGN(SqlText key, KeyOf(input, filling, context));
    return Interpolated(frame, key);
  }

  // The order of `linear` as a DOUBLE.
  static Result<SqlText> KeyOf(const Relation& input, const Filling& filling, const StepContext& context) {
    if (filling.order.size() != 1) {
      return Fail(Code::kJob,
                  "`linear` needs one `order`: a number, date or time along which values are drawn")
          .Hint(fmt::format("{}: {{method: linear, order: …}}", filling.column.text))
          .At(filling.method.place);
    }
    const Expression& expression = filling.order.front().expression;
    TRANCHE_ASSIGN(SqlText key, clause::Bracketed(expression, context));
    SqlText probe("SELECT ");
    probe << key << " AS key FROM " << clause::StubOf(input).from << " AS input";
    TRANCHE_ASSIGN(Columns columns, context.engine->Bind({probe, context.parameters}));
    const std::string& type = columns.front().type;
    const bool time = type == "DATE" || type.starts_with("TIMESTAMP");
    if (!time && !clause::IsNumber(type)) {
      return Fail(Code::kJob, "`linear` needs a number, date or time as order, not {}", type)
          .At(expression.source.place);
    }
    SqlText number(time ? "CAST(epoch_us(" : "CAST((");
    number << key << ") AS DOUBLE)";
    return number;
  }

  std::vector<Filling> fillings_;
};

}  // namespace

StepSpec FillStep() {
  StepSpec spec;
  spec.name = "fill";
  spec.summary = "Puts values where columns are NULL.";
  spec.doc =
      "A constant of the column's type, or a method that looks at the column's other rows:\n\n"
      "- `mean`: of numbers. A column of whole numbers becomes DOUBLE.\n"
      "- `median`: of fractions the middle of the two middle values, else the lower of them.\n"
      "- `mode`: the most frequent value; of several, the least.\n"
      "- `previous`: the last value before, in the order that the rows come in or by `order`.\n"
      "- `linear`: on the line between the values before and after, along `order`. NULL stays where one of "
      "them is "
      "missing. A column of whole numbers becomes DOUBLE.\n\n"
      "`{method, by, order}` looks only at rows that are equal in `by`; in an open group, only at the "
      "group's rows. "
      "`{value: mean}` is the word itself.";
  spec.shape = Shape::Map(Shape::Column(), Shape::OneOf({Methods(), Shape::Text(), FillForm()}));
  spec.example =
      "fill:\n"
      "  department: unknown\n"
      "  amount: {method: median, by: [department]}\n"
      "  price: {method: previous, by: [product], order: sold}\n";
  spec.make = [](const Options& options) -> Result<std::unique_ptr<Step>> {
    std::vector<Filling> fillings;
    for (const auto& [key, value] : options.node().entries) {
      TRANCHE_ASSIGN(Filling filling, ParseFilling(key, value));
      fillings.push_back(std::move(filling));
    }
    if (fillings.empty()) return Fail(Code::kJob, "'fill' needs at least one column").At(options.place());
    return std::make_unique<Fill>(std::move(fillings));
  };
  return spec;
}

}  // namespace tranche

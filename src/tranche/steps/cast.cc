#include <algorithm>

#include "tranche/batch/cutter.h"
#include "tranche/steps/clause.h"
#include "tranche/steps/steps.h"

namespace tranche {
namespace {

std::string Upper(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return text;
}

class Cast final : public Step {
 public:
  struct Target {
    clause::Name column;
    TypeName type;
  };
  explicit Cast(std::vector<Target> targets) : targets_(std::move(targets)) {}

  bool blocking() const override { return false; }

  // The casts are computed beside the old values, so that a mark can show what did not fit.
  Result<StepOutput> Render(const Relation& input, const StepContext& context) const override {
    std::vector<clause::Name> names;
    for (const Target& target : targets_) names.push_back(target.column);
    TRANCHE_ASSIGN(auto columns, clause::FindAll(input, names));
    SqlText casts;
    SqlText mark("CASE");
    if (input.marked()) mark << fmt::format(" WHEN {0} IS NOT NULL THEN {0}", clause::Of(kRejectColumn));
    for (size_t i = 0; i < targets_.size(); ++i) {
      TRANCHE_TRY(clause::KeepGroup(input, targets_[i].column, "cast"));
      const std::string cast = CastName(i);
      TRANCHE_ASSIGN(SqlText value,
                     CastOf(input, *FindColumn(input.columns, columns[i]), targets_[i].type, context));
      casts << ", " << value << " AS " << QuoteName(cast);
      mark << fmt::format(" WHEN {} IS NOT NULL AND {} IS NULL THEN ", clause::Of(columns[i]),
                          clause::Of(cast))
           << Mark(input, context.place, Reason(columns[i], targets_[i].type), QuoteText(columns[i]));
    }
    SqlText select("SELECT ");
    for (const Column& column : input.columns) {
      const size_t i = std::ranges::find(columns, column.name) - columns.begin();
      select << clause::Of(i < columns.size() ? CastName(i) : column.name) << " AS " << QuoteName(column.name)
             << ", ";
    }
    StepOutput output{.select = {}, .hidden = input.hidden};
    if (!input.marked()) output.hidden.emplace_back(kRejectColumn);
    for (const std::string& hidden : input.hidden) {
      if (hidden != kRejectColumn) select << clause::Of(hidden) << ", ";
    }
    select << mark << " END AS " << QuoteName(kRejectColumn) << " FROM (SELECT input.*" << casts << " FROM "
           << input.from << " AS input) AS input";
    output.select = std::move(select);
    return output;
  }

 private:
  static std::string CastName(size_t i) { return fmt::format("__tranche_cast_{}", i + 1); }

  static std::string Reason(const std::string& column, const TypeName& type) {
    std::string what = Upper(type.type);
    if (!type.format.empty()) what += " like " + type.format;
    return fmt::format("'\"' || left(CAST({} AS VARCHAR), 200) || {}", clause::Of(column),
                       QuoteText(fmt::format("\" is not a {}", what)));
  }

  static Result<SqlText> CastOf(const Relation& input, const Column& column, const TypeName& type,
                                const StepContext& context) {
    TRANCHE_TRY(context.engine->CheckExpression(
        {fmt::format("CAST(NULL AS {})", type.type), Node::Scalar("", type.place)}));
    const Expression words{type.type, Node::Scalar(type.type, type.place)};
    SqlText value("TRY_CAST(");
    if (type.format.empty()) {
      value << clause::Of(column.name);
    } else {
      if (column.type != "VARCHAR") {
        return Fail(Code::kJob, "a format reads text, and '{}' is {} already", column.name, column.type)
            .Hint("write the type without a format")
            .At(type.place);
      }
      if (!Upper(type.type).starts_with("DATE") && !Upper(type.type).starts_with("TIME")) {
        return Fail(Code::kJob, "a format is for dates and times, not for {}", Upper(type.type))
            .At(type.place);
      }
      const std::string format = QuoteText(type.format);
      auto valid =
          context.engine->Select({SqlText(fmt::format("SELECT try_strptime('', {})", format)), nullptr});
      if (!valid) return std::move(valid).error().At(type.place);
      value << "try_strptime(" << clause::Of(column.name) << ", " << format << ")";
    }
    value << " AS " << words << ")";
    if (input.marked()) {
      SqlText guarded("CASE WHEN ");
      guarded << clause::Of(kRejectColumn) << " IS NULL THEN " << value << " END";
      return guarded;
    }
    return value;
  }

  std::vector<Target> targets_;
};

}  // namespace

StepSpec CastStep() {
  StepSpec spec;
  spec.name = "cast";
  spec.summary = "Gives columns another type, and refuses rows whose values do not fit.";
  spec.doc =
      "A value that cannot be read as the type refuses its row: `\"12x\" is not a BIGINT`. NULL stays NULL. "
      "Text is read "
      "as dates and times by a format of strptime where one is given: `{sold: {timestamp: \"%d.%m.%Y "
      "%H:%M\"}}`. "
      "Fractions that are cast to whole numbers are rounded.";
  spec.shape = Shape::Map(Shape::Column(), Shape::Type());
  spec.example =
      "cast:\n"
      "  amount: decimal(12,2)\n"
      "  sold: {timestamp: \"%d.%m.%Y\"}\n";
  spec.make = [](const Options& options) -> Result<std::unique_ptr<Step>> {
    std::vector<Cast::Target> targets;
    for (const auto& [key, value] : options.node().entries)
      targets.push_back({{key.name, key.place}, ToType(value)});
    if (targets.empty()) return Fail(Code::kJob, "'cast' needs at least one column").At(options.place());
    return std::make_unique<Cast>(std::move(targets));
  };
  return spec;
}

}  // namespace tranche

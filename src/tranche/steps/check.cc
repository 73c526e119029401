#include <algorithm>

#include "tranche/batch/cutter.h"
#include "tranche/steps/clause.h"
#include "tranche/steps/steps.h"

namespace tranche {
namespace {

struct Rule {
  enum class Otherwise { kDefault, kReject, kWarn, kFail };
  std::string name;
  Expression that;
  Otherwise otherwise = Otherwise::kDefault;
  Place place;
};

Shape RuleForm() {
  return Shape::Object({
      {"that", Shape::Expression(), "What must not be false.", Field::kRequired},
      {"otherwise", Shape::Choice({"reject", "warn", "fail"}),
       "What happens if it is: the row is refused, a warning, or the run stops before the rows go on. "
       "Default: reject "
       "for a rule about a row, fail for a rule about all rows."},
  });
}

Rule ParseRule(const Node::Key& key, const Node& value) {
  Rule rule{.name = key.name, .that = {}, .place = key.place};
  if (!value.is_map()) {
    rule.that = ToExpression(value);
    return rule;
  }
  const Shape shape = RuleForm();
  const Options options(&shape, &value);
  rule.that = options.Sql("that");
  if (!options.Has("otherwise")) return rule;
  const std::string word = options.Text("otherwise");
  rule.otherwise = word == "reject" ? Rule::Otherwise::kReject
                   : word == "warn" ? Rule::Otherwise::kWarn
                                    : Rule::Otherwise::kFail;
  return rule;
}

// As people read it: on one line.
std::string Words(const Expression& expression) {
  std::string words;
  for (char c : expression.source.shown()) {
    const bool space = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (!space) {
      words += c;
    } else if (!words.empty() && words.back() != ' ') {
      words += ' ';
    }
  }
  if (words.ends_with(' ')) words.pop_back();
  return words;
}

class Check final : public Step {
 public:
  explicit Check(std::vector<Rule> rules) : rules_(std::move(rules)) {}

  bool blocking() const override { return std::ranges::any_of(rules_, clause::HasWindow, &Rule::that); }

  Result<StepOutput> Render(const Relation& input, const StepContext& context) const override {
    StepOutput output{.select = {}, .hidden = input.hidden};
    SqlText marks;
    for (const Rule& rule : rules_) {
      TRANCHE_ASSIGN(SqlText that, clause::Bracketed(rule.that, context));
      TRANCHE_ASSIGN(bool all_rows, SpeaksOfAllRows(input, rule, that, context));
      if (all_rows && rule.otherwise == Rule::Otherwise::kReject) {
        return Fail(Code::kJob, "check '{}' speaks of all rows and cannot reject one", rule.name)
            .Hint("write `otherwise: fail` or `otherwise: warn`")
            .At(rule.place);
      }
      if (all_rows || rule.otherwise >= Rule::Otherwise::kWarn) {
        output.guards.push_back(all_rows ? GuardAllRows(input, rule, that) : GuardEachRow(input, rule, that));
      } else {
        const std::string reason = fmt::format("breaks check '{}': {}", rule.name, Words(rule.that));
        marks << " WHEN NOT " << that << " THEN " << Mark(input, context.place, QuoteText(reason));
      }
    }
    if (marks.text().empty()) {
      output.select << "SELECT " << clause::All(input) << " FROM " << input.from << " AS input";
      return output;
    }
    Relation unmarked = input;
    std::erase(unmarked.hidden, kRejectColumn);
    output.select << "SELECT " << clause::All(unmarked) << ", CASE";
    if (input.marked())
      output.select << fmt::format(" WHEN {0} IS NOT NULL THEN {0}", clause::Of(kRejectColumn));
    output.select << marks << " END AS " << QuoteName(kRejectColumn) << " FROM "
                  << (blocking() ? clause::Numbered(input) : input).from << " AS input";
    if (blocking()) output.select << " ORDER BY " << clause::RowNumber();  // windows mix up the rows
    if (!input.marked()) output.hidden.emplace_back(kRejectColumn);
    return output;
  }

 private:
  // A rule with an aggregate function binds only where no column stands beside it.
  static Result<bool> SpeaksOfAllRows(const Relation& input, const Rule& rule, const SqlText& that,
                                      const StepContext& context) {
    const std::string from = fmt::format(" FROM {} AS input", clause::StubOf(input).from.text());
    SqlText beside("SELECT input.*, ");
    beside << that << " AS __tranche_that" << from;
    auto row = context.engine->Bind({beside, context.parameters});
    if (row) return false;
    SqlText alone("SELECT count(*), ");
    alone << that << " AS __tranche_that" << from;
    if (context.engine->Bind({alone, context.parameters})) return true;
    return std::move(row).error().Hint(fmt::format(
        "check '{}' speaks of a row, or by aggregate functions alone of all rows; beside a row, write "
        "`avg(amount) over ()`",
        rule.name));
  }

  static Guard Make(const Rule& rule, SqlText query) {
    Guard guard;
    guard.query = std::move(query);
    guard.warn = rule.otherwise == Rule::Otherwise::kWarn;
    guard.place = rule.place;
    return guard;
  }

  static Guard GuardEachRow(const Relation& input, const Rule& rule, const SqlText& that) {
    const std::string start = fmt::format("check '{}' failed for ", rule.name);
    const std::string end = fmt::format(": {}", Words(rule.that));
    SqlText query;
    query << "SELECT " << QuoteText(start)
          << " || count(*) || CASE WHEN count(*) = 1 THEN ' row' ELSE ' rows' END || " << QuoteText(end)
          << " FROM (SELECT input.*, ";
    if (input.marked()) query << "CASE WHEN " << clause::Of(kRejectColumn) << " IS NULL THEN ";
    query << that;
    if (input.marked()) query << " END";
    query << " AS __tranche_that FROM " << input.from
          << " AS input) AS input WHERE NOT input.__tranche_that HAVING count(*) > 0";
    return Make(rule, std::move(query));
  }

  // One message, or one for each open group that breaks the rule (the first twenty).
  static Guard GuardAllRows(const Relation& input, const Rule& rule, const SqlText& that) {
    const std::string groups = PartitionBy(input);
    std::string shown;
    for (const std::string& name : input.group) {
      if (FindColumn(input.columns, name) == nullptr) continue;
      shown +=
          fmt::format(" || {} || coalesce(left(CAST({} AS VARCHAR), 200), 'NULL')",
                      QuoteText(fmt::format("{}{}=", shown.empty() ? " (" : ", ", name)), clause::Of(name));
    }
    if (!shown.empty()) shown += " || ')'";
    SqlText query;
    query << "SELECT " << QuoteText(fmt::format("check '{}' failed", rule.name)) << shown << " || "
          << QuoteText(fmt::format(": {}", Words(rule.that))) << " FROM " << input.from << " AS input";
    if (input.marked()) query << " WHERE " << clause::Of(kRejectColumn) << " IS NULL";
    if (!groups.empty()) query << " GROUP BY " << groups;
    query << " HAVING NOT " << that;
    if (!groups.empty()) query << " ORDER BY " << groups << " LIMIT 20";
    return Make(rule, std::move(query));
  }

  std::vector<Rule> rules_;
};

}  // namespace

StepSpec CheckStep() {
  StepSpec spec;
  spec.name = "check";
  spec.summary = "Refuses rows that break a rule, or stops a run that does.";
  spec.doc =
      "A rule is an expression with a name. It is broken if it is false; NULL passes, as in SQL's CHECK. A "
      "row that breaks "
      "several is refused for the first.\n\n"
      "A rule of aggregate functions (`count(*) > 100`) speaks of all rows, in an open group of each group's "
      "rows. It "
      "cannot refuse a row: it stops the run, or warns. Such rules, and rules with `warn` or `fail`, are "
      "judged by a query "
      "of their own before the rows go on: their input is read once more.";
  spec.shape = Shape::Map(Shape::Name(), Shape::OneOf({Shape::Expression(), RuleForm()}));
  spec.example =
      "check:\n"
      "  paid: amount >= 0\n"
      "  known_unit: {that: \"unit in ('kg', 'l')\", otherwise: warn}\n"
      "  enough: {that: count(*) > 100, otherwise: fail}\n";
  spec.make = [](const Options& options) -> Result<std::unique_ptr<Step>> {
    std::vector<Rule> rules;
    for (const auto& [key, value] : options.node().entries) rules.push_back(ParseRule(key, value));
    if (rules.empty()) return Fail(Code::kJob, "'check' needs at least one rule").At(options.place());
    return std::make_unique<Check>(std::move(rules));
  };
  return spec;
}

}  // namespace tranche

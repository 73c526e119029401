#include "tranche/plan/chain.h"

#include <algorithm>

#include "tranche/batch/cutter.h"

namespace tranche {
namespace {

bool IsHidden(std::string_view name) { return name.starts_with(kHiddenPrefix); }

SqlText Parenthesised(const SqlText& select) {
  SqlText text("(");
  text << select << ")";
  return text;
}

SqlText SelectFrom(const Relation& relation, const SqlText& from) {
  SqlText select("SELECT ");
  std::string separator;
  for (const Column& column : relation.columns) {
    select << separator << QuoteName(column.name);
    separator = ", ";
  }
  for (const std::string& hidden : relation.hidden) {
    select << separator << QuoteName(hidden);
    separator = ", ";
  }
  select << " FROM " << from;
  return select;
}

}  // namespace

Relation RelationOver(Columns columns, std::vector<std::string> hidden, const SqlText& from) {
  Relation relation{.columns = std::move(columns), .hidden = std::move(hidden)};
  relation.from = Parenthesised(SelectFrom(relation, from));
  return relation;
}

Relation SealedRelation(const PlannedStage& stage) {
  std::vector<std::string> hidden;
  for (const std::string& name : stage.hidden) {
    if (name == kGroupColumn || IsPlace(name)) hidden.push_back(name);
  }
  return RelationOver(stage.columns, std::move(hidden), StageRelation(stage.name));
}

Error ReservedName(std::string_view column) {
  return Fail(Code::kJob, "column '{}': names that begin with {} are Tranche's own", column, kHiddenPrefix)
      .Hint("give it another name");
}

void Chain::Begin(Relation relation, std::vector<std::string> flow) {
  relation_ = std::move(relation);
  stage_.flow = std::move(flow);
}

void Chain::Inherit(const PlannedStage& part) {
  stage_.steps.insert(stage_.steps.end(), part.steps.begin(), part.steps.end());
  stage_.filters = stage_.filters || part.filters;
  stage_.folds = stage_.folds || part.folds;
  stage_.opaque = stage_.opaque || part.opaque;
  stage_.row_wise = stage_.row_wise && part.row_wise;
}

Relation Chain::StubOf(const Relation& relation) const {
  Relation stub = relation;
  Columns columns = relation.columns;
  for (const std::string& hidden : relation.hidden) columns.push_back({hidden, HiddenType(hidden)});
  stub.from = Stub(columns);
  return stub;
}

// Renders once over a stub to learn the columns, and once over the rows.
Status Chain::Wrap(std::string origin, const std::function<Result<StepOutput>(const Relation&)>& render) {
  TRANCHE_ASSIGN(StepOutput stub, render(StubOf(relation_)));
  TRANCHE_ASSIGN(Columns bound, engine_.Bind({stub.select, &job_.values}));
  TRANCHE_ASSIGN(StepOutput output, render(relation_));
  Relation next;
  next.from = Parenthesised(output.select);
  for (Column& column : bound) {
    if (IsHidden(column.name)) {
      if (!relation_.Hides(column.name) &&
          std::ranges::find(output.hidden, column.name) == output.hidden.end()) {
        return ReservedName(column.name);
      }
      next.hidden.push_back(std::move(column.name));
    } else {
      next.columns.push_back(std::move(column));
    }
  }
  if (!output.ends_group) {
    next.group = relation_.group;
  } else if (next.Hides(kGroupColumn)) {
    std::erase(next.hidden, kGroupColumn);
    next.from = Parenthesised(SelectFrom(next, next.from));
  }
  for (Guard& guard : output.guards) stage_.guards.push_back(std::move(guard));
  stage_.steps.push_back({std::move(origin), output.select, relation_.columns});
  relation_ = std::move(next);
  return {};
}

Status Chain::Add(const StepItem& item) {
  auto fail = [&](Error error) { return std::move(error).At(item.place); };
  Options options(&item.spec->shape, &item.value);
  auto made = item.spec->make(options);
  if (!made) return fail(std::move(made).error());
  const std::unique_ptr<Step> step = *std::move(made);
  if (step->blocking() && relation_.marked()) {
    Seal(fmt::format("{} needs all rows that the steps before it did not refuse", item.origin));
  }
  std::map<std::string, Relation> stubs;
  for (const auto& [name, relation] : inputs_) stubs[name] = StubOf(relation);
  StepContext context{
      .place = item.origin, .inputs = &stubs, .engine = &engine_, .parameters = &job_.values, .seed = seed_};
  const size_t guards_before = stage_.guards.size();
  const bool had_count = relation_.Hides(kRowsColumn);
  Status wrapped = Wrap(item.origin, [&](const Relation& input) {
    auto output = step->Render(input, context);
    context.inputs = &inputs_;  // Wrap renders over stubs first, then over the rows
    return output;
  });
  if (!wrapped) return fail(std::move(wrapped).error());
  const bool keeps_rows =
      step->cardinality() == Step::Cardinality::kSame || step->cardinality() == Step::Cardinality::kFilters;
  if (step->blocking() || !keeps_rows) stage_.row_wise = false;
  switch (step->cardinality()) {
    case Step::Cardinality::kSame:
      break;
    case Step::Cardinality::kFilters:
      stage_.filters = true;
      if (had_count) stage_.opaque = true;  // the count of folded rows went with the filtered ones
      break;
    case Step::Cardinality::kFolds:
      stage_.folds = true;
      break;
    case Step::Cardinality::kOther:
      stage_.opaque = true;
      break;
  }
  const bool looks_after = std::any_of(stage_.guards.begin() + guards_before, stage_.guards.end(),
                                       [](const Guard& guard) { return guard.when == Guard::When::kAfter; });
  if (looks_after) Seal(fmt::format("{} is judged on all rows before they go on", item.origin));
  return {};
}

namespace {

// The start of the window that a row's time falls into, in the time zone of the window.
//
// Days and weeks are calendar days of the zone: 23 or 25 hours long where the clock changes. Shorter windows
// are instants: the hour that a clock shows twice is two windows. A time without zone is taken as UTC if a
// zone is asked for.
std::string WindowStart(const Window& window, const Column& column) {
  const std::string name = QuoteName(column.name);
  const std::string width = window.days > 0
                                ? fmt::format("to_days({})", window.days)
                                : fmt::format("to_microseconds({})", window.length.count() / 1000);
  const bool has_zone = column.type == "TIMESTAMP WITH TIME ZONE";
  if (!has_zone && window.zone == "UTC") {
    return fmt::format("time_bucket({}, {}::TIMESTAMP)", width, name);
  }
  const std::string zone = QuoteText(window.zone);
  const std::string instant = has_zone ? name : fmt::format("({}::TIMESTAMP AT TIME ZONE 'UTC')", name);
  const std::string local = fmt::format("({} AT TIME ZONE {})", instant, zone);
  const std::string bucket = fmt::format("time_bucket({}, {})", width, local);
  if (window.days > 0) return fmt::format("({} AT TIME ZONE {})", bucket, zone);
  return fmt::format("({} - ({} - {}))", instant, local, bucket);
}

Result<Item> WindowItem(const Window& window, const Relation& input) {
  const Column* column = FindColumn(input.columns, window.time);
  if (column == nullptr) return NoColumn(window.time, input.columns, window.place);
  const bool is_time = column->type.starts_with("TIMESTAMP") || column->type == "DATE";
  if (!is_time) {
    return Fail(Code::kJob, "'window' needs a time; column '{}' is {}", column->name, column->type)
        .Hint("give the input's column the type timestamp, or cast it before")
        .At(window.place);
  }
  if (FindColumn(input.columns, window.as) != nullptr) {
    return Fail(Code::kJob, "there is already a column '{}'", window.as)
        .Hint("choose another name with `as` in 'window'")
        .At(window.place);
  }
  return Item{.name = window.as, .expression = SqlText(WindowStart(window, *column))};
}

}  // namespace

Status Chain::OpenGroup(const Group& group) {
  std::vector<std::string> names;
  for (const std::string& name : group.by) {
    const Column* column = FindColumn(relation_.columns, name);
    if (column == nullptr) return NoColumn(name, relation_.columns, group.place);
    names.push_back(column->name);
  }
  if (group.window) {
    const SqlText probe(
        fmt::format("SELECT TIMESTAMP '2000-01-01' AT TIME ZONE {}", QuoteText(group.window->zone)));
    if (auto known = engine_.Select({probe, nullptr}); !known) {
      return Error{Code::kJob, known.error().message}
          .Hint("as in zone: Europe/Berlin")
          .At(group.window->zone_place);
    }
  }
  if (group.rows && relation_.marked()) Seal("`group: {rows: …}` counts the rows that were not refused");
  if (group.window || group.rows) {
    if (group.window) names.push_back(group.window->as);
    if (group.rows) names.emplace_back(kGroupColumn);
    Status wrapped = Wrap("group", [&](const Relation& input) -> Result<StepOutput> {
      std::vector<Item> items;
      for (const Column& column : input.columns) items.push_back(Plain(column.name));
      if (group.window) {
        TRANCHE_ASSIGN(Item item, WindowItem(*group.window, input));
        items.push_back(std::move(item));
      }
      if (group.rows) {
        items.push_back(
            {.name = std::string(kGroupColumn),
             .expression = SqlText(fmt::format("(row_number() OVER () - 1) // {}", *group.rows))});
      }
      std::vector<std::string> hidden = input.hidden;
      if (group.rows) hidden.emplace_back(kGroupColumn);
      return StepOutput{.select = Project(input, items), .hidden = std::move(hidden)};
    });
    if (!wrapped) return std::move(wrapped).error().At(group.window ? group.window->place : group.place);
  }
  relation_.group = std::move(names);
  return {};
}

Status Chain::KeepGroups() {
  if (relation_.group.empty()) return {};
  if (relation_.Hides(kGroupColumn)) return {};  // rows: N, numbered already and in order
  if (relation_.marked()) Seal("rows are put in order by group once the refused ones are out");
  TRANCHE_TRY(Wrap("group", [](const Relation& input) -> Result<StepOutput> {
    std::vector<Item> items;
    for (const Column& column : input.columns) items.push_back(Plain(column.name));
    std::string order;
    for (const std::string& name : input.group) order += (order.empty() ? "" : ", ") + QuoteName(name);
    items.push_back({.name = std::string(kGroupColumn),
                     .expression = SqlText(fmt::format("dense_rank() OVER (ORDER BY {})", order))});
    StepOutput output{.select = Project(input, items), .hidden = input.hidden};
    output.hidden.emplace_back(kGroupColumn);
    output.select << fmt::format(" ORDER BY {}", QuoteName(kGroupColumn));
    return output;
  }));
  return {};
}

std::string Chain::Seal(std::string why) {
  stage_.why_ends = std::move(why);
  stage_.columns = relation_.columns;
  stage_.hidden = relation_.hidden;
  stage_.query << "SELECT * FROM " << relation_.from;
  plan_.stages.push_back(std::move(stage_));
  const PlannedStage& sealed = plan_.stages.back();
  stage_ = PlannedStage{};
  stage_.name = fmt::format("{} {}", name_, ++sealed_ + 1);
  stage_.flow = {sealed.name};
  auto group = relation_.group;
  relation_ = SealedRelation(sealed);
  relation_.group = std::move(group);
  return sealed.name;
}

}  // namespace tranche

// A job that runs once for each table: `${table}`, and what it may stand in. The names come from a database,
// so they are as hostile as its rows.
#include <algorithm>
#include <array>
#include <cctype>
#include <utility>

#include "tranche/job/loader.h"
#include "tranche/job/words.h"

namespace tranche {
namespace {

constexpr auto kTargets = std::to_array<std::string_view>({"path", "url", "schema", "table"});
constexpr auto kTexts =
    std::to_array<std::string_view>({"url", "before", "after"});  // parts of which mean more

bool IsWord(std::string_view name) {
  return !name.empty() &&
         std::ranges::all_of(name, [](unsigned char c) { return std::isalnum(c) || c == '_'; });
}

// Where ${table} stands within a value; nothing where it does not.
const Node* FindReference(const Node& node) {
  if (node.is_scalar()) {
    const bool there =
        node.text.find("${table}") != std::string::npos || node.text.find("${table:-") != std::string::npos;
    return there ? &node : nullptr;
  }
  for (const Node& item : node.items) {
    if (const Node* found = FindReference(item)) return found;
  }
  for (const auto& [key, value] : node.entries) {
    if (const Node* found = FindReference(value)) return found;
  }
  return nullptr;
}

template <typename Spec>
const Node* OptionsIn(const Node& node, const std::vector<Spec>& specs) {
  for (const auto& [key, value] : node.entries) {
    if (std::ranges::find(specs, key.name, &Spec::name) != specs.end()) return &value;
  }
  return nullptr;
}

void Put(Node& map, std::string_view key, const std::string& text, const Place& place) {
  for (auto& [known, value] : map.entries) {
    if (known.name != key) continue;
    value = Node::Scalar(text, place);
    return;
  }
  map.entries.push_back({{std::string(key), place}, Node::Scalar(text, place)});
}

bool HasField(const Shape& shape, std::string_view name) {
  return std::ranges::find(shape.fields, name, &Field::name) != shape.fields.end();
}

}  // namespace

// Before anything is put in: from here on ${table} is known, or it is not.
void Loader::FindTables(const Node* collect) {
  if (collect == nullptr) return;
  for (const auto& [name, input] : collect->entries) {
    for (const auto& [key, value] : input.entries) {
      const SourceSpec* spec = context_.registry->FindSource(key.name);
      const Node* table = spec && spec->tables ? value.Find("table") : nullptr;
      if (table == nullptr || !TableList::IsMany(*table)) continue;
      if (many_) {
        Report(Fail(Code::kJob, "two inputs have several tables, '{}' and '{}'", many_->input, name.name)
                   .Hint("the job runs once for each table of one input: give the other a job of its own"),
               table->place);
        continue;
      }
      many_ = Many{.input = name.name, .written = *table};
      if (const Node* place = FindReference(value)) {
        Report(Fail(Code::kJob, "${{table}} stands in the options of the input that it comes from"),
               place->place);
      }
    }
  }
  if (many_) values_.DeclareTable(many_->written.place);
}

// The input reads the table of this run; where none is named yet, it stands for all of them.
bool Loader::TakeTables(Input& input) {
  const bool splits = HasField(input.spec->shape, "schema") && input.value.Find("schema") == nullptr;
  auto list = TableList::Make(many_->written, *input.value.Find("table"), splits);
  if (!list) return Report(std::move(list).error(), many_->written.place);
  list->input = input.name;
  const auto chosen = values_.parameters().find(kTableParameter);
  std::string name = list->entries.front().text;
  if (chosen != values_.parameters().end()) {
    name = chosen->second;
    if (!list->Matches(name)) {
      Report(Fail(Code::kJob, "table '{}' is none of those that input '{}' reads", name, input.name)
                 .Hint("name one that stands here, or that a pattern here matches"),
             list->place);
    }
    if (splits && list->schema.empty() && name.find('.') != std::string::npos) {
      Report(Fail(Code::kJob, "table '{}' has a dot in its name", name)
                 .Hint("write schema: beside `table`; the names are then taken as they are"),
             list->place);
    }
  }
  Put(input.value, "table", name, list->place);
  if (!list->schema.empty()) Put(input.value, "schema", list->schema, list->place);
  job_.tables = *std::move(list);
  return true;
}

// `node`: an input or a store, before anything is put in.
template <typename Spec>
Loader::TableUses Loader::UsesOf(const Node& node, const std::vector<Spec>& specs) const {
  TableUses uses;
  const Node* options = many_ ? OptionsIn(node, specs) : nullptr;
  if (options == nullptr) return uses;
  auto find = [&](std::string_view field) {
    const Node* value = options->Find(field);
    return value ? FindReference(*value) : nullptr;
  };
  for (const std::string_view field : kTargets) uses.target = uses.target || find(field) != nullptr;
  for (const std::string_view field : kTexts) {
    if (const Node* found = find(field)) uses.text = {std::string(field), found->place};
  }
  if (const Node* found = find("table")) uses.table = found->place;
  if (const Node* found = find("path")) uses.path = found->place;
  return uses;
}
template Loader::TableUses Loader::UsesOf(const Node&, const std::vector<SourceSpec>&) const;
template Loader::TableUses Loader::UsesOf(const Node&, const std::vector<SinkSpec>&) const;

// A name must not come to mean something else where it is put in.
void Loader::CheckUses(const TableUses& uses, const Shape& shape, const Node& options, bool input) {
  const auto chosen = values_.parameters().find(kTableParameter);
  if (!many_ || chosen == values_.parameters().end()) return;
  const std::string& name = chosen->second;
  if (uses.table.known() && HasField(shape, "schema") && options.Find("schema") == nullptr &&
      name.find('.') != std::string::npos) {
    Report(
        Fail(Code::kJob, "table '{}' has a dot in its name, and here a dot ends the name of a schema", name)
            .Hint("write schema: beside `table`; the name is then taken as it is"),
        uses.table);
  }
  if (uses.text.second.known() && !IsWord(name)) {
    Report(Fail(Code::kJob, "table '{}' cannot stand in '{}': it is put in as text", name, uses.text.first)
               .Hint("only names of letters, digits and _ can"),
           uses.text.second);
  }
  if (input && uses.path.known() && name.find_first_of("*?[\\") != std::string::npos) {
    Report(Fail(Code::kJob, "table '{}' would be a pattern of files here", name), uses.path);
  }
}

// What one table has stored, the next would take away.
void Loader::CheckReplace(const TableUses& uses, const Store& store) {
  if (!many_ || uses.target || store.mode() != "replace") return;
  const char* field = HasField(store.spec->shape, "table") ? "table" : "path";
  Report(Fail(Code::kJob, "store '{}' is the same for every table, and each would replace the one before",
              store.name)
             .Hint(fmt::format("put ${{table}} into its `{}`", field)),
         store.place);
}

}  // namespace tranche

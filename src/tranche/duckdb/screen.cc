#include "tranche/duckdb/screen.h"

#include <algorithm>
#include <array>
#include <cctype>

#include <nlohmann/json.hpp>

#include "tranche/duckdb/answers.h"

namespace tranche::duckdb {

namespace {

using Json = nlohmann::json;

// Functions in FROM read files, settings and catalogs, but for these.
constexpr std::array kTableFunctions = {"unnest", "range", "generate_series"};
// Of the scalar functions these look beyond their arguments, or leave something behind.
constexpr std::array kRefusedFunctions = {"current_setting",
                                          "getvariable",
                                          "getenv",
                                          "current_query",
                                          "json_serialize_plan",
                                          "json_execute_serialized_sql",
                                          "nextval",
                                          "currval",
                                          "setseed",
                                          "write_log"};

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return lower;
}

bool IsName(std::string_view text) {
  auto part = [](unsigned char c) { return std::isalnum(c) || c == '_'; };
  return !text.empty() && !std::isdigit(static_cast<unsigned char>(text[0])) &&
         std::ranges::all_of(text, part);
}

bool Blank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == std::string_view::npos; }

std::string Text(const Json& node, const char* key) {
  auto found = node.find(key);
  return found != node.end() && found->is_string() ? found->get<std::string>() : "";
}

// The statements of the user's text between `before` and `after`, as DuckDB's parser sees them.
Result<Json> Parse(Session& session, const Expression& users, std::string_view before,
                   std::string_view after) {
  SqlText text(before);
  text << users << after;
  Command command{"SELECT json_serialize_sql($1::VARCHAR)"};
  TRANCHE_ASSIGN(Prepared statement, session.Prepare(command));
  TRANCHE_TRY(session.Bind(statement, {Value{.text = text.text()}}, command));
  TRANCHE_ASSIGN(Answer answer, session.Run(statement, command));
  TRANCHE_ASSIGN(auto rows, TextRows(session, answer, command));
  Json tree = Json::parse(rows.at(0).at(0).value_or(""), nullptr, /*allow_exceptions=*/false);
  if (!tree.is_object()) return Fail(Code::kInternal, "DuckDB gave no syntax tree");
  if (!tree.value("error", false)) return tree.value("statements", Json::array());
  if (Text(tree, "error_message").starts_with("Only SELECT statements")) {
    return Fail(Code::kJob, "only a SELECT can stand here").At(users.source.At(0));
  }
  return Translate(Fault::OfParser(Text(tree, "error_message"), Text(tree, "position")), {text.text(), text});
}

class Walk {
 public:
  Walk(const Expression& users, size_t offset, bool one_value)
      : users_(users), offset_(offset), one_value_(one_value) {}

  Status Visit(const Json& node) {
    if (node.is_array()) {
      for (const Json& item : node) TRANCHE_TRY(Visit(item));
    }
    if (!node.is_object()) return {};
    TRANCHE_TRY(Judge(node));
    size_t outer_ctes = ctes_.size();
    bool outer_one_value = one_value_;
    if (Text(node, "class") == "SUBQUERY") one_value_ = false;
    if (auto ctes = node.find("cte_map"); ctes != node.end()) TRANCHE_TRY(VisitCtes(*ctes));
    for (const auto& [key, child] : node.items()) {
      if (key != "cte_map") TRANCHE_TRY(Visit(child));
    }
    ctes_.resize(outer_ctes);
    one_value_ = outer_one_value;
    return {};
  }

  std::vector<std::string> TakeTables() { return std::move(tables_); }

 private:
  // A CTE sees those before it, and itself where it is recursive.
  Status VisitCtes(const Json& cte_map) {
    for (const Json& entry : cte_map.value("map", Json::array())) {
      std::string name = Lower(Text(entry, "key"));
      bool recursive = entry.value("/value/query/node/type"_json_pointer, "") == "RECURSIVE_CTE_NODE";
      if (recursive) ctes_.push_back(name);
      TRANCHE_TRY(Visit(entry));
      if (!recursive) ctes_.push_back(name);
    }
    return {};
  }

  Status Judge(const Json& node) {
    std::string kind = Text(node, "class");
    std::string type = Text(node, "type");
    if (kind == "FUNCTION" || kind == "WINDOW") return JudgeFunction(node);
    if (kind == "STAR" && one_value_)
      return Refuse(node, "an expression has one value, '*' and COLUMNS have many");
    if (kind == "PARAMETER" && !IsName(Text(node, "identifier"))) {
      return Refuse(node, "'?' and '$1' cannot be used here; write ${name} for a parameter");
    }
    if (type == "TABLE_FUNCTION") return JudgeTableFunction(node);
    if (type == "BASE_TABLE") return JudgeTable(node);
    if (type == "SHOW_REF") return Refuse(node, "only a SELECT can stand here");
    return {};
  }

  Status JudgeFunction(const Json& node) {
    std::string name = Text(node, "function_name");
    if (std::ranges::find(kRefusedFunctions, Lower(name)) == kRefusedFunctions.end()) return {};
    return Refuse(node, fmt::format("the function '{}' cannot be used in a job", name));
  }

  Status JudgeTableFunction(const Json& node) {
    auto function = node.find("function");
    std::string name = function != node.end() ? Text(*function, "function_name") : "";
    if (std::ranges::find(kTableFunctions, Lower(name)) != kTableFunctions.end()) return {};
    return Refuse(
        node,
        fmt::format("the function '{}' cannot be read from; name files and tables under `collect:`", name));
  }

  Status JudgeTable(const Json& node) {
    std::string name = Text(node, "table_name");
    if (!Text(node, "schema_name").empty() || !Text(node, "catalog_name").empty()) {
      return Refuse(node, fmt::format("'{}' stands in another database; name it under `collect:`", name));
    }
    if (std::ranges::find(ctes_, Lower(name)) != ctes_.end()) return {};
    if (!IsName(name))
      return Refuse(node, fmt::format("'{}' is not an input; name files under `collect:`", name));
    auto same = [&](const std::string& known) { return Lower(known) == Lower(name); };
    if (std::ranges::none_of(tables_, same)) tables_.push_back(std::move(name));
    return {};
  }

  Error Refuse(const Json& node, std::string message) const {
    auto location = node.find("query_location");
    size_t at = location != node.end() && location->is_number_unsigned() ? location->get<size_t>() : 0;
    bool inside = at >= offset_ && at - offset_ < users_.text.size();
    return Error{Code::kJob, std::move(message)}.At(users_.source.At(inside ? at - offset_ : 0));
  }

  const Expression& users_;
  size_t offset_;
  bool one_value_;  // a list of columns is refused: we stand in an expression, outside of any subquery
  std::vector<std::string> ctes_;  // those in sight, in lower case
  std::vector<std::string> tables_;
};

void DropLocations(Json& node) {
  if (!node.is_structured()) return;
  if (node.is_object()) node.erase("query_location");
  for (Json& child : node) DropLocations(child);
}

// The only item of the only statement's select list; null where there are several or none.
Json OnlyItem(const Json& statements) {
  if (statements.size() != 1) return nullptr;
  Json items = statements[0].value("/node/select_list"_json_pointer, Json::array());
  return items.size() == 1 ? items[0] : Json();
}

// A word that is the only reason why `expression` does not parse: in double quotes it is a column's name.
std::string KeywordIn(Session& session, const Expression& expression, std::string_view before) {
  const std::string& text = expression.text;
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    while (end < text.size() && (std::isalnum(static_cast<unsigned char>(text[end])) || text[end] == '_'))
      ++end;
    const std::string word = text.substr(at, end - at);
    if (word.empty()) {
      ++at;
      continue;
    }
    const Expression quoted{.text = text.substr(0, at) + '"' + word + '"' + text.substr(end),
                            .source = expression.source};
    if (!std::isdigit(static_cast<unsigned char>(word[0])) && Parse(session, quoted, before, "\n"))
      return word;
    at = end;
  }
  return "";
}

}  // namespace

Status ScreenExpression(Session& session, const Expression& expression) {
  if (Blank(expression.text)) return Fail(Code::kJob, "an expression is missing").At(expression.source.At(0));
  // Bare, a stray parenthesis shows; in parentheses, whatever follows an expression in a SELECT.
  constexpr std::string_view kSelect = "SELECT ";
  auto parsed = Parse(session, expression, kSelect, "\n");
  if (!parsed) {
    const std::string keyword = KeywordIn(session, expression, kSelect);
    if (keyword.empty()) return std::move(parsed).error();
    return std::move(parsed).error().Hint(
        fmt::format("'{0}' is a word of SQL: a column of that name is written \"{0}\"", keyword));
  }
  const Json bare = *std::move(parsed);
  TRANCHE_ASSIGN(Json closed, Parse(session, expression, "SELECT (", "\n)"));
  Json item = OnlyItem(bare);
  Json same = OnlyItem(closed);
  DropLocations(item);
  DropLocations(same);
  if (item.is_null() || item != same) {
    return Fail(Code::kJob, "one expression can stand here, not a list").At(expression.source.At(0));
  }
  Walk walk(expression, kSelect.size(), /*one_value=*/true);
  TRANCHE_TRY(walk.Visit(OnlyItem(bare)));
  if (const auto tables = walk.TakeTables(); !tables.empty()) {
    return Fail(Code::kJob, "an expression cannot read from '{}'", tables.front())
        .Hint("use `join`, or `sql` for a whole SELECT")
        .At(expression.source.At(0));
  }
  return {};
}

Result<std::vector<std::string>> ScreenSelect(Session& session, const Expression& users) {
  Expression select = users;  // it may end in a semicolon, as in a file
  select.text.resize(select.text.find_last_not_of(" \t\r\n;") + 1);
  if (Blank(select.text)) return Fail(Code::kJob, "a SELECT is missing").At(select.source.At(0));
  TRANCHE_ASSIGN(Json bare, Parse(session, select, "", "\n"));
  if (bare.size() > 1)
    return Fail(Code::kJob, "one SELECT can stand here, not several").At(select.source.At(0));
  TRANCHE_TRY(Parse(session, select, "SELECT * FROM (", "\n)"));  // refuses a semicolon
  Walk walk(select, 0, /*one_value=*/false);
  TRANCHE_TRY(walk.Visit(bare));
  return walk.TakeTables();
}

}  // namespace tranche::duckdb

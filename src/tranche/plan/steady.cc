#include "tranche/plan/steady.h"

#include <algorithm>
#include <cctype>

#include "tranche/batch/cutter.h"
#include "tranche/connector/sql_state.h"

namespace tranche {
namespace {

// Words of SQL that do not stand within quotes, in lower case. A function may: "random"().
std::set<std::string> WordsOf(std::string_view sql) {
  std::set<std::string> words;
  std::string word;
  char last = ' ';  // that is no blank
  SqlState state(sql);
  for (size_t i = 0; i < sql.size(); i = state.Step(i)) {
    const auto c = static_cast<unsigned char>(sql[i]);
    if (state.in() == SqlState::In::kCode && (std::isalnum(c) || c == '_')) {
      word += static_cast<char>(std::tolower(c));
    } else if (!word.empty()) {
      words.insert(std::exchange(word, ""));
    }
    if (c == '(' && last == '"' && state.in() == SqlState::In::kCode)
      words.insert("over");  // it may be anything
    if (!std::isspace(c)) last = sql[i];
  }
  words.insert(word);
  return words;
}

// Clauses that look at more than one row.
const std::set<std::string> kOfManyRows{"over", "qualify", "order", "limit", "tablesample"};

bool HasOneOf(const std::set<std::string>& words, const std::set<std::string>& wanted) {
  return std::ranges::any_of(words, [&](const std::string& word) { return wanted.contains(word); });
}

}  // namespace

bool TakesRowsAsTheyCome(const PlannedStage& stage) {
  return stage.row_wise && stage.inputs.size() == 1 && stage.guards.empty() &&
         !HasOneOf(WordsOf(stage.query.text()), kOfManyRows);
}

bool IsSteady(const PlannedStage& stage, const Job& job, const Engine& engine) {
  return TakesRowsAsTheyCome(stage) && job.FindInput(stage.inputs.front())->spec->files &&
         !HasOneOf(WordsOf(stage.query.text()), engine.MoodyWords());
}

}  // namespace tranche

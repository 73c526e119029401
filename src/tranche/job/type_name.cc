#include "tranche/job/type_name.h"

#include <algorithm>
#include <vector>

#include "tranche/base/units.h"

namespace tranche {
namespace {

constexpr int kDepth = 16;
const std::vector<std::string>& Names() {
  static const std::vector<std::string> kNames = {
      "bigint",      "binary",       "bit",          "blob",        "bool",      "boolean", "bytea",
      "char",        "date",         "datetime",     "dec",         "decimal",   "double",  "float",
      "float4",      "float8",       "hugeint",      "int",         "int1",      "int2",    "int4",
      "int8",        "integer",      "interval",     "json",        "long",      "numeric", "real",
      "short",       "smallint",     "string",       "text",        "time",      "timetz",  "timestamp",
      "timestamptz", "timestamp_ms", "timestamp_ns", "timestamp_s", "tinyint",   "ubigint", "uhugeint",
      "uinteger",    "usmallint",    "utinyint",     "uuid",        "varbinary", "varchar"};
  return kNames;
}

// type = ("struct" "(" name type {"," name type} ")" | "map" "(" type "," type ")" | word ["(" n ["," n] ")"]
//         ["with" "time" "zone"]) {"[" [n] "]"}
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text), rest_(text) {}

  Status Parse() {
    TRANCHE_TRY(Type(0));
    if (!Peek().empty()) return Refuse();
    return {};
  }

 private:
  std::string_view Peek() {
    while (!rest_.empty() && rest_.front() == ' ') rest_.remove_prefix(1);
    return rest_;
  }
  bool Take(char c) {
    if (Peek().empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  std::string Word() {
    Peek();
    size_t end = 0;
    auto letter = [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    };
    while (end < rest_.size() && letter(rest_[end])) ++end;
    std::string word(rest_.substr(0, end));
    rest_.remove_prefix(end);
    std::ranges::transform(word, word.begin(),
                           [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
    return word;
  }
  bool Number() {
    std::string word = Word();
    return !word.empty() && word.size() <= 4 &&
           std::ranges::all_of(word, [](char c) { return c >= '0' && c <= '9'; });
  }
  Error Refuse() const {
    return Fail(Code::kJob, "not a type: '{}'", text_)
        .Hint("write an SQL type, as in bigint, varchar, decimal(12,2), timestamp");
  }

  Status Type(int depth) {
    if (depth > kDepth) return Refuse();
    std::string word = Word();
    if (word == "struct") {
      TRANCHE_TRY(Members(depth, true));
    } else if (word == "map") {
      TRANCHE_TRY(Members(depth, false));
    } else {
      TRANCHE_TRY(Simple(word));
    }
    while (Take('[')) {
      if (!Take(']') && !(Number() && Take(']'))) return Refuse();
    }
    return {};
  }

  Status Members(int depth, bool named) {
    if (!Take('(')) return Refuse();
    do {
      if (named && Word().empty()) return Refuse();
      TRANCHE_TRY(Type(depth + 1));
    } while (Take(','));
    if (!Take(')')) return Refuse();
    return {};
  }

  Status Simple(const std::string& word) {
    if (std::ranges::find(Names(), word) == Names().end()) {
      std::string nearest = Nearest(word, Names());
      if (nearest.empty()) return Refuse();
      return Fail(Code::kJob, "unknown type '{}'", word).Hint(fmt::format("did you mean '{}'?", nearest));
    }
    if (Take('(')) {
      if (!Number() || (Take(',') && !Number()) || !Take(')')) return Refuse();
    }
    std::string_view before = Peek();
    if (Word() == "with") {
      if (Word() != "time" || Word() != "zone") return Refuse();
    } else {
      rest_ = before;
    }
    return {};
  }

  std::string_view text_;
  std::string_view rest_;
};

}  // namespace

Status CheckTypeName(std::string_view text) { return Parser(text).Parse(); }

}  // namespace tranche

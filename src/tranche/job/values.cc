#include "tranche/job/values.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "tranche/base/hash.h"
#include "tranche/base/units.h"
#include "tranche/connector/sql_state.h"
#include "tranche/job/rewrite.h"
#include "tranche/job/source_text.h"
#include "tranche/job/table_list.h"
#include "tranche/job/type_name.h"

namespace tranche {
namespace {

using Kind = Shape::Kind;

// Keeps secrets out of fingerprints: what is compared is a hash that other programs do not make.
constexpr std::string_view kHashKey = "tranche job fingerprint v1";
constexpr int64_t kDayMicros = 86'400'000'000;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsWordChar(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || IsDigit(c) || c == '_'; }
bool TakesPieces(Kind kind) { return kind == Kind::kText || kind == Kind::kPath || kind == Kind::kColumn; }

std::string TypeOf(std::string_view written) {
  static constexpr std::pair<std::string_view, std::string_view> kWords[] = {
      {"text", "VARCHAR"}, {"number", "DOUBLE"}, {"integer", "BIGINT"}, {"boolean", "BOOLEAN"}};
  for (auto [word, type] : kWords) {
    if (written == word) return std::string(type);
  }
  std::string type(written);
  std::ranges::transform(type, type.begin(),
                         [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
  return type;
}

bool IsWhole(std::string_view type) { return type.ends_with("INT") || type.ends_with("INTEGER"); }
bool IsFraction(std::string_view type) {
  return type == "DOUBLE" || type == "FLOAT" || type == "REAL" || type.starts_with("DECIMAL") ||
         type.starts_with("NUMERIC");
}

bool IsDate(std::string_view text) {
  static constexpr std::string_view kForm = "0000-00-00";
  if (text.size() != kForm.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (kForm[i] == '0' ? !IsDigit(text[i]) : text[i] != kForm[i]) return false;
  }
  auto number = [&](size_t at, size_t size) { return std::stoi(std::string(text.substr(at, size))); };
  return std::chrono::year_month_day(std::chrono::year(number(0, 4)), std::chrono::month(number(5, 2)),
                                     std::chrono::day(number(8, 2)))
      .ok();
}

// A date, and a time behind a space or T.
bool IsTimestamp(std::string_view text) {
  if (!IsDate(text.substr(0, 10))) return false;
  std::string_view time = text.substr(10);
  if (time.empty()) return true;
  if (time[0] != ' ' && time[0] != 'T') return false;
  time.remove_prefix(1);
  return time.size() >= 5 && IsDigit(time[0]) && IsDigit(time[1]) && time[2] == ':' &&
         std::ranges::all_of(time, [](char c) {
           return IsDigit(c) || c == ':' || c == '.' || c == '+' || c == '-' || c == 'Z';
         });
}

// A table's name as a part of a path stays in its folder, and in sight.
Status FitsPath(std::string_view table) {
  if (table.find('/') == std::string_view::npos && !table.starts_with('.')) return {};
  return Fail(Code::kJob, "table '{}' cannot stand in a path: it has a / or begins with a dot", table)
      .Hint("store it by a job of its own, under another name");
}

std::string TypedPlaceholder(std::string_view type) {
  if (type == "DATE") return "2000-01-01";
  if (type.starts_with("TIMESTAMP")) return "2000-01-01 00:00:00";
  if (type == "BOOLEAN") return "true";
  return IsWhole(type) || IsFraction(type) ? "1" : "value";
}

}  // namespace

std::string PlaceholderOf(Kind kind) {
  switch (kind) {
    case Kind::kInteger:
    case Kind::kNumber:
    case Kind::kShare:
      return "1";
    case Kind::kBoolean:
      return "true";
    case Kind::kSize:
      return "1MiB";
    case Kind::kDuration:
      return "1s";
    case Kind::kCharacter:
      return "comma";
    case Kind::kType:
      return "varchar";
    default:
      return "value";
  }
}

bool Values::Report(Error error, Place place) {
  errors_.push_back(std::move(error).At(std::move(place)));
  return false;
}

Result<std::string> Values::Normal(const std::string& type, const std::string& text) const {
  if (type == "DATE") {
    if (text == "today") return FormatDate(context_.clock->NowMicros());
    if (text == "yesterday") return FormatDate(context_.clock->NowMicros() - kDayMicros);
    if (!IsDate(text)) {
      return Fail(Code::kJob, "not a date: '{}'", text)
          .Hint("write it as 2026-11-20, or today, or yesterday");
    }
  } else if (type == "TIMESTAMP" && !IsTimestamp(text)) {
    return Fail(Code::kJob, "not a timestamp: '{}'", text).Hint("write it as 2026-11-20 14:30:00");
  } else if (type == "BOOLEAN") {
    TRANCHE_TRY(ParseBoolean(text));
  } else if (IsWhole(type)) {
    TRANCHE_TRY(ParseInteger(text));
  } else if (IsFraction(type)) {
    TRANCHE_TRY(ParseNumber(text));
  }
  return text;
}

void Values::Declare(const Node::Key& name, const Node& type, const Node* written, const Node* allowed) {
  Parameter& parameter = declared_[name.name];
  std::string word = type.text == "number" ? "double" : type.text;
  if (auto checked = CheckTypeName(word); !checked) {
    Report(std::move(checked).error(), type.place);
    return;
  }
  parameter.type = TypeOf(type.text);
  bool good = true;
  auto take = [&](const std::string& text, Place place) -> std::optional<std::string> {
    auto normal = Normal(parameter.type, text);
    if (normal) return *std::move(normal);
    good = Report(std::move(normal).error().In(fmt::format("parameter '{}'", name.name)), std::move(place));
    return std::nullopt;
  };
  if (allowed) {
    for (const Node& item : allowed->items) {
      if (auto text = take(item.text, item.place)) parameter.allowed.push_back(*text);
    }
  }
  Place place = written ? written->place : name.place;
  if (auto set = context_.set.find(name.name); set != context_.set.end()) {
    place = {"--set"};
    parameter.text = take(set->second, place);
  } else if (written) {
    parameter.text = take(written->text, place);
  } else if (!context_.offline) {
    Report(Fail(Code::kJob, "parameter '{}' has no value", name.name)
               .Hint(fmt::format("give it one: --set {}=…", name.name)),
           name.place);
    return;
  }
  if (!good || !parameter.text) return;
  texts_[name.name] = *parameter.text;
  if (!parameter.allowed.empty() &&
      std::ranges::find(parameter.allowed, *parameter.text) == parameter.allowed.end()) {
    Report(Fail(Code::kJob, "parameter '{}' cannot be '{}'", name.name, *parameter.text)
               .Hint(fmt::format("it is one of {}", fmt::join(parameter.allowed, ", "))),
           place);
  }
}

void Values::DeclareTable(const Place& place) {
  Parameter& table = declared_[kTableParameter];
  table.type = "VARCHAR";
  const auto set = context_.set.find(kTableParameter);
  if (set == context_.set.end()) return;
  const std::string& name = set->second;
  if (name.empty()) {
    Report(Fail(Code::kJob, "the name of a table is empty"), place);
  } else if (!SourceText::Make(name, "") || name.find_first_of("\n\r\t") != std::string::npos) {
    Report(Fail(Code::kJob, "the name of a table is not UTF-8, or holds control characters")
               .Hint("read it by a job of its own, with a `query`"),
           place);
  } else {
    table.text = name;
    texts_[kTableParameter] = name;
  }
}

void Values::CheckSet() {
  std::vector<std::string> names;
  for (const auto& [name, parameter] : declared_) names.push_back(name);
  for (const auto& [name, text] : context_.set) {
    if (declared_.contains(name)) continue;
    std::string nearest = Nearest(name, names);
    Report(Fail(Code::kJob, "unknown parameter '{}'", name)
               .Hint(name == kTableParameter ? "no input has several tables: a list of them, or a pattern"
                     : !nearest.empty()      ? fmt::format("did you mean '{}'?", nearest)
                     : names.empty()         ? "the job has no parameters"
                                             : fmt::format("the job has {}", fmt::join(names, ", "))),
           {"--set"});
  }
}

// "name", "env:NAME", "env:NAME:-otherwise"
Result<Values::Reference> Values::Parse(std::string_view inner) const {
  Reference reference;
  if (size_t dash = inner.find(":-"); dash != std::string_view::npos) {
    reference.otherwise = inner.substr(dash + 2);
    inner = inner.substr(0, dash);
  }
  if (size_t colon = inner.find(':'); colon != std::string_view::npos) {
    reference.kind = inner.substr(0, colon);
    inner = inner.substr(colon + 1);
    if (reference.kind != "env" && reference.kind != "secret" && reference.kind != "run") {
      return Fail(Code::kJob, "unknown '${{{}:…}}'", reference.kind)
          .Hint("there are ${name} for a parameter, ${env:NAME}, ${secret:NAME} and ${run:id}");
    }
  }
  reference.name = inner;
  if (inner.empty() || !std::ranges::all_of(inner, IsWordChar)) {
    return Fail(Code::kJob, "not a name in ${{…}}: '{}'", inner).Hint("a dollar sign before { is written $$");
  }
  return reference;
}

Place Values::KnowMark(bool known) {
  mark_known_ = known;
  return std::exchange(mark_, {});
}

Result<Values::Found> Values::LookParameter(const Reference& reference) {
  Found found;
  auto parameter = declared_.find(reference.name);
  if (parameter == declared_.end()) {
    if (reference.name == "mark" && mark_known_) return Found{.shown = "${mark}", .mark = true};
    if (reference.name == "mark") {
      return Fail(Code::kJob, "${{mark}} is not known here")
          .Hint("it stands in the `query` of an input that has `incremental` by a column beside it");
    }
    if (reference.name == kTableParameter) {
      return Fail(Code::kJob, "${{table}} is not known: no input has several tables")
          .Hint("write `table` as a list, or with * or ?: the job then runs once for each table");
    }
    std::vector<std::string> names;
    for (const auto& [name, declared] : declared_) names.push_back(name);
    std::string nearest = Nearest(reference.name, names);
    return Fail(Code::kJob, "unknown parameter '{}'", reference.name)
        .Hint(nearest.empty() ? fmt::format("declare it: parameters: {{{}: text}}", reference.name)
                              : fmt::format("did you mean '{}'?", nearest));
  }
  const Parameter& declared = parameter->second;
  found.table = reference.name == kTableParameter;
  if (!declared.type.empty()) found.type = declared.type;
  found.text = declared.text ? declared.text : reference.otherwise;
  if (!found.text) {
    ++placeholders_;
    found.shown = declared.allowed.empty() ? TypedPlaceholder(found.type) : declared.allowed[0];
  }
  return found;
}

Result<Values::Found> Values::LookOutside(const Reference& reference) {
  Found found;
  bool secret = reference.kind == "secret";
  const auto& look = secret ? context_.secret : context_.environment;
  found.secret = secret;
  if (secret) secrets_.insert(reference.name);
  if (look) found.text = look(reference.name);
  bool absent = !found.text || found.text->empty();
  if (absent && reference.otherwise) found.text = reference.otherwise;
  if (found.text) return found;
  if (!context_.offline) {
    return Fail(Code::kJob, "{} '{}' is not set", secret ? "secret" : "environment variable", reference.name)
        .Hint(secret ? "set it in the environment or in a file given with --env-file"
                     : fmt::format("set it, or write a default: ${{env:{}:-…}}", reference.name));
  }
  ++placeholders_;
  found.shown = "value";
  return found;
}

Result<Values::Found> Values::Look(const Reference& reference) {
  if (reference.kind.empty()) return LookParameter(reference);
  if (reference.kind != "run") return LookOutside(reference);
  if (reference.name != "id")
    return Fail(Code::kJob, "unknown '${{run:{}}}'", reference.name).Hint("there is ${run:id}");
  Found found;
  found.text = context_.run_id;
  found.shown = "${run:id}";
  return found;
}

// The ${…} at `offset`; `end` is set behind its brace.
Result<Values::Found> Values::At(std::string_view text, size_t offset, size_t* end) {
  size_t brace = text.find('}', offset);
  if (brace == std::string_view::npos) {
    *end = text.size();
    return Fail(Code::kJob, "'${{' is not closed")
        .Hint("close it with }; a dollar sign before { is written $$");
  }
  *end = brace + 1;
  TRANCHE_ASSIGN(Reference reference, Parse(text.substr(offset + 2, brace - offset - 2)));
  TRANCHE_ASSIGN(Found found, Look(reference));
  if (found.text && found.shown.empty()) {
    found.shown = found.secret ? "secret:" + KeyedHash(kHashKey, *found.text) : *found.text;
  }
  return found;
}

bool Values::Resolve(Node& scalar, Kind kind) {
  if (scalar.text.find('$') == std::string::npos) return true;
  if (kind == Kind::kName) {
    return Report(Fail(Code::kJob, "a name takes no ${{…}}").Hint("write the name as it is"), scalar.place);
  }
  if (kind == Kind::kExpression || kind == Kind::kOrder || kind == Kind::kSql || kind == Kind::kServerSql) {
    return Bind(scalar);
  }
  return PutIn(scalar, kind);
}

bool Values::PutIn(Node& scalar, Kind kind) {
  Rewrite rewrite(scalar);
  bool good = true;
  bool table = false;
  int before = placeholders_;
  const std::string text = scalar.text;
  for (size_t i = text.find('$'); i != std::string::npos && i + 1 < text.size();) {
    size_t next = i + 1;
    if (text[i + 1] == '$') {
      rewrite.Copy(i);
      rewrite.Replace(next = i + 2, "$", "$");
    } else if (text[i + 1] == '{') {
      rewrite.Copy(i);
      Place place = rewrite.Here();
      auto found = At(text, i, &next);
      if (!found) {
        good = Report(std::move(found).error(), place);
        rewrite.Copy(next);
      } else if (found->mark) {
        good = Report(Fail(Code::kJob, "${{mark}} cannot stand here").Hint("put it into the `query`"), place);
        rewrite.Copy(next);
      } else if (found->secret && kind != Kind::kText) {
        good = Report(Fail(Code::kJob, "a secret cannot stand here: it would be shown"), place);
        rewrite.Copy(next);
      } else if (Status fits =
                     found->table && kind == Kind::kPath ? FitsPath(found->text.value_or("")) : Status();
                 !fits) {
        good = Report(std::move(fits).error(), place);
        rewrite.Copy(next);
      } else {
        table = table || found->table;
        rewrite.Replace(next, found->text.value_or(found->shown), found->shown);
      }
    }
    i = text.find('$', next);
  }
  rewrite.Copy(text.size());
  scalar = std::move(rewrite).Finish();
  if (table && kind == Kind::kPath && (scalar.text == "stdin" || scalar.text == "stdout")) {
    good = Report(Fail(Code::kJob, "table '{}' would be a standard stream here", scalar.text)
                      .Hint("put a folder before it"),
                  scalar.place);
  }
  if (placeholders_ != before && !TakesPieces(kind)) scalar.text = PlaceholderOf(kind);
  return good;
}

std::string Values::NameOf(const std::string& inner, const Found& found) {
  auto [entry, fresh] = names_.try_emplace(inner, fmt::format("p{}", names_.size() + 1));
  if (fresh) {
    bound_[entry->second] = {found.type, found.text, found.secret};
    shown_[entry->second] = found.shown;
  }
  return entry->second;
}

bool Values::Bind(Node& scalar) {
  using In = SqlState::In;
  Rewrite rewrite(scalar);
  const std::string text = scalar.text;
  SqlState state(text);
  bool good = true;
  for (size_t i = 0; i < text.size();) {
    char next = i + 1 < text.size() ? text[i + 1] : '\0';
    bool comment = state.in() == In::kLineComment || state.in() == In::kBlockComment;
    if (text[i] != '$' || comment) {
      i = state.Step(i);
      continue;
    }
    rewrite.Copy(i);
    Place place = rewrite.Here();
    if (next == '{') {
      size_t end = 0;
      auto found = At(text, i, &end);
      std::string written = text.substr(i, end - i);
      if (!found) {
        good = Report(std::move(found).error(), place);
      } else if (state.in() == In::kText) {
        good = Report(Fail(Code::kJob, "{} stands inside quotes", written)
                          .Hint("remove the quotes: the value comes with its type"),
                      place);
      } else if (state.in() == In::kName) {
        good = Report(Fail(Code::kJob, "{} stands inside quotes of a name", written)
                          .Hint("a value cannot name a column in SQL"),
                      place);
      } else {
        std::string name = found->mark ? "$mark" : "$" + NameOf(written, *found);
        if (found->mark) mark_ = place;
        if (name.size() < written.size()) name.resize(written.size(), ' ');
        rewrite.Replace(end, name, name);
      }
      i = end;
    } else if (state.in() == In::kCode) {
      good = Report(
          Fail(Code::kJob, "a '$' has no meaning in SQL here").Hint("a parameter is written ${name}"), place);
      ++i;
    } else {
      if (next == '$') rewrite.Replace(i + 2, "$", "$");
      i += next == '$' ? 2 : 1;
    }
  }
  rewrite.Copy(text.size());
  scalar = std::move(rewrite).Finish();
  return good;
}

}  // namespace tranche

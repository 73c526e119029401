#include "tranche/job/table_list.h"

#include <algorithm>
#include <cctype>
#include <set>

#include <fmt/ranges.h>

#include "tranche/base/units.h"

namespace tranche {
namespace {

bool IsWild(char c) { return c == '*' || c == '?'; }

// Whether \* or \? begins at `at`.
bool IsEscape(std::string_view text, size_t at) {
  return text[at] == '\\' && at + 1 < text.size() && IsWild(text[at + 1]);
}

std::string WithoutReferences(std::string_view text) {
  std::string plain;
  for (size_t at = 0; at < text.size();) {
    const size_t begin = std::min(text.find("${", at), text.size());
    plain += text.substr(at, begin - at);
    at = begin == text.size() ? begin : std::min(text.find('}', begin), text.size() - 1) + 1;
  }
  return plain;
}

bool HasWild(std::string_view text) {
  for (size_t i = 0; i < text.size(); i += IsEscape(text, i) ? 2 : 1) {
    if (IsWild(text[i])) return true;
  }
  return false;
}

int64_t Wilds(std::string_view text) { return std::ranges::count_if(text, IsWild); }

char Lower(char c) { return static_cast<char>(std::tolower(static_cast<unsigned char>(c))); }

bool Same(char a, char b, bool any_case) { return a == b || (any_case && Lower(a) == Lower(b)); }

bool SameName(std::string_view a, std::string_view b, bool any_case) {
  return std::ranges::equal(a, b, [&](char one, char other) { return Same(one, other, any_case); });
}

size_t CharacterEnd(std::string_view text, size_t at) {
  do {
    ++at;
  } while (at < text.size() && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80);
  return at;
}

// The last * takes one character more whenever what stands behind it does not fit.
bool MatchesPattern(std::string_view pattern, std::string_view name, bool any_case) {
  size_t p = 0, n = 0;
  size_t star = std::string_view::npos, taken = 0;
  while (n < name.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = ++p;
      taken = n;
      continue;
    }
    if (p < pattern.size() && pattern[p] == '?') {
      ++p;
      n = CharacterEnd(name, n);
      continue;
    }
    const bool escape = p < pattern.size() && IsEscape(pattern, p);
    if (p < pattern.size() && Same(pattern[p + (escape ? 1 : 0)], name[n], any_case)) {
      p += escape ? 2 : 1;
      ++n;
      continue;
    }
    if (star == std::string_view::npos) return false;
    p = star;
    n = taken = CharacterEnd(name, taken);
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

// An entry in two; what is no schema and a table is refused.
Status SplitEntry(TableList::Entry& entry, std::string& schema) {
  const size_t point = entry.text.find('.');
  if (point == std::string::npos) return {};
  schema = entry.text.substr(0, point);
  entry.text.erase(0, point + 1);
  if (schema.empty() || entry.text.empty() || entry.text.find('.') != std::string::npos) {
    return Fail(Code::kJob, "'{}.{}' is not a table, or a schema and a table", schema, entry.text)
        .At(entry.place)
        .Hint("write schema: beside it; the table's name is then taken as it is");
  }
  if (HasWild(schema)) {
    return Fail(Code::kJob, "a schema takes no pattern, as in '{}'", schema)
        .At(entry.place)
        .Hint("give each schema a job of its own");
  }
  schema = UnescapedTable(schema);
  return {};
}

}  // namespace

std::string TableOf(const std::map<std::string, std::string>& parameters) {
  const auto table = parameters.find(kTableParameter);
  return table == parameters.end() ? "" : table->second;
}

std::string UnescapedTable(std::string_view written) {
  std::string text;
  for (size_t i = 0; i < written.size(); ++i) {
    if (IsEscape(written, i)) ++i;
    text += written[i];
  }
  return text;
}

bool TableList::IsMany(const Node& written) {
  return written.is_list() || (written.is_scalar() && HasWild(WithoutReferences(written.text)));
}

Result<TableList> TableList::Make(const Node& written, const Node& table, bool splits) {
  TableList list{.place = table.place};
  const size_t count = table.is_list() ? table.items.size() : 1;
  for (size_t i = 0; i < count; ++i) {
    const std::string plain = WithoutReferences(written.is_list() ? written.items.at(i).text : written.text);
    const Node& item = table.is_list() ? table.items[i] : table;
    Entry entry{.text = item.text, .pattern = Wilds(plain) > 0, .place = item.place};
    if (entry.text.empty()) return Fail(Code::kJob, "'table' is empty").At(entry.place);
    if (entry.pattern && Wilds(entry.text) != Wilds(plain)) {
      return Fail(Code::kJob, "a value in the pattern '{}' holds * or ?", item.shown())
          .At(entry.place)
          .Hint("only what stands in the file is a pattern: name that table alone");
    }
    std::string schema;
    if (splits) TRANCHE_TRY(SplitEntry(entry, schema));
    if (entry.pattern && !HasWild(entry.text)) entry = {UnescapedTable(entry.text), false, entry.place};
    if (i > 0 && schema != list.schema) {
      return Fail(Code::kJob, "the tables of a list are of one schema, and '{}' is not of {}", item.shown(),
                  list.schema.empty() ? "the connection's" : "'" + list.schema + "'")
          .At(entry.place)
          .Hint("give each schema a job of its own: ${table} is the name without it");
    }
    list.schema = schema;
    list.entries.push_back(std::move(entry));
  }
  if (list.entries.empty()) return Fail(Code::kJob, "'table' is an empty list").At(table.place);
  return list;
}

bool TableList::Matches(std::string_view name) const {
  return std::ranges::any_of(entries, [&](const Entry& entry) {
    return entry.pattern ? !IsOwnTable(name) && MatchesPattern(entry.text, name, true)
                         : SameName(entry.text, name, true);
  });
}

Result<std::vector<std::string>> TableList::Expand(SchemaTables there) const {
  std::erase_if(there.tables, IsOwnTable);
  std::ranges::sort(there.tables);
  std::vector<std::string> all = there.tables;
  all.insert(all.end(), there.others.begin(), there.others.end());
  std::vector<std::string> names;
  std::set<std::string> known;
  std::string mistakes;
  auto report = [&](Error error, const Entry& entry, std::string hint) {
    mistakes +=
        (mistakes.empty() ? "" : "\n") + std::move(error).At(entry.place).Hint(std::move(hint)).ToString();
  };
  auto take = [&](const std::string& name) {
    if (known.insert(name).second) names.push_back(name);
  };
  for (const Entry& entry : entries) {
    auto fits = [&](const std::string& name) {
      return entry.pattern ? MatchesPattern(entry.text, name, there.any_case)
                           : SameName(entry.text, name, there.any_case);
    };
    if (!entry.pattern) {
      // The table itself before one that differs by case.
      auto found = std::ranges::find(all, entry.text);
      if (found == all.end()) found = std::ranges::find_if(all, fits);
      if (found != all.end()) {
        take(*found);
        continue;
      }
      const std::string nearest = Nearest(entry.text, all);
      report(Fail(Code::kJob, "there is no table '{}' in {}", entry.text, there.where), entry,
             nearest.empty() ? "name one that is there, or take it out of the list"
                             : fmt::format("did you mean '{}'?", nearest));
      continue;
    }
    bool any = false;
    for (const std::string& name : there.tables) {
      if (!fits(name)) continue;
      take(name);
      any = true;
    }
    if (any) continue;
    const bool views = std::ranges::any_of(there.others, fits);
    const size_t shown = std::min<size_t>(there.tables.size(), 5);
    report(Fail(Code::kJob, "no table of {} matches '{}'", there.where, entry.text), entry,
           views ? "views and partitions are read where they are named"
           : there.tables.empty()
               ? "there are no tables"
               : fmt::format("there {} {}{}", there.tables.size() == 1 ? "is" : "are",
                             fmt::join(there.tables.begin(),
                                       there.tables.begin() + static_cast<std::ptrdiff_t>(shown), ", "),
                             there.tables.size() > shown ? ", …" : ""));
  }
  if (!mistakes.empty()) return Error{Code::kJob, mistakes};
  return names;
}

}  // namespace tranche

// `table` of an input as a list, or with a pattern: the job runs once for each table, which is then its
// parameter `table` (docs/job-file.md, "Many tables").
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tranche/base/result.h"
#include "tranche/connector/node.h"
#include "tranche/connector/tables.h"

namespace tranche {

inline constexpr const char* kTableParameter = "table";

// The parameter `table`; empty where there is none.
std::string TableOf(const std::map<std::string, std::string>& parameters);

struct TableList {
  struct Entry {
    std::string text;      // a name; of a pattern, with its escapes
    bool pattern = false;  // * is any text, ? any character, \* and \? are these characters themselves
    Place place;
  };

  std::string input;
  std::string schema;  // of all entries; empty: that of the connection
  std::vector<Entry> entries;
  Place place;

  // Whether the value of a field `table`, as it stands in the file, names more than one.
  static bool IsMany(const Node& written);

  // `written` and `table` are the field before and after ${…} was put in: what a value holds is no pattern.
  // `splits`: an entry may be schema.name.
  static Result<TableList> Make(const Node& written, const Node& table, bool splits);

  // Whether an entry means the table of this name; without case, as some databases compare. Opens nothing.
  bool Matches(std::string_view name) const;

  // The tables that are meant, each once: in the order of the entries, those of a pattern in byte order. An
  // entry that finds none is an error (Code::kJob); all of them are said.
  Result<std::vector<std::string>> Expand(SchemaTables there) const;
};

// A name that is one table's, with \* and \? as these characters.
std::string UnescapedTable(std::string_view written);

}  // namespace tranche

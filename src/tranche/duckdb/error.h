// DuckDB's errors as ours. Sessions run with errors_as_json, so that an error says its kind and its place.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tranche/base/result.h"
#include "tranche/connector/engine.h"

namespace tranche::duckdb {

// What is sent to DuckDB, and what its errors refer to.
struct Command {
  std::string text;
  SqlText written = {};                   // the part that a job's author had a hand in…
  size_t offset = 0;                      // …and where in `text` it begins
  std::vector<std::string> secrets = {};  // values that no message may show
};

// before + query + after
Command Wrap(std::string_view before, const Query& query, std::string_view after);

// One error as DuckDB words it.
struct Fault {
  std::string kind;                // "Binder", "Conversion"
  std::string message;             // all of it
  std::optional<size_t> position;  // in the text: of a byte, or for the kind "Parser" of a character
  std::string name;                // of what was not found…
  std::string candidates;          // …and what there is instead, separated by commas

  static Fault Parse(std::string_view json);
  static Fault OfParser(std::string message, std::string_view position);
};

Error Translate(const Fault& fault, const Command& command);

}  // namespace tranche::duckdb

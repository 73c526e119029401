// Rows of files with a JSON object a line, each parsed once, with its place: what CarefulScan reads.
//
// RFC 8259, strictly; an object with a key twice has a problem.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tranche/connector/engine.h"
#include "tranche/sources/files.h"

namespace tranche {

struct JsonKey {
  enum class As {
    kText,   // as the engine's json_extract_string writes it: "a" is a, 1e2 is 100.0, [1, 2] is [1,2]
    kToken,  // the same, but a number as it stands
    kJson,   // "a" is "a"
  };
  std::string name;
  As as = As::kText;
  // What is of the column's type without a look: any value; a whole number of so many digits; one with a
  // point.
  bool takes_all = false;
  size_t digits = 0;
  bool fractions = false;
};

ReaderFactory JsonRows(std::vector<std::string> paths, std::vector<JsonKey> keys,
                       std::shared_ptr<ReadCount> count);

}  // namespace tranche

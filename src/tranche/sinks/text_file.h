// Compression of the text formats, by the file's ending or by the option `compression`.
#pragma once

#include <string>

#include "tranche/connector/options.h"
#include "tranche/connector/shape.h"

namespace tranche {

struct Compression {
  std::string name;    // as the engine has it: none, gzip, zstd
  std::string ending;  // "", ".gz", ".zst"

  static Result<Compression> Parse(const Options& options, const std::string& path);
};

Field CompressionField();

}  // namespace tranche

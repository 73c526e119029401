// What names a database behind ADBC in a job: the fields `driver` and `options`.
#pragma once

#include <string>
#include <vector>

#include "tranche/base/result.h"
#include "tranche/connector/options.h"
#include "tranche/connector/shape.h"

namespace tranche::sql {

struct AdbcOption {
  std::string name;
  std::string value;
  bool secret = false;
};

struct AdbcTarget {
  std::string driver;  // a name or a path
  std::vector<AdbcOption> options;
  std::string Describe()
      const;  // "libadbc_driver_postgresql.so db.example.com/shop", without user and password
};

std::vector<Field> AdbcFields();
// No password may stand there as it is.
Result<AdbcTarget> ParseAdbcTarget(const Options& options);

}  // namespace tranche::sql

// FileFormat: how rows become a file. The stores for files differ in nothing else.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tranche/connector/engine.h"

namespace tranche {

class FileFormat {
 public:
  virtual ~FileFormat() = default;
  virtual std::string name() const = 0;    // "parquet"
  virtual std::string ending() const = 0;  // of the files in a folder: ".csv.gz"
  // Writes all rows of `query` to a file that is not there yet, without fsync. Rows written.
  virtual Result<int64_t> Write(Engine& engine, const Query& query, const std::string& path) const = 0;
  // Writes files into folders `column=value/` of `path`, which is not there yet.
  virtual Result<int64_t> WritePartitions(Engine& engine, const Query& query, const std::string& path,
                                          const std::vector<std::string>& columns) const;
  // Rows of a finished file, where that is written in it; -1 where not.
  virtual Result<int64_t> CountRows(const std::string& path) const;
};

// A format that the engine writes by its COPY.
class EngineFormat : public FileFormat {
 public:
  using CopyOptions = std::vector<std::pair<std::string, std::string>>;
  EngineFormat(std::string name, std::string ending, CopyOptions options)
      : name_(std::move(name)), ending_(std::move(ending)), options_(std::move(options)) {}

  std::string name() const override { return name_; }
  std::string ending() const override { return ending_; }
  Result<int64_t> Write(Engine& engine, const Query& query, const std::string& path) const override;
  Result<int64_t> WritePartitions(Engine& engine, const Query& query, const std::string& path,
                                  const std::vector<std::string>& columns) const override;

 protected:
  virtual Result<Query> Prepare(Engine&, const Query& query) const { return query; }
  // Options of COPY that depend on the engine.
  virtual Result<CopyOptions> OptionsFor(Engine&) const { return CopyOptions(); }
  // The query with other expressions for some columns; `expression` gives "" for those that stay.
  static Result<Query> Replace(Engine& engine, const Query& query,
                               const std::function<std::string(const Column&)>& expression);

 private:
  Result<int64_t> Copy(Engine& engine, const Query& query, CopyTarget target) const;

  std::string name_, ending_;
  CopyOptions options_;
};

}  // namespace tranche

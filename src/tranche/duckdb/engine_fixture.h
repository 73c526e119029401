// What the tests of this folder share: an engine, a folder of their own, and answers as text.
#pragma once

#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>
#include <string>

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "tranche/base/clock.h"
#include "tranche/duckdb/duckdb_engine.h"

namespace tranche {

class EngineFixture : public testing::Test {
 protected:
  EngineFixture() {
    folder_ = testing::TempDir() + "tranche-" + NewId();
    std::filesystem::create_directory(folder_);
    engine_ = MakeDuckDb({.threads = 2, .spill_folder = folder_ + "/spill"}).value();
  }
  ~EngineFixture() override {
    engine_.reset();
    std::filesystem::remove_all(folder_);
  }

  void WriteFile(const std::string& name, std::string_view content) {
    std::ofstream(folder_ + "/" + name) << content;
  }
  static std::string ReadWhole(const std::string& path) {
    return (std::ostringstream() << std::ifstream(path).rdbuf()).str();
  }

  // "1|x\n2|NULL\n", or the error.
  std::string Rows(const Query& query) {
    auto rows = engine_->Select(query);
    if (!rows) return rows.error().ToString();
    std::string text;
    for (const TextRow& row : *rows) {
      for (size_t i = 0; i < row.size(); ++i) text += (i > 0 ? "|" : "") + row[i].value_or("NULL");
      text += "\n";
    }
    return text;
  }

  std::vector<std::string> Types(const Query& query) {
    auto columns = engine_->Bind(query);
    if (!columns) return {columns.error().ToString()};
    std::vector<std::string> texts;
    for (const Column& column : *columns) texts.push_back(column.name + " " + column.type);
    return texts;
  }

  // Rows of a stream that is read to its end.
  int64_t Drain(const Query& query) {
    auto reader = engine_->Run(query);
    EXPECT_TRUE(reader) << reader.error().ToString();
    int64_t rows = 0;
    while (reader) {
      auto batch = (*reader)->Next();
      EXPECT_TRUE(batch) << batch.error().ToString();
      if (!batch || *batch == nullptr) break;
      rows += (*batch)->num_rows();
    }
    return rows;
  }

  int64_t Execute(const std::string& sql) {
    auto changed = engine_->Execute(sql);
    EXPECT_TRUE(changed) << sql << ": " << changed.error().ToString();
    return changed.value_or(-1);
  }

  std::string ErrorOf(const Query& query) {
    auto rows = engine_->Select(query);
    return rows ? "no error" : rows.error().ToString();
  }
  Code CodeOf(const char* sql) { return engine_->Select({sql}).error().code; }

  std::string folder_;
  std::unique_ptr<Engine> engine_;
};

}  // namespace tranche

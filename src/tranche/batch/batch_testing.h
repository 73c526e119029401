// For tests: a spool of known rows in a folder of its own.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <arrow/builder.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <gtest/gtest.h>

#include "tranche/batch/cutter.h"
#include "tranche/batch/segment.h"

namespace tranche {

// id: the row's number; name: a text of 0 to 40 bytes, NULL each seventh row; and the hidden group column.
inline std::shared_ptr<arrow::Schema> TestSchema() {
  return arrow::schema({arrow::field("id", arrow::int64()), arrow::field("name", arrow::utf8()),
                        arrow::field(std::string(kGroupColumn), arrow::int64())});
}

inline std::string TestName(int64_t id) { return std::string(static_cast<size_t>(id * 31 % 41), 'a'); }

// Rows [from, from + count); `group` gives the group of a row.
inline std::shared_ptr<arrow::RecordBatch> TestRows(
    int64_t from, int64_t count, const std::function<int64_t(int64_t)>& group = [](int64_t) { return 0; }) {
  arrow::Int64Builder ids, groups;
  arrow::StringBuilder names;
  for (int64_t id = from; id < from + count; ++id) {
    EXPECT_TRUE(ids.Append(id).ok());
    EXPECT_TRUE((id % 7 == 0 ? names.AppendNull() : names.Append(TestName(id))).ok());
    EXPECT_TRUE((group(id) < 0 ? groups.AppendNull() : groups.Append(group(id))).ok());
  }
  return arrow::RecordBatch::Make(
      TestSchema(), count,
      {ids.Finish().ValueOrDie(), names.Finish().ValueOrDie(), groups.Finish().ValueOrDie()});
}

class SpoolTest : public testing::Test {
 protected:
  SpoolTest() {
    std::string pattern = testing::TempDir() + "spool_testXXXXXX";
    folder_ = mkdtemp(pattern.data());
  }
  ~SpoolTest() override { std::filesystem::remove_all(folder_); }

  // A segment for each list, with a record batch of each size in it.
  Spool MakeSpool(
      const std::vector<std::vector<int64_t>>& segments,
      const std::function<int64_t(int64_t)>& group = [](int64_t) { return 0; }) const {
    std::vector<SegmentInfo> infos;
    int64_t row = 0;
    for (const auto& sizes : segments) {
      auto writer = SegmentWriter::Make(folder_, static_cast<int>(infos.size()), row, TestSchema()).value();
      for (int64_t size : sizes) {
        Status written = writer->Write(*TestRows(row, size, group));
        EXPECT_TRUE(written) << written.error().message;
        row += size;
      }
      infos.push_back(writer->Seal().value());
    }
    return Spool(folder_, TestSchema(), infos);
  }

  std::string folder_;
};

}  // namespace tranche

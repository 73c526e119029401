// What the tests of stores share: an engine, a journal in memory, rows made by SQL, a folder of their own.
#pragma once

#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tranche/connector/spec.h"
#include "tranche/duckdb/duckdb_engine.h"

namespace tranche {

class MemoryJournal : public Journal {
 public:
  Result<std::vector<Entry>> Entries() override { return entries; }
  Status Add(const Entry& entry, const std::vector<Reject>&) override {
    entries.push_back(entry);
    return {};
  }
  Status Remove(Span span) override {
    std::erase_if(entries, [&](const Entry& entry) { return entry.span == span; });
    return {};
  }
  Result<std::optional<std::string>> Note(std::string_view name) override {
    auto found = notes.find(name);
    return found == notes.end() ? std::nullopt : std::optional(found->second);
  }
  Status SetNote(std::string_view name, std::string_view value) override {
    notes.insert_or_assign(std::string(name), std::string(value));
    return {};
  }
  Result<std::optional<int64_t>> FinishedAfter(std::string_view, bool) override { return std::nullopt; }
  std::vector<Entry> entries;
  std::map<std::string, std::string, std::less<>> notes;
};

// A map of scalars and lists of scalars, as in a job file.
struct Yaml {
  std::string key;
  std::vector<std::string> values;
  bool list = false;
  Yaml(std::string key, std::string value) : key(std::move(key)), values{std::move(value)} {}
  Yaml(std::string key, std::vector<std::string> values)
      : key(std::move(key)), values(std::move(values)), list(true) {}
};
inline Node ToNode(const std::vector<Yaml>& fields) {
  Node map;
  map.kind = Node::Kind::kMap;
  for (const Yaml& field : fields) {
    Node value;
    if (field.list) {
      value.kind = Node::Kind::kList;
      for (const std::string& item : field.values) value.items.push_back(Node::Scalar(item));
    } else {
      value = Node::Scalar(field.values.front());
    }
    map.entries.push_back({{field.key, {}}, std::move(value)});
  }
  return map;
}

class SinkTest : public testing::Test {
 protected:
  SinkTest() : folder_(testing::TempDir() + "sink_test_" + NewId()) {
    std::filesystem::create_directories(folder_);
    engine_ = MakeDuckDb({.spill_folder = folder_ + "/spill"}).value();
    session_ = engine_->Fork().value();
    context_.job_key = "job";
    context_.store = "out";
    context_.run_id = "0123456789abcdef0123456789abcdef";
    context_.run_number = 1;
    context_.stage_id = "stage";
    context_.ledger_id = "ledger";
    context_.host = "here";
    context_.engine = session_.get();
    context_.journal = &journal_;
    context_.clock = &SystemClock();
    context_.allow_rejects = [this](int64_t more) -> Status {
      if (more <= most_rejects_) return {};
      return Fail(Code::kData, "too many rejects");
    };
  }
  ~SinkTest() override { std::filesystem::remove_all(folder_); }

  std::string Path(const std::string& name) const { return folder_ + "/" + name; }

  Result<std::unique_ptr<Sink>> Make(const SinkSpec& spec, const std::vector<Yaml>& fields) {
    nodes_.push_back(std::make_unique<Node>(ToNode(fields)));
    shapes_.push_back(std::make_unique<Shape>(spec.shape));
    return spec.make(Options(shapes_.back().get(), nodes_.back().get()));
  }

  // The rows of a query, as one batch from row `from` on.
  Batch Rows(const std::string& sql, int64_t from = 0) {
    auto reader = engine_->Run({SqlText(sql)}).value();
    std::vector<std::shared_ptr<arrow::RecordBatch>> parts;
    while (auto part = reader->Next().value()) parts.push_back(part);
    auto rows = parts.empty() ? arrow::RecordBatch::MakeEmpty(reader->schema()).ValueOrDie()
                              : arrow::ConcatenateRecordBatches(parts).ValueOrDie();
    return Batch{{from, from + rows->num_rows()}, {rows}, rows->num_rows() * 10};
  }

  Result<Opened> OpenFor(Sink& sink, const Batch& batch) {
    return sink.Open(batch.rows()->schema(), context_);
  }

  // A run from start to end with one batch.
  Status Store(Sink& sink, const Batch& batch) {
    TRANCHE_ASSIGN(Opened opened, OpenFor(sink, batch));
    if (opened.committed.rows() == 0 && batch.span.rows() > 0) TRANCHE_TRY(sink.Write(batch, context_));
    context_.rows = batch.span.to;
    return sink.Finish(context_);
  }

  // The answer of a query, a line a row.
  std::string Ask(const std::string& sql) {
    auto rows = engine_->Select({SqlText(sql)});
    if (!rows) return rows.error().ToString();
    std::string text;
    for (const TextRow& row : *rows) {
      for (size_t i = 0; i < row.size(); ++i) text += (i ? "|" : "") + row[i].value_or("NULL");
      text += "\n";
    }
    return text;
  }

  static std::string Content(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
  static void WriteText(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
  }

  std::string folder_;
  std::unique_ptr<Engine> engine_, session_;
  MemoryJournal journal_;
  SinkContext context_;
  int64_t most_rejects_ = 1'000'000;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<std::unique_ptr<Shape>> shapes_;
};

inline constexpr Counts Stored(int64_t rows) { return {rows, rows, 0, 0, 0}; }

}  // namespace tranche

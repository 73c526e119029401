// What the tests of the sources share: files in a folder of their own, a source as a run uses it, its rows
// and rejects.
#pragma once

#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tranche/base/clock.h"
#include "tranche/batch/cutter.h"
#include "tranche/connector/spec.h"
#include "tranche/duckdb/duckdb_engine.h"
#include "tranche/sources/sources.h"

namespace tranche {

// A value of a job file, from JSON: {"path": "/x/a.csv", "nulls": ["NA"]}
inline Node ToNode(const nlohmann::ordered_json& json) {
  Node node;
  node.place = {"job.yaml", 1, 1};
  if (json.is_object()) {
    node.kind = Node::Kind::kMap;
    for (const auto& [key, value] : json.items())
      node.entries.emplace_back(Node::Key{key, node.place}, ToNode(value));
  } else if (json.is_array()) {
    node.kind = Node::Kind::kList;
    for (const auto& item : json) node.items.push_back(ToNode(item));
  } else {
    node.text = json.is_string() ? json.get<std::string>() : json.dump();
  }
  return node;
}

class SourceFixture : public testing::Test {
 protected:
  SourceFixture() {
    folder_ = testing::TempDir() + "tranche-" + NewId();
    std::filesystem::create_directory(folder_);
    engine_ = MakeDuckDb({.threads = 2, .spill_folder = folder_ + "/spill"}).value();
  }
  ~SourceFixture() override {
    sources_.clear();
    engine_.reset();
    std::filesystem::remove_all(folder_);
  }

  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  std::string Write(const std::string& name, std::string_view content) {
    std::filesystem::create_directories(std::filesystem::path(Path(name)).parent_path());
    std::ofstream(Path(name), std::ios::binary) << content;
    return Path(name);
  }
  // "/tmp/…/a.csv" → "a.csv"
  std::string Short(std::string text) const {
    for (size_t at = text.find(folder_ + "/"); at != std::string::npos; at = text.find(folder_ + "/")) {
      text.erase(at, folder_.size() + 1);
    }
    return text;
  }

  struct Outcome {
    std::string rows;                  // "1|x\n", or the error
    std::vector<std::string> rejects;  // "a.csv:3 @9 a: \"x\" is not a BIGINT [x,1]"
    std::string columns;               // "a BIGINT, b VARCHAR"
    std::string description;
    int64_t read = -1;  // as Total says
    bool exact = false;
    int recovered = 0;
    Code code = Code::kInternal;
  };

  SourceContext Context() {
    return {.input = "it", .engine = engine_.get(), .scratch = folder_ + "/scratch"};
  }

  Outcome Fails(const Error& error) { return {.rows = Short(error.ToString()), .code = error.code}; }

  // Plans, opens what was planned in a second source as a resume does, scans, takes rejects.
  Outcome Read(const SourceSpec& spec, const nlohmann::ordered_json& options) {
    nodes_.push_back(std::make_unique<Node>(ToNode(options)));
    specs_.push_back(std::make_unique<SourceSpec>(spec));
    const Options read(&specs_.back()->shape, nodes_.back().get());
    auto planner = specs_.back()->make(read);
    if (!planner) return Fails(planner.error());
    SourceContext context = Context();
    auto splits = (*planner)->Plan(context);
    if (!splits) return Fails(splits.error());
    if (after_plan_) after_plan_();
    auto made = specs_.back()->make(read);
    sources_.push_back(*std::move(made));
    Source& source = *sources_.back();
    if (Status opened = source.Open(*std::move(splits), context); !opened) return Fails(opened.error());
    Outcome outcome;
    while (true) {
      Status done = ReadOnce(source, context, outcome);
      if (done) break;
      if (!source.Recover(done.error())) return Fails(done.error());
      ++outcome.recovered;
    }
    for (const Column& column : source.columns()) {
      outcome.columns += (outcome.columns.empty() ? "" : ", ") + column.name + " " + column.type;
    }
    outcome.description = Short(source.Describe());
    return outcome;
  }

  Status ReadOnce(Source& source, SourceContext& context, Outcome& outcome) {
    outcome.rows.clear();
    outcome.rejects.clear();
    TRANCHE_ASSIGN(SqlText scan, source.Scan(context));
    std::string names;
    for (const Column& column : source.columns()) names += QuoteName(column.name) + ", ";
    const std::string mark = source.marks() ? QuoteName(kRejectColumn) : "NULL";
    SqlText sql("SELECT " + names + mark + " FROM ");
    sql << scan;
    // Counts are those of Run; Select gives the texts.
    {
      TRANCHE_ASSIGN(auto reader, engine_->Run({sql}));
      while (true) {
        TRANCHE_ASSIGN(auto batch, reader->Next());
        if (batch == nullptr) break;
      }
    }
    TRANCHE_ASSIGN(auto total, source.Total(context));
    outcome.read = total.rows;
    outcome.exact = total.exact;
    TRANCHE_ASSIGN(auto rows, engine_->Select({sql}));
    for (const TextRow& row : rows) {
      if (row.back()) {
        AddReject(nlohmann::json::parse(*row.back()), outcome);
        continue;
      }
      for (size_t i = 0; i + 1 < row.size(); ++i)
        outcome.rows += (i > 0 ? "|" : "") + row[i].value_or("NULL");
      outcome.rows += "\n";
    }
    return source.TakeRejects(context, [&](Reject reject) -> Status {
      outcome.rejects.push_back(
          Short(fmt::format("{}:{} @{} {}: {} [{}]", reject.file, reject.line, reject.byte, reject.column,
                            reject.reason, reject.content)));
      return {};
    });
  }

  void AddReject(const nlohmann::json& mark, Outcome& outcome) {
    auto text = [&](const char* key) {
      if (!mark.contains(key) || mark.at(key).is_null()) return std::string("-");
      return mark.at(key).is_string() ? mark.at(key).get<std::string>() : mark.at(key).dump();
    };
    EXPECT_EQ(text("origin"), "input it");
    outcome.rejects.push_back(Short(fmt::format("{}:{} @{} {}: {} [{}]", text("file"), text("line"),
                                                text("byte"), text("column"), text("reason"), text("row"))));
  }

  std::string folder_;
  std::unique_ptr<Engine> engine_;
  std::function<void()> after_plan_;
  std::vector<std::unique_ptr<Node>> nodes_;
  std::vector<std::unique_ptr<SourceSpec>> specs_;
  std::vector<std::unique_ptr<Source>> sources_;
};

}  // namespace tranche

// For the tests of this folder: a registry of made-up components, an engine that stumbles over the word
// "oops", and a folder for job files.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tranche/base/clock.h"
#include "tranche/connector/engine.h"
#include "tranche/job/load.h"

namespace tranche {

class StumblingEngine : public Engine {
 public:
  Status CheckExpression(const Expression& expression) override { return Stumble(expression); }
  Status CheckSelect(const Expression& select) override { return Stumble(select); }

  std::string version() const override { return "1"; }
  Result<std::unique_ptr<Engine>> Fork() override { return Unused(); }
  Result<std::vector<std::string>> TablesOf(const Expression&) override { return Unused(); }
  const std::set<std::string>& MoodyWords() const override {
    static const std::set<std::string> kNone;
    return kNone;
  }
  Result<Columns> Bind(const Query&) override { return Unused(); }
  Result<std::unique_ptr<Reader>> Run(const Query&) override { return Unused(); }
  Result<int64_t> CopyAside(const Query&, const CopyTarget&) override { return Unused(); }
  std::vector<ScanCount> LastScans() const override { return {}; }
  Result<std::vector<TextRow>> Select(const Query&) override { return Unused(); }
  Result<int64_t> Execute(std::string_view, const std::vector<Value>&) override { return Unused(); }
  Result<std::string> Register(std::shared_ptr<arrow::Schema>, ReaderFactory) override { return Unused(); }
  void Unregister(const std::string&) override {}
  void Interrupt() override {}

 private:
  static Error Unused() { return Fail(Code::kInternal, "loading a job asks no engine for this"); }
  static Status Stumble(const Expression& sql) {
    size_t at = sql.text.find("oops");
    if (at == std::string::npos) return {};
    return Fail(Code::kJob, "oops").At(sql.source.At(at));
  }
};

class FixedClock : public Clock {
 public:
  int64_t NowMicros() override { return int64_t{1795132800} * 1'000'000; }  // 2026-11-20T00:00:00Z
  int64_t SteadyNanos() override { return 0; }
  void Sleep(Duration) override {}
};

class ReadyStep : public Step {
 public:
  explicit ReadyStep(std::vector<std::string> inputs) : inputs_(std::move(inputs)) {}
  bool blocking() const override { return false; }
  std::vector<std::string> inputs() const override { return inputs_; }
  Result<StepOutput> Render(const Relation&, const StepContext&) const override {
    return Fail(Code::kInternal, "loading a job renders nothing");
  }

 private:
  std::vector<std::string> inputs_;
};

inline Shape FileShape() {
  return Shape::Object({
      {"path", Shape::Path(), "Where.", Field::kRequired},
      {"delimiter", Shape::Character(), "What separates the fields.", "comma"},
      {"header", Shape::Boolean(), "Whether names come first.", "true"},
      {"types", Shape::Map(Shape::Column(), Shape::Type()), "Types of columns."},
      {"note", Shape::Text(), "Anything."},
  });
}

inline StepSpec MakeStepSpec(std::string name, Shape shape) {
  StepSpec spec;
  spec.name = std::move(name);
  spec.summary = "Does something.";
  spec.shape = std::move(shape);
  return spec;
}

inline Registry TestRegistry() {
  Registry registry;
  SourceSpec csv;
  csv.name = "csv";
  csv.summary = "Reads comma-separated files.";
  csv.doc = "A paragraph.";
  csv.example = "csv: {path: data.csv}";
  csv.shape = FileShape();
  csv.make = [](const Options& options) -> Result<std::unique_ptr<Source>> {
    if (options.Text("note") == "refuse me")
      return Fail(Code::kJob, "refused by its factory").At(options.PlaceOf("note"));
    return std::unique_ptr<Source>();
  };
  registry.Add(csv);
  csv.name = "lines";
  csv.summary = "Reads lines.";
  registry.Add(csv);

  registry.Add(MakeStepSpec("filter", Shape::Expression()));
  registry.Add(MakeStepSpec("limit", Shape::Integer(1)));
  registry.Add(MakeStepSpec("select", Shape::ListOrOne(Shape::Column())));
  registry.Add(MakeStepSpec("derive", Shape::Map(Shape::Column(), Shape::Expression())));
  registry.Add(MakeStepSpec("aggregate", Shape::Map(Shape::Column(), Shape::Expression())));
  registry.Add(MakeStepSpec("sort", Shape::ListOrOne(Shape::Order())));
  registry.Add(MakeStepSpec("check", Shape::Map(Shape::Name(), Shape::Expression())));
  registry.Add(MakeStepSpec(
      "sql",
      Shape::OneOf({Shape::Sql(), Shape::Object({{"path", Shape::Path(), "A file.", Field::kRequired}})})));
  StepSpec join =
      MakeStepSpec("join", Shape::Object({{"with", Shape::Name(), "The other input.", Field::kRequired},
                                          {"using", Shape::ListOrOne(Shape::Column()), "Columns."},
                                          {"how", Shape::Choice({"inner", "left"}), "How.", "inner"}}));
  join.make = [](const Options& options) -> Result<std::unique_ptr<Step>> {
    return std::make_unique<ReadyStep>(std::vector{options.Text("with")});
  };
  registry.Add(join);

  SinkSpec sink;
  sink.name = "csv";
  sink.summary = "Writes comma-separated files.";
  sink.shape = FileShape();
  sink.modes = {"replace", "append"};
  sink.guarantee = "exactly once, by renaming";
  registry.Add(sink);
  sink.name = "parquet";
  sink.parallel = 4;
  registry.Add(sink);
  sink.name = "table";
  sink.modes = {"append", "replace", "upsert"};
  sink.shape = Shape::Object({{"table", Shape::Text(), "Its name.", Field::kRequired},
                              {"mode", Shape::Choice({"append", "replace", "upsert"}),
                               "What happens to rows that are there.", "append"}});
  registry.Add(sink);
  return registry;
}

class JobTest : public ::testing::Test {
 protected:
  JobTest() {
    std::string name = std::filesystem::temp_directory_path() / "tranche-job-XXXXXX";
    folder_ = mkdtemp(name.data());
    context_.registry = &registry_;
    context_.engine = &engine_;
    context_.clock = &clock_;
    context_.run_id = "run1";
    auto look = [](const std::map<std::string, std::string>& map,
                   const std::string& name) -> std::optional<std::string> {
      auto found = map.find(name);
      return found == map.end() ? std::nullopt : std::optional(found->second);
    };
    context_.environment = [look](const std::string& name) { return look({{"STAGE", "prod"}}, name); };
    context_.secret = [this, look](const std::string& name) { return look(secrets_, name); };
  }
  ~JobTest() override { std::filesystem::remove_all(folder_); }

  void Write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ + "/" + name) << text;
  }

  Loaded Load(const std::string& text) {
    Write("job.yaml", text);
    Loaded loaded = LoadJob(folder_ + "/job.yaml", context_);
    for (auto* list : {&loaded.errors, &loaded.warnings}) {
      for (Error& error : *list)
        error.place.file = Shorten(error.place.file), error.message = Shorten(error.message),
        error.hint = Shorten(error.hint);
    }
    return loaded;
  }

  Job Good(const std::string& text) {
    Loaded loaded = Load(text);
    for (const Error& error : loaded.errors) ADD_FAILURE() << error.ToString();
    return std::move(loaded.job);
  }

  std::vector<std::string> Errors(const std::string& text) {
    std::vector<std::string> messages;
    for (const Error& error : Load(text).errors) messages.push_back(error.ToString());
    return messages;
  }

  // Paths as they are when tranche runs in the job's folder.
  std::string Shorten(std::string text) const {
    for (size_t at; (at = text.find(folder_ + "/")) != std::string::npos;) text.erase(at, folder_.size() + 1);
    return text;
  }

  std::string folder_;
  Registry registry_ = TestRegistry();
  StumblingEngine engine_;
  FixedClock clock_;
  std::map<std::string, std::string> secrets_ = {{"KEY", "hunter2"}};
  LoadContext context_;
};

}  // namespace tranche

// Steps on the real engine, as the planner uses them: rendered over a stub, bound, rendered over the rows.
#pragma once

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tranche/batch/cutter.h"
#include "tranche/duckdb/duckdb_engine.h"
#include "tranche/steps/clause.h"
#include "tranche/steps/steps.h"

namespace tranche {

// JSON as the Node of a job file with one line. A value's place is where its text first stands in it.
class FlowReader {
 public:
  explicit FlowReader(std::string text) : text_(std::move(text)) {}
  Node Read() const { return ToNode(nlohmann::ordered_json::parse(text_)); }

 private:
  Place PlaceOf(const std::string& word) const {
    return {"job.yaml", 1, static_cast<int>(text_.find(word)) + 1};
  }

  Node ToNode(const nlohmann::ordered_json& json) const {
    if (json.is_object()) {
      Node node;
      node.kind = Node::Kind::kMap;
      node.place = {"job.yaml", 1, 1};
      for (const auto& [key, value] : json.items()) {
        node.entries.push_back({{key, PlaceOf(key)}, ToNode(value)});
      }
      return node;
    }
    if (json.is_array()) {
      Node node;
      node.kind = Node::Kind::kList;
      node.place = {"job.yaml", 1, 1};
      for (const auto& item : json) node.items.push_back(ToNode(item));
      return node;
    }
    std::string text = json.is_string() ? json.get<std::string>() : json.dump();
    Place place = PlaceOf(text);
    return Node::Scalar(std::move(text), std::move(place));
  }

  std::string text_;
};

class StepsTest : public testing::Test {
 protected:
  void SetUp() override {
    auto engine = MakeDuckDb({.threads = 2, .spill_folder = testing::TempDir() + "spill"});
    ASSERT_TRUE(engine) << engine.error().ToString();
    engine_ = *std::move(engine);
  }

  // "SELECT …" as what a step sees before it. Columns that begin with the hidden prefix are hidden.
  Relation Over(const std::string& select, std::vector<std::string> group = {}) {
    Relation relation;
    relation.from = SqlText(fmt::format("({})", select));
    auto columns = engine_->Bind({SqlText(select)});
    if (!columns) {
      ADD_FAILURE() << columns.error().ToString();
      return relation;
    }
    for (Column& column : *columns) {
      if (column.name.starts_with(kHiddenPrefix)) {
        relation.hidden.push_back(column.name);
      } else {
        relation.columns.push_back(column);
      }
    }
    relation.group = std::move(group);
    return relation;
  }

  // VALUES as rows of these columns: Over(Values("(1), (2)", "a")).
  static std::string Values(const std::string& rows, const std::string& columns) {
    return fmt::format("SELECT * FROM (VALUES {}) AS t({})", rows, columns);
  }

  struct Outcome {
    Relation next;
    StepOutput output;
    bool blocking = false;
  };

  Result<Outcome> Apply(const StepSpec& spec, const std::string& json, const Relation& input) {
    const Node node = FlowReader(json).Read();
    const Options options(&spec.shape, &node);
    TRANCHE_ASSIGN(auto step, spec.make(options));
    const StepContext context{.place = spec.name + " (prepare 1)",
                              .inputs = &inputs_,
                              .engine = engine_.get(),
                              .parameters = &parameters_,
                              .seed = seed_};
    TRANCHE_ASSIGN(StepOutput stub, step->Render(clause::StubOf(input), context));
    TRANCHE_ASSIGN(Columns bound, engine_->Bind({stub.select, &parameters_}));
    Outcome outcome;
    TRANCHE_ASSIGN(outcome.output, step->Render(input, context));
    outcome.next.from << "(" << outcome.output.select << ")";
    for (Column& column : bound) {
      if (column.name.starts_with(kHiddenPrefix)) {
        outcome.next.hidden.push_back(column.name);
      } else {
        outcome.next.columns.push_back(column);
      }
    }
    EXPECT_THAT(outcome.next.hidden, testing::UnorderedElementsAreArray(outcome.output.hidden));
    if (!outcome.output.ends_group) outcome.next.group = input.group;
    outcome.blocking = step->blocking();
    return outcome;
  }

  // The outcome of a step that must not fail.
  Outcome Must(const StepSpec& spec, const std::string& json, const Relation& input) {
    auto outcome = Apply(spec, json, input);
    if (outcome) return *std::move(outcome);
    ADD_FAILURE() << outcome.error().ToString();
    return {.next = input, .output = {}};
  }

  // "a b|1 x|2 NULL": the columns, then the rows. Hidden columns are left out.
  std::string Show(const Relation& relation, const std::string& rest = "") {
    std::string text;
    std::string list;
    for (const Column& column : relation.columns) {
      text += (text.empty() ? "" : " ") + column.name;
      list += (list.empty() ? "" : ", ") + QuoteName(column.name);
    }
    SqlText select("SELECT ");
    select << list << " FROM " << relation.from << rest;
    auto rows = engine_->Select({select, &parameters_});
    if (!rows) return "error: " + rows.error().ToString();
    for (const TextRow& row : *rows) {
      std::string line;
      for (const auto& value : row) line += (line.empty() ? "" : " ") + value.value_or("NULL");
      text += "|" + line;
    }
    return text;
  }

  std::string Run(const StepSpec& spec, const std::string& json, const Relation& input) {
    auto outcome = Apply(spec, json, input);
    if (!outcome) return "error: " + outcome.error().ToString();
    return Show(outcome->next);
  }

  std::string Run(const StepSpec& spec, const std::string& json, const std::string& rows,
                  const std::string& columns, std::vector<std::string> group = {}) {
    return Run(spec, json, Over(Values(rows, columns), std::move(group)));
  }

  // The types of the output, or the error.
  std::string Types(const StepSpec& spec, const std::string& json, const Relation& input) {
    auto outcome = Apply(spec, json, input);
    if (!outcome) return "error: " + outcome.error().ToString();
    std::string text;
    for (const Column& column : outcome->next.columns) text += (text.empty() ? "" : " ") + column.type;
    return text;
  }

  // The messages of the step's guards, one after the other: "! …" where it fails, "? …" where it warns.
  std::string Guards(const StepSpec& spec, const std::string& json, const Relation& input) {
    auto outcome = Apply(spec, json, input);
    if (!outcome) return "error: " + outcome.error().ToString();
    std::string text;
    for (const Guard& guard : outcome->output.guards) {
      auto rows = engine_->Select({guard.query, &parameters_});
      if (!rows) return "error: " + rows.error().ToString();
      for (const TextRow& row : *rows)
        text += fmt::format("{} {}|", guard.warn ? "?" : "!", row[0].value_or("NULL"));
    }
    return text;
  }

  // The marks that the step set: "reason @ column" of each marked row; NULL where there is no column.
  std::string Marks(const StepSpec& spec, const std::string& json, const Relation& input) {
    auto outcome = Apply(spec, json, input);
    if (!outcome) return "error: " + outcome.error().ToString();
    Relation marks;
    marks.columns = {{"reason", "VARCHAR"}, {"column", "VARCHAR"}};
    marks.from << "(SELECT " << kRejectColumn << "->>'reason' AS reason, '@ ' || (" << kRejectColumn
               << "->>'column') AS \"column\" FROM " << outcome->next.from << " WHERE " << kRejectColumn
               << " IS NOT NULL)";
    return Show(marks);
  }

  std::unique_ptr<Engine> engine_;
  std::map<std::string, Relation> inputs_;
  Parameters parameters_;
  uint64_t seed_ = 7;
};

}  // namespace tranche

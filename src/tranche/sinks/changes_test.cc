// Batches of changes, held against doing them one after the other in a map.
#include <random>

#include "tranche/base/sqlite.h"
#include "tranche/sinks/sink_fixture.h"
#include "tranche/sinks/sinks.h"

namespace tranche {
namespace {

constexpr const char* kBad = "bad";  // a value that the table refuses

struct Row {
  std::string change;
  int key = 0;
  std::string value;
};

struct Model {
  std::map<int, std::string> table;
  Counts counts;
  std::vector<int64_t> rejects;

  // One batch, the first row of which has the number `first`.
  void Apply(const std::vector<Row>& rows, int64_t first) {
    std::map<int, int64_t> touched;
    for (const Row& row : rows) {
      ++counts.sent;
      const int64_t number = first++;
      const bool there = table.contains(row.key), writes = row.change != "D";
      if (row.change == "?" || (row.change == "I" && there) ||
          (writes && row.value == kBad && (row.change != "U" || there))) {
        ++counts.rejected;
        rejects.push_back(number);
      } else if (!there && (row.change == "U" || row.change == "D")) {
        ++counts.unmatched;
      } else {
        ++(touched[row.key]++ > 0 ? counts.superseded : counts.stored);
        if (writes) table[row.key] = row.value;
        if (!writes) table.erase(row.key);
      }
    }
  }
};

class ChangesTest : public SinkTest, public testing::WithParamInterface<std::tuple<std::string, unsigned>> {
 protected:
  bool duckdb() const { return std::get<0>(GetParam()) == "duckdb"; }

  std::unique_ptr<Sink> Store() {
    const SinkSpec spec = duckdb() ? DuckDbSink() : SqliteSink();
    Node options = ToNode({{"path", Path("a.db")}, {"table", "t"}, {"key", std::vector<std::string>{"id"}}});
    Node mode = ToNode({{"column", "op"},
                        {"insert", std::vector<std::string>{"I"}},
                        {"update", std::vector<std::string>{"U"}},
                        {"upsert", std::vector<std::string>{"S"}},
                        {"delete", std::vector<std::string>{"D"}}});
    options.entries.push_back({{"mode", {}}, std::move(mode)});
    nodes_.push_back(std::make_unique<Node>(std::move(options)));
    shapes_.push_back(std::make_unique<Shape>(spec.shape));
    return spec.make(Options(shapes_.back().get(), nodes_.back().get())).value();
  }

  void MakeTable() {
    const std::string columns = fmt::format("t (id INTEGER PRIMARY KEY, v VARCHAR CHECK (v <> '{}'))", kBad);
    if (!duckdb()) {
      auto database = sqlite::Database::Open(Path("a.db"), sqlite::Access::kCreate).value();
      ASSERT_TRUE(database->Execute("CREATE TABLE " + columns));
      return;
    }
    ASSERT_TRUE(engine_->Execute(fmt::format("ATTACH '{}' AS made", Path("a.db"))));
    ASSERT_TRUE(engine_->Execute("CREATE TABLE made." + columns));
    ASSERT_TRUE(engine_->Execute("DETACH made"));
  }

  std::string Stored() {
    std::string text;
    if (duckdb()) {
      auto rows = session_->Select({SqlText("SELECT id || '|' || v FROM t ORDER BY id")}).value();
      for (const TextRow& row : rows) text += row[0].value_or("") + "\n";
      return text;
    }
    auto database = sqlite::Database::Open(Path("a.db"), sqlite::Access::kReadOnly).value();
    auto rows = database->Query("SELECT id || '|' || v FROM t ORDER BY id").value();
    for (const sqlite::Row& row : rows) text += std::get<std::string>(row[0]) + "\n";
    return text;
  }

  Batch ToBatch(const std::vector<Row>& rows, int64_t first) {
    std::string values;
    for (const Row& row : rows) {
      const std::string op = row.change == "?" ? "NULL" : QuoteText(row.change);
      values += fmt::format("{}({}, {}, {}, {})", values.empty() ? "" : ", ", op, row.key,
                            QuoteText(row.value), values.size());
    }
    return Rows(
        fmt::format("SELECT op::VARCHAR AS op, id, v FROM (VALUES {}) r(op, id, v, n) ORDER BY n", values),
        first);
  }

  // Random batches of random changes of few keys.
  void Compare(int bad_percent) {
    std::mt19937 random(std::get<1>(GetParam()));
    const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
    MakeTable();
    auto sink = Store();
    Model model;
    Counts counts;
    std::vector<int64_t> rejects;
    int64_t first = 0;
    for (int batch = 0; batch < 12; ++batch) {
      std::vector<Row> rows(1 + below(40));
      for (Row& row : rows) {
        const char* changes[] = {"I", "U", "S", "D"};
        row = {below(50) == 0 ? "?" : changes[below(4)], below(6),
               below(100) < bad_percent ? kBad : "v" + std::to_string(below(1000))};
      }
      const Batch made = ToBatch(rows, first);
      if (batch == 0) {
        ASSERT_TRUE(OpenFor(*sink, made));
      }
      auto report = sink->Write(made, context_);
      ASSERT_TRUE(report) << report.error().ToString();
      EXPECT_TRUE(report->counts.balanced());
      EXPECT_EQ(sink->Write(made, context_)->counts, report->counts);
      counts += report->counts;
      for (const Reject& reject : report->rejects) rejects.push_back(reject.row);
      model.Apply(rows, first);
      first = made.span.to;

      std::string wanted;
      for (const auto& [key, value] : model.table) wanted += fmt::format("{}|{}\n", key, value);
      ASSERT_EQ(Stored(), wanted) << "batch " << batch;
    }
    EXPECT_EQ(counts.sent, model.counts.sent);
    // DuckDB does not try a row that a later one makes void.
    if (duckdb() && bad_percent > 0) return;
    EXPECT_EQ(counts, model.counts);
    EXPECT_EQ(rejects, model.rejects);
  }
};

TEST_P(ChangesTest, AsIfDoneOneAfterTheOther) { Compare(0); }
TEST_P(ChangesTest, AsIfDoneOneAfterTheOtherWithRowsThatAreRefused) { Compare(20); }

INSTANTIATE_TEST_SUITE_P(Seeds, ChangesTest,
                         testing::Combine(testing::Values("sqlite", "duckdb"), testing::Range(1u, 4u)));

}  // namespace
}  // namespace tranche

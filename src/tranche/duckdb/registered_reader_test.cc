#include <mutex>
#include <set>
#include <thread>

#include <arrow/api.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tranche/duckdb/engine_fixture.h"

namespace tranche {
namespace {

using testing::HasSubstr;

constexpr const char* kRows =
    "SELECT range AS i, CASE WHEN range % 7 <> 3 THEN 'number ' || range END AS \"it's \"\"text\"\"\", "
    "CASE WHEN range % 11 <> 5 THEN range % 2 = 0 END AS even, "
    "[x + range FOR x IN range(range % 4)] AS list, ['a', NULL, 'c'][range % 3 + 1]::ENUM('a', 'b', 'c') AS "
    "word, "
    "(range / 8)::DECIMAL(20, 2) AS price, {'day': DATE '2020-01-01' + range::INTEGER, 'texts': ['x' || "
    "range, NULL]} "
    "AS pair, MAP {range: 'v'} AS map, TIMESTAMPTZ '2020-01-01' + INTERVAL (range) SECOND AS at, "
    "range::HUGEINT AS huge, "
    "TIME '01:02:03' AS time, ('x' || range)::BLOB AS blob, INTERVAL (range) DAY AS span, NULL::VARCHAR AS "
    "nothing, "
    "range::DOUBLE / 3 AS half, [range, 2]::BIGINT[2] AS two, (range % 200)::UTINYINT AS small "
    "FROM range(30000)";

// Hands on another reader's rows in batches of odd sizes, some of them empty; fails at the end if it is told
// to.
class Odd : public Reader {
 public:
  Odd(std::unique_ptr<Reader> inner, std::atomic<int>* open, std::optional<Error> error = {})
      : inner_(std::move(inner)), open_(open), error_(std::move(error)) {
    ++*open_;
  }
  ~Odd() override { --*open_; }
  std::shared_ptr<arrow::Schema> schema() const override { return inner_->schema(); }

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    if (batch_ == nullptr || done_ == batch_->num_rows()) {
      TRANCHE_ASSIGN(batch_, inner_->Next());
      done_ = 0;
      if (batch_ == nullptr && error_) return *error_;
      if (batch_ == nullptr) return batch_;
    }
    size_ = (size_ * 5 + 3) % 4999;
    auto part = batch_->Slice(done_, std::min(size_, batch_->num_rows() - done_));
    done_ += part->num_rows();
    return part;
  }

 private:
  std::unique_ptr<Reader> inner_;
  std::atomic<int>* open_;
  std::optional<Error> error_;
  std::shared_ptr<arrow::RecordBatch> batch_;
  int64_t done_ = 0;
  int64_t size_ = 0;
};

class RegisteredReaderTest : public EngineFixture {
 protected:
  // The rows of `sql`, through a session of their own for each scan.
  std::string Register(const std::string& sql, std::optional<Error> error = {}) {
    auto schema = engine_->Run({sql}).value()->schema();
    auto name = engine_->Register(schema, [=, this]() -> Result<std::unique_ptr<Reader>> {
      sessions_.push_back(engine_->Fork().value());
      TRANCHE_ASSIGN(auto reader, sessions_.back()->Run({sql}));
      return std::make_unique<Odd>(std::move(reader), &open_, error);
    });
    EXPECT_TRUE(name) << name.error().ToString();
    return name.value_or("");
  }

  std::vector<std::unique_ptr<Engine>> sessions_;
  std::atomic<int> open_ = 0;
};

TEST_F(RegisteredReaderTest, HandsOnAllTypesUnchanged) {
  std::string name = Register(kRows);
  std::string rows = "SELECT * REPLACE (word::VARCHAR AS word) FROM ";
  std::string difference = "SELECT count(*) FROM ({}{} EXCEPT ALL {}{})";
  EXPECT_EQ(Rows({fmt::format("SELECT count(*) FROM {}", name)}), "30000\n");
  EXPECT_EQ(Rows({fmt::format(fmt::runtime(difference), rows, name, rows, fmt::format("({})", kRows))}),
            "0\n");
  EXPECT_EQ(Rows({fmt::format(fmt::runtime(difference), rows, fmt::format("({})", kRows), rows, name)}),
            "0\n");
  EXPECT_EQ(open_, 0);
}

TEST_F(RegisteredReaderTest, KeepsTheOrderAndCountsItsRows) {
  std::string name = Register(kRows);
  auto reader = engine_->Run({"SELECT i, \"it's \"\"text\"\"\" FROM " + name + " WHERE i % 2 = 0"}).value();
  int64_t next = 0;
  while (auto batch = reader->Next().value()) {
    auto& numbers = static_cast<const arrow::Int64Array&>(*batch->column(0));
    for (int64_t i = 0; i < numbers.length(); ++i, next += 2) ASSERT_EQ(numbers.Value(i), next);
  }
  EXPECT_EQ(next, 30000);
  Rows({"SELECT count(*) FROM " + name});  // is not counted
  ASSERT_EQ(engine_->LastScans().size(), 1);
  EXPECT_EQ(engine_->LastScans()[0].rows, 30000);
  EXPECT_EQ(engine_->LastScans()[0].function, name);
}

TEST_F(RegisteredReaderTest, CanBeScannedTwiceInAQueryAndFromManySessions) {
  std::string name = Register("SELECT range AS i FROM range(20000)");
  EXPECT_EQ(Rows({fmt::format("SELECT count(*) FROM {0} a JOIN {0} b USING (i)", name)}), "20000\n");
  auto fork = engine_->Fork().value();
  EXPECT_EQ(fork->Select({"SELECT sum(i) FROM " + name}).value()[0][0], "199990000");
}

TEST_F(RegisteredReaderTest, FeedsAnInsertInATransactionOnAnAttachedFile) {
  std::string name = Register(kRows);
  Execute("ATTACH '" + folder_ + "/store.duckdb' AS store; CREATE TABLE store.t AS SELECT i, pair FROM " +
          name + " LIMIT 0");
  Execute("BEGIN");
  EXPECT_EQ(Execute("INSERT INTO store.t SELECT i, pair FROM " + name), 30000);
  Execute("ROLLBACK; BEGIN");
  EXPECT_EQ(Execute("INSERT INTO store.t SELECT i, pair FROM " + name + " WHERE i < 100"), 100);
  Execute("COMMIT");
  EXPECT_EQ(Rows({"SELECT count(*) FROM store.t"}), "100\n");
}

TEST_F(RegisteredReaderTest, CanBeRegisteredInATransactionOnAnAttachedFile) {
  Execute("ATTACH '" + folder_ + "/store.duckdb' AS store; USE store; CREATE TABLE t (i BIGINT)");
  auto other = engine_->Fork().value();
  Execute("BEGIN; INSERT INTO t VALUES (-1)");
  std::string name = Register("SELECT range AS i FROM range(10)");
  EXPECT_EQ(Execute("INSERT INTO t SELECT i FROM " + name), 10);
  EXPECT_EQ(other->Select({"SELECT count(*) FROM " + name}).value()[0][0], "10");
  Execute("ROLLBACK");
  EXPECT_EQ(Rows({"SELECT count(*) FROM " + name}), "10\n");
  EXPECT_EQ(Rows({"SELECT count(*) FROM t"}), "0\n");
}

TEST_F(RegisteredReaderTest, ItsErrorsComeOutUnchanged) {
  Error error{Code::kOutside, "the server hung up", {"job.yaml", 4, 2}, "try later"};
  std::string name = Register("SELECT range AS i FROM range(1000)", error);
  auto check = [&](const Error& seen) {
    EXPECT_EQ(seen.ToString(), error.ToString());
    EXPECT_EQ(seen.code, error.code);
  };
  check(engine_->Select({"SELECT count(*) FROM " + name}).error());
  check(engine_->CopyAside({"SELECT * FROM " + name}, {folder_ + "/x.csv", "csv", {}, {}, ""}).error());
  check(engine_->Execute("CREATE TABLE t AS SELECT * FROM " + name).error());
  auto reader = engine_->Run({"SELECT * FROM " + name});
  check(reader ? (*reader)->Next().error() : reader.error());
  auto refusing = engine_->Register(
      (*Register("SELECT 1 AS a").begin(), arrow::schema({arrow::field("a", arrow::int32())})),
      [&]() -> Result<std::unique_ptr<Reader>> { return error; });
  check(engine_->Select({"SELECT * FROM " + refusing.value()}).error());
  EXPECT_EQ(open_, 0);
}

// DuckDB goes on while the caller is busy with the rows it was given, by then in a thread of its own. Often,
// for who takes up the work again when the buffer has room is left to chance.
TEST_F(RegisteredReaderTest, ErrorsAreNotLostWhileTheCallerIsBusy) {
  const std::string rows = "SELECT range AS i FROM range(140000)";  // a little more than the buffer takes
  const std::string fails = Register(rows, Fail(Code::kData, "line 9 is bad"));
  const std::string whole = Register(rows);
  auto error_of = [&](const std::string& query) {
    auto reader = engine_->Run({query}).value();
    while (true) {
      auto batch = reader->Next();
      if (!batch) return batch.error().message;
      if (*batch == nullptr) return std::string("none");
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
  };
  for (int turn = 0; turn < 50; ++turn) {
    ASSERT_EQ(error_of("SELECT i FROM " + fails), "line 9 is bad") << "in turn " << turn;
    ASSERT_EQ(error_of("SELECT CASE i WHEN 139999 THEN error('no such i') ELSE i END FROM " + whole),
              "no such i")
        << "in turn " << turn;
  }
}

// 0, 1, … before `end`, to whoever asks; who asks, waits a little, so that others ask as well.
class Shared : public Reader {
 public:
  Shared(int64_t end, std::set<std::thread::id>& threads, bool fails)
      : end_(end), threads_(threads), fails_(fails) {}
  std::shared_ptr<arrow::Schema> schema() const override {
    return arrow::schema({arrow::field("i", arrow::int64())});
  }
  bool shared() const override { return true; }
  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    int64_t from = 0;
    {
      const std::scoped_lock lock(mutex_);
      threads_.insert(std::this_thread::get_id());
      if (next_ == end_ && fails_) return Fail(Code::kOutside, "the server is gone");
      if (next_ == end_) return nullptr;
      from = std::exchange(next_, next_ + kRows);
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
    arrow::Int64Builder numbers;
    for (int64_t i = 0; i < kRows; ++i) (void)numbers.Append(from + i);
    return arrow::RecordBatch::Make(schema(), kRows, {numbers.Finish().ValueOrDie()});
  }

 private:
  static constexpr int64_t kRows = 5000;
  const int64_t end_;
  std::set<std::thread::id>& threads_;
  const bool fails_;
  std::mutex mutex_;
  int64_t next_ = 0;
};

TEST_F(RegisteredReaderTest, ASharedOneIsReadBySeveralThreads) {
  std::set<std::thread::id> threads;
  for (const bool fails : {false, true}) {
    threads.clear();
    const std::string name = engine_
                                 ->Register(Shared(0, threads, false).schema(),
                                            [&, fails]() -> Result<std::unique_ptr<Reader>> {
                                              return std::make_unique<Shared>(1'000'000, threads, fails);
                                            })
                                 .value();
    ASSERT_TRUE(engine_->Execute("SET preserve_insertion_order = false"));
    auto written = engine_->CopyAside({"FROM " + name}, {.path = folder_ + "/out.csv", .format = "csv"});
    EXPECT_GT(threads.size(), 1);
    if (fails) {
      EXPECT_THAT(written.error().ToString(), HasSubstr("the server is gone"));
      continue;
    }
    EXPECT_EQ(written.value_or(0), 1'000'000);
    EXPECT_EQ(engine_->LastScans().at(0).rows, 1'000'000);
    EXPECT_EQ(Rows({"SELECT count(DISTINCT i), min(i), max(i) FROM '" + folder_ + "/out.csv'"}),
              "1000000|0|999999\n");
  }
}

TEST_F(RegisteredReaderTest, IsClosedWhenTheQueryIsGivenUp) {
  std::string name = Register("SELECT range AS i FROM range(1000000)");
  {
    auto reader = engine_->Run({"SELECT * FROM " + name}).value();
    ASSERT_TRUE(reader->Next());
    EXPECT_EQ(open_, 1);
  }
  EXPECT_EQ(open_, 0);
  EXPECT_EQ(Rows({"SELECT count(*) FROM (FROM " + name + " LIMIT 10)"}), "10\n");
  EXPECT_EQ(open_, 0);
}

TEST_F(RegisteredReaderTest, IsInertOnceItIsUnregistered) {
  std::string name = Register("SELECT 1 AS a");
  auto kept = std::make_shared<int>(1);
  auto schema = arrow::schema({arrow::field("a", arrow::int32())});
  std::string other =
      engine_->Register(schema, [kept]() -> Result<std::unique_ptr<Reader>> { return Error{}; }).value();
  EXPECT_NE(name, other);
  EXPECT_EQ(kept.use_count(), 2);
  engine_->Unregister(other);
  EXPECT_EQ(kept.use_count(), 1);
  EXPECT_THAT(ErrorOf({"SELECT * FROM " + other}), HasSubstr("not registered any more"));
  engine_->Unregister(other);
  engine_->Unregister("no such reader");
  EXPECT_EQ(Rows({"FROM " + name}), "1\n");
}

}  // namespace
}  // namespace tranche

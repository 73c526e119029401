#include "tranche/sql/ledger.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tranche::sql {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class NoJournal : public Journal {
 public:
  Result<std::vector<Entry>> Entries() override { return std::vector<Entry>{}; }
  Status Add(const Entry&, const std::vector<Reject>&) override { return {}; }
  Status Remove(Span) override { return {}; }
  Result<std::optional<std::string>> Note(std::string_view) override { return std::nullopt; }
  Status SetNote(std::string_view, std::string_view) override { return {}; }
  Result<std::optional<int64_t>> FinishedAfter(std::string_view run, bool itself) override {
    return run == "run1" && itself ? std::optional(finished) : std::nullopt;
  }
  std::optional<int64_t> finished = {};  // number of run1
};

class LedgerTest : public testing::Test {
 protected:
  LedgerTest() {
    context_.job_key = "it's \"a\" job $1";
    context_.store = "out";
    context_.run_id = "run1";
    context_.stage_id = "stage";
    context_.ledger_id = "here";
    context_.journal = &journal_;
    context_.clock = &SystemClock();
  }
  Status Commit(Ledger& ledger, Span span) {
    TRANCHE_ASSIGN(Ledger::Claim claim, ledger.Take(span));
    if (claim.outcome != Ledger::Claimed::kMine) return Fail(Code::kOutside, "not mine");
    return ledger.Record(span, {span.rows(), span.rows(), 0, 0, 0});
  }

  NoJournal journal_;
  std::unique_ptr<sqlite::Database> database_ =
      sqlite::Database::Open(":memory:", sqlite::Access::kCreate).value();
  std::unique_ptr<SqlConnection> connection_ = Connect(*database_);
  SinkContext context_;
};

TEST_F(LedgerTest, SpansAreClaimedOnce) {
  Ledger ledger(*connection_);
  ASSERT_TRUE(ledger.Open(context_, "t"));
  ASSERT_TRUE(Commit(ledger, {0, 10}));
  auto again = ledger.Take({0, 10});
  EXPECT_EQ(again->outcome, Ledger::Claimed::kAlready);
  EXPECT_EQ(again->counts.stored, 10);
  EXPECT_FALSE(ledger.Take({0, 12}));  // cut otherwise: a bug, never a second copy
  EXPECT_FALSE(ledger.Record({20, 30}, {10, 10, 0, 0, 0}));
}

TEST_F(LedgerTest, CountsMustBalance) {
  Ledger ledger(*connection_);
  ASSERT_TRUE(ledger.Open(context_, "t"));
  ASSERT_TRUE(ledger.Take({0, 10}));
  EXPECT_FALSE(ledger.Record({0, 10}, {10, 9, 0, 0, 0}));
  EXPECT_FALSE(ledger.Record({0, 10}, {9, 9, 0, 0, 0}));
  EXPECT_TRUE(ledger.Record({0, 10}, {10, 4, 3, 2, 1}));
}

TEST_F(LedgerTest, TilesTellsHolesAndOverlaps) {
  Ledger ledger(*connection_);
  ASSERT_TRUE(ledger.Open(context_, "t"));
  EXPECT_TRUE(ledger.Sum(0)->tiles);
  ASSERT_TRUE(Commit(ledger, {10, 20}));
  EXPECT_FALSE(ledger.Sum(20)->tiles);
  ASSERT_TRUE(Commit(ledger, {0, 10}));
  EXPECT_TRUE(ledger.Sum(20)->tiles);
  EXPECT_FALSE(ledger.Sum(21)->tiles);
  ASSERT_TRUE(Commit(ledger, {15, 20}));
  EXPECT_FALSE(ledger.Sum(20)->tiles);
  EXPECT_EQ(Ledger(*connection_).Open(context_, "t").error().code, Code::kInternal);
}

TEST_F(LedgerTest, ANewEpochFencesTheOld) {
  Ledger old(*connection_), next(*connection_);
  ASSERT_TRUE(old.Open(context_, "t"));
  ASSERT_TRUE(Commit(old, {0, 1}));
  auto run = next.Open(context_, "t");
  EXPECT_THAT(run->opened.committed.spans(), ElementsAre(Span{0, 1}));
  EXPECT_EQ(old.Take({1, 2})->outcome, Ledger::Claimed::kFenced);
  ASSERT_TRUE(Commit(next, {1, 2}));
  EXPECT_EQ(old.Finish(2, false).error().code, Code::kBusy);
  EXPECT_TRUE(next.Finish(2, false));
}

TEST_F(LedgerTest, AnotherMachinesUnfinishedRun) {
  ASSERT_TRUE(Ledger(*connection_).Open(context_, "t"));
  context_.ledger_id = "there";
  context_.run_id = "run2";
  EXPECT_THAT(Ledger(*connection_).Open(context_, "t").error().ToString(), HasSubstr("--trust-target"));
  context_.again = true;
  EXPECT_EQ(Ledger(*connection_).Open(context_, "t")->abandoned, "run1");
}

TEST_F(LedgerTest, ATargetThatHasLostCommits) {
  Ledger ledger(*connection_);
  ASSERT_TRUE(ledger.Open(context_, "t"));
  ASSERT_TRUE(Commit(ledger, {0, 10}));
  ASSERT_TRUE(ledger.NoteCommitted(context_, 10));
  EXPECT_TRUE(ledger.CheckKept());
  auto after = [&](const char* sql) {
    EXPECT_TRUE(connection_->Execute(sql));
    const Status kept = ledger.CheckKept();
    return kept ? "" : kept.error().ToString();
  };
  EXPECT_THAT(after("DELETE FROM tranche_batch"), HasSubstr("0 rows of this run, but 10 were seen"));
  EXPECT_THAT(ledger.Sum(10).error().ToString(), HasSubstr("--trust-target"));
  EXPECT_EQ(after("UPDATE tranche_run SET epoch = 2"), "");  // fenced, as the next claim says
  EXPECT_THAT(after("UPDATE tranche_run SET epoch = 0"), HasSubstr("no longer knows of this run"));
  EXPECT_THAT(after("DELETE FROM tranche_run"), HasSubstr("no longer knows of this run"));
  EXPECT_THAT(after("DROP TABLE tranche_run"), HasSubstr("no longer knows of this run"));
}

TEST_F(LedgerTest, ATargetThatHasLostAFinishedRun) {
  ASSERT_TRUE(Ledger(*connection_).Open(context_, "t"));
  journal_.finished = 7;
  context_.run_id = "run2";
  context_.run_number = 8;
  EXPECT_THAT(Ledger(*connection_).Open(context_, "t").error().ToString(),
              HasSubstr("run 7 is finished here"));
  context_.trust_target = true;
  EXPECT_EQ(Ledger(*connection_).Open(context_, "t")->abandoned, "run1");
}

TEST_F(LedgerTest, KeepBatches) {
  Ledger ledger(*connection_);
  ASSERT_TRUE(ledger.Open(context_, "t"));
  ASSERT_TRUE(Commit(ledger, {0, 5}));
  ASSERT_TRUE(ledger.Finish(5, /*keep_batches=*/true));
  EXPECT_EQ(connection_->Query("SELECT count(*) FROM tranche_batch")->at(0).at(0), "1");
  EXPECT_TRUE(ledger.Sum(5)->tiles);
  const auto batch = ledger.BatchOf(context_, 4);
  ASSERT_TRUE(batch && *batch);
  EXPECT_EQ((*batch)->span, (Span{0, 5}));
  EXPECT_NE((*batch)->committed, "");
  EXPECT_EQ(*ledger.BatchOf(context_, 5), std::nullopt);

  SinkContext next = context_;
  next.run_id = "run2";
  next.run_number = 1;
  ASSERT_TRUE(Ledger(*connection_).Open(next, "t"));
  EXPECT_TRUE(*ledger.BatchOf(context_, 4));
  next.forgotten = {"run1"};
  ASSERT_TRUE(Ledger(*connection_).Open(next, "t"));
  EXPECT_EQ(*ledger.BatchOf(context_, 4), std::nullopt);
}

TEST_F(LedgerTest, ATableOfThatNameWithAnotherShape) {
  ASSERT_TRUE(connection_->Execute("CREATE TABLE tranche_reject (a)"));
  auto refused = Ledger(*connection_).Open(context_, "t");
  EXPECT_EQ(refused.error().code, Code::kJob);
  EXPECT_THAT(refused.error().message, HasSubstr("tranche_reject"));
}

}  // namespace
}  // namespace tranche::sql

#include "tranche/state/state.h"

#include <filesystem>
#include <fstream>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tranche/base/file.h"
#include "tranche/base/sqlite.h"

namespace tranche {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Pair;

class StateTest : public testing::Test {
 protected:
  StateTest() {
    std::string pattern = testing::TempDir() + "state_testXXXXXX";
    folder_ = mkdtemp(pattern.data());
    path_ = folder_ + "/state.db";
  }
  ~StateTest() override { std::filesystem::remove_all(folder_); }

  std::unique_ptr<State> Open() const {
    auto state = State::Open(folder_);
    EXPECT_TRUE(state) << state.error().message;
    return std::move(*state);
  }
  // A state with run "r" and its unsealed stage "s".
  std::unique_ptr<State> OpenWithStage() const {
    auto state = Open();
    EXPECT_TRUE(state->AddRun({.id = "r"}, {}));
    EXPECT_TRUE(state->AddStage("r", {.name = "prepared", .id = "s"}));
    return state;
  }
  static std::vector<std::string> Reasons(State& state, std::string_view origin = "") {
    std::vector<std::string> reasons;
    auto rejects = state.Rejects("r", origin, 1000).value();
    for (const auto& stored : rejects) reasons.push_back(stored.reject.reason);
    return reasons;
  }
  std::string folder_, path_;
};

Reject Because(std::string reason, std::string origin = "input sales") {
  return {.origin = std::move(origin), .reason = std::move(reason)};
}

TEST_F(StateTest, RunsComeBack) {
  RunRecord run = {.id = "aa",
                   .job_key = "{\"job\":\"sales\"}",
                   .parameters = "{}",
                   .canonical = "canonical",
                   .fingerprint = "f",
                   .started = 5,
                   .seed = UINT64_MAX - 1,
                   .engine = "duckdb 1.5.6"};
  std::string ledger;
  {
    auto state = Open();
    ledger = state->ledger_id();
    EXPECT_EQ(ledger.size(), 32u);
    ASSERT_TRUE(state->AddRun(run, {{"sales", "{1}"}, {"sales", "{2}"}}));
    ASSERT_TRUE(state->AddRun({.id = "bb"}, {{"sales", "{3}"}}));
    run.state = RunState::kFinished;
    run.finished = 9;
    run.outcome = "done";
    run.summary = "{\"rows\":1}";
    run.canonical = "later";
    ASSERT_TRUE(state->UpdateRun(run));
  }
  auto state = Open();
  EXPECT_EQ(state->ledger_id(), ledger);
  std::vector<RunRecord> runs = state->Runs().value();
  ASSERT_EQ(runs.size(), 2u);
  EXPECT_EQ(runs[0].number, 1);
  EXPECT_EQ(runs[1].number, 2);
  EXPECT_EQ(runs[0].state, RunState::kFinished);
  EXPECT_EQ(runs[1].state, RunState::kOpen);
  EXPECT_EQ(runs[0].job_key, run.job_key);
  EXPECT_EQ(runs[0].parameters, run.parameters);
  EXPECT_EQ(runs[0].canonical, "later");
  EXPECT_EQ(runs[0].fingerprint, run.fingerprint);
  EXPECT_EQ(runs[0].started, 5);
  EXPECT_EQ(runs[0].finished, 9);
  EXPECT_EQ(runs[0].seed, run.seed);
  EXPECT_EQ(runs[0].engine, run.engine);
  EXPECT_EQ(runs[0].outcome, "done");
  EXPECT_EQ(runs[0].summary, run.summary);
  EXPECT_THAT(state->Splits("aa").value(),
              ElementsAre(SplitRecord{"sales", "{1}"}, SplitRecord{"sales", "{2}"}));
  EXPECT_THAT(state->FinishedSplits("sales", "").value(), ElementsAre("{1}", "{2}"))
      << "run bb is not finished";
  EXPECT_THAT(state->FinishedSplits("other", "").value(), IsEmpty());
  ASSERT_TRUE(state->ReplaceSplits("bb", {{"sales", "{4}"}}));
  EXPECT_THAT(state->Splits("bb").value(), ElementsAre(SplitRecord{"sales", "{4}"}));

  EXPECT_EQ(state->AddRun({.id = "aa"}, {}).error().code, Code::kInternal);
  EXPECT_EQ(state->UpdateRun({.id = "zz"}).error().code, Code::kInternal);
}

TEST_F(StateTest, StagesAndSegmentsComeBack) {
  auto state = OpenWithStage();
  SegmentInfo first = {.number = 0, .span = {0, 10}, .bytes = 100, .checksum = "c0"};
  SegmentInfo second = {.number = 1, .span = {10, 25}, .bytes = 200, .checksum = "c1"};
  ASSERT_TRUE(state->AddSegment("s", first, {}));
  ASSERT_TRUE(state->AddSegment("s", second, {}));
  StageRecord sealed = {.name = "prepared",
                        .id = "s",
                        .sealed = true,
                        .schema = std::string("\0\xff", 2),
                        .rows = 25,
                        .tallies = "{}"};
  EXPECT_FALSE(state->Stages("r").value()[0].sealed);
  ASSERT_TRUE(state->SealStage(sealed));
  state = Open();
  std::vector<StageRecord> stages = state->Stages("r").value();
  ASSERT_EQ(stages.size(), 1u);
  EXPECT_TRUE(stages[0].sealed);
  EXPECT_EQ(stages[0].name, "prepared");
  EXPECT_EQ(stages[0].schema, sealed.schema);
  EXPECT_EQ(stages[0].rows, 25);
  std::vector<SegmentInfo> segments = state->Segments("s").value();
  ASSERT_EQ(segments.size(), 2u);
  EXPECT_EQ(segments[1].number, 1);
  EXPECT_EQ(segments[1].span, second.span);
  EXPECT_EQ(segments[1].bytes, 200);
  EXPECT_EQ(segments[1].checksum, "c1");
}

TEST_F(StateTest, ASegmentMayHaveNoFileAndGetOneAndLoseIt) {
  auto state = OpenWithStage();
  ASSERT_TRUE(state->AddSegment("s", {.number = 0, .span = {0, 10}, .bytes = 100, .checksum = "c0"}, {}));
  ASSERT_TRUE(state->AddSegment("s", {.number = 1, .span = {10, 25}, .digest = "d1", .file = false}, {}));
  EXPECT_FALSE(state->Segments("s").value()[1].file);
  ASSERT_TRUE(state->FileSegment("s", {.number = 1, .bytes = 200, .checksum = "c1"}));
  const SegmentInfo filed = state->Segments("s").value()[1];
  EXPECT_TRUE(filed.file);
  EXPECT_EQ(filed.bytes, 200);
  EXPECT_EQ(filed.checksum, "c1");
  EXPECT_EQ(filed.digest, "d1");
  EXPECT_FALSE(state->FileSegment("s", {.number = 2})) << "there is none";
  ASSERT_TRUE(state->DropSegments("s", 25));
  EXPECT_TRUE(state->Segments("s").value()[0].file) << "the first one stays";
  EXPECT_FALSE(state->Segments("s").value()[1].file);
}

TEST_F(StateTest, AWrongSegmentIsRefusedWithItsRejects) {
  auto state = OpenWithStage();
  ASSERT_TRUE(state->AddSegment("s", {.number = 0, .span = {0, 10}}, {}));
  for (SegmentInfo wrong :
       {SegmentInfo{.number = 2, .span = {10, 20}}, SegmentInfo{.number = 1, .span = {11, 20}},
        SegmentInfo{.number = 1, .span = {9, 20}}, SegmentInfo{.number = 0, .span = {0, 10}}}) {
    Status added = state->AddSegment("s", wrong, {Because("lost?")});
    ASSERT_FALSE(added);
    EXPECT_EQ(added.error().code, Code::kInternal);
  }
  EXPECT_EQ(state->Segments("s").value().size(), 1u);
  EXPECT_THAT(Reasons(*state), IsEmpty());
  ASSERT_TRUE(state->SealStage({.id = "s"}));
  EXPECT_FALSE(state->AddSegment("s", {.number = 1, .span = {10, 20}}, {})) << "a sealed stage never changes";
  EXPECT_FALSE(state->AddStageRejects("s", {Because("late")}));
  EXPECT_FALSE(state->AddStageRejects("none", {Because("nobody's")}));
}

TEST_F(StateTest, RejectsComeBackWhole) {
  auto state = OpenWithStage();
  Reject reject = {.origin = "input sales",
                   .reason = "not a number: 'x'",
                   .column = "amount",
                   .file = "a.csv",
                   .line = 12,
                   .byte = 345,
                   .row = 7,
                   .content = std::string("1,x\0\xff", 5)};
  ASSERT_TRUE(
      state->AddSegment("s", {.number = 0, .span = {0, 10}}, {reject, Because("second", "step check")}));
  ASSERT_TRUE(state->AddStageRejects("s", {Because("third", "step check")}));
  auto stored = state->Rejects("r", "input sales", 10).value();
  ASSERT_EQ(stored.size(), 1u);
  const Reject& back = stored[0].reject;
  EXPECT_EQ(back.origin, reject.origin);
  EXPECT_EQ(back.reason, reject.reason);
  EXPECT_EQ(back.column, reject.column);
  EXPECT_EQ(back.file, reject.file);
  EXPECT_EQ(back.line, reject.line);
  EXPECT_EQ(back.byte, reject.byte);
  EXPECT_EQ(back.row, reject.row);
  EXPECT_EQ(back.content, reject.content);
  EXPECT_THAT(Reasons(*state), ElementsAre("not a number: 'x'", "second", "third"));
  EXPECT_EQ(state->Rejects("r", "", 2).value().size(), 2u);
  EXPECT_THAT(state->RejectCounts("r").value(), ElementsAre(Pair("input sales", 1), Pair("step check", 2)));
  EXPECT_THAT(state->RejectCounts("none").value(), IsEmpty());
}

TEST_F(StateTest, ADroppedStageTakesItsRejectsAlong) {
  auto state = OpenWithStage();
  ASSERT_TRUE(state->AddStage("r", {.name = "branch by_month", .id = "kept"}));
  ASSERT_TRUE(state->AddStageRejects("kept", {Because("stays")}));
  ASSERT_TRUE(state->AddSegment("s", {.number = 0, .span = {0, 10}}, {Because("of the segment")}));
  ASSERT_TRUE(state->AddStageRejects("s", {Because("of the stage")}));
  ASSERT_TRUE(state->DropStage("r", "s"));
  EXPECT_THAT(Reasons(*state), ElementsAre("stays"));
  EXPECT_THAT(state->Segments("s").value(), IsEmpty());
  EXPECT_EQ(state->Stages("r").value().size(), 1u);
  EXPECT_TRUE(state->DropStage("r", "s")) << "dropping again is fine";
  EXPECT_TRUE(state->AddStage("r", {.name = "prepared", .id = "again"}));
}

TEST_F(StateTest, JournalKeepsSpansDisjoint) {
  auto state = OpenWithStage();
  JournalRecord record = {.span = {10, 20},
                          .sent = 10,
                          .stored = 5,
                          .superseded = 2,
                          .unmatched = 1,
                          .rejected = 2,
                          .detail = "part-0"};
  ASSERT_TRUE(
      state->AddJournal("r", "files", record, {Because("a", "store files"), Because("b", "store files")}));
  for (Span span : {Span{10, 20}, Span{5, 11}, Span{19, 30}, Span{12, 13}, Span{0, 100}}) {
    Status added = state->AddJournal("r", "files", {.span = span}, {Because("lost?")});
    ASSERT_FALSE(added) << span.from;
    EXPECT_EQ(added.error().code, Code::kInternal);
  }
  ASSERT_TRUE(state->AddJournal("r", "files", {.span = {0, 10}}, {}));
  ASSERT_TRUE(state->AddJournal("r", "files", {.span = {20, 21}}, {}));
  ASSERT_TRUE(state->AddJournal("r", "other", {.span = {0, 100}}, {Because("c", "store other")}));
  EXPECT_THAT(Reasons(*state), ElementsAre("a", "b", "c"));

  std::vector<JournalRecord> records = state->Journal("r", "files").value();
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(records[1].span, record.span);
  EXPECT_EQ(records[1].sent, 10);
  EXPECT_EQ(records[1].stored, 5);
  EXPECT_EQ(records[1].superseded, 2);
  EXPECT_EQ(records[1].unmatched, 1);
  EXPECT_EQ(records[1].rejected, 2);
  EXPECT_EQ(records[1].detail, "part-0");

  ASSERT_TRUE(state->RemoveJournal("r", "files", {10, 20}));
  EXPECT_THAT(Reasons(*state), ElementsAre("c")) << "rejects go with their entry";
  EXPECT_TRUE(state->AddJournal("r", "files", {.span = {10, 15}}, {}));
}

TEST_F(StateTest, NotesComeBack) {
  auto state = OpenWithStage();
  EXPECT_EQ(state->Note("r", "files", "intent").value(), std::nullopt);
  ASSERT_TRUE(state->SetNote("r", "files", "intent", "one"));
  ASSERT_TRUE(state->SetNote("r", "files", "intent", "two"));
  ASSERT_TRUE(state->SetNote("r", "", "intent", ""));
  EXPECT_EQ(state->Note("r", "files", "intent").value(), "two");
  EXPECT_EQ(state->Note("r", "", "intent").value(), "");
}

TEST_F(StateTest, ThreadsMayShareIt) {
  auto state = OpenWithStage();
  std::vector<std::thread> threads;
  for (int64_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int64_t i = 0; i < 10; ++i) {
        int64_t from = (i * 4 + thread) * 10;
        EXPECT_TRUE(state->AddJournal("r", "files", {.span = {from, from + 10}}, {Because("x")}));
        EXPECT_TRUE(state->Journal("r", "files"));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  SpanSet spans;
  auto records = state->Journal("r", "files").value();
  for (const JournalRecord& record : records) EXPECT_TRUE(spans.Add(record.span));
  EXPECT_TRUE(spans.Tiles(400));
  EXPECT_EQ(Reasons(*state).size(), 40u);
}

TEST_F(StateTest, ReadOnlyWritesNothing) {
  auto none = State::OpenReadOnly(folder_);
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, Code::kOutside);
  EXPECT_THAT(none.error().message, HasSubstr("no runs yet"));
  EXPECT_THAT(ListFolder(folder_).value(), IsEmpty());
  OpenWithStage();
  auto state = State::OpenReadOnly(folder_).value();
  EXPECT_EQ(state->Runs().value().size(), 1u);
  EXPECT_FALSE(state->SetNote("r", "", "a", "b"));
}

TEST_F(StateTest, DamageSaysWhatToDo) {
  std::ofstream(path_) << std::string(5000, 'x');
  for (auto open : {&State::Open, &State::OpenReadOnly}) {
    auto state = open(folder_);
    ASSERT_FALSE(state);
    EXPECT_EQ(state.error().code, Code::kOutside);
    EXPECT_EQ(state.error().ToString(), path_ +
                                            " is not a SQLite file; put it back from a copy; or move its "
                                            "folder away to begin anew (what is stored stays)");
  }
  std::filesystem::remove(path_);

  OpenWithStage();  // its tables are there, and all pages behind the first are overwritten
  auto size = std::filesystem::file_size(path_);
  std::fstream file(path_);
  file.seekp(4096);
  file << std::string(size - 4096, '\xff');
  file.close();
  auto state = State::Open(folder_);
  std::string message = state ? (*state)->Runs().error().ToString() : state.error().ToString();
  EXPECT_THAT(message, HasSubstr(" is damaged: "));
  EXPECT_THAT(message, HasSubstr("move its folder away"));
}

TEST_F(StateTest, RowsThatChangedOnDiskAreRefused) {
  OpenWithStage();
  ASSERT_TRUE(State::Open(folder_));
  for (std::string_view change :
       {"UPDATE run SET state = 'finished'", "UPDATE stage SET \"rows\" = 7", "DELETE FROM stage",
        "INSERT INTO note SELECT id, '', 'storing', 'true' FROM run"}) {
    std::string whole = ReadFile(path_).value();
    sqlite::Database::Open(path_, sqlite::Access::kReadWrite).value()->Execute(change).value();
    auto state = State::Open(folder_);
    ASSERT_FALSE(state) << change;
    EXPECT_EQ(state.error().code, Code::kOutside);
    EXPECT_THAT(state.error().message, HasSubstr("is damaged: its rows are not those that were written"));
    std::ofstream(path_, std::ios::binary) << whole;
  }
}

TEST_F(StateTest, FilesOfOthersAreRefused) {
  Open();
  {
    auto raw = sqlite::Database::Open(path_, sqlite::Access::kReadWrite).value();
    ASSERT_TRUE(raw->Execute("PRAGMA user_version = 99"));
  }
  EXPECT_THAT(State::Open(folder_).error().message, HasSubstr("written by a newer tranche"));
  EXPECT_THAT(State::OpenReadOnly(folder_).error().message, HasSubstr("written by a newer tranche"));
  std::filesystem::remove(path_);
  {
    auto raw = sqlite::Database::Open(path_, sqlite::Access::kCreate).value();
    ASSERT_TRUE(raw->Execute("CREATE TABLE run (id)"));
  }
  EXPECT_THAT(State::Open(folder_).error().message, HasSubstr("is not a state file of tranche"));
}

TEST_F(StateTest, ARejectHasExactlyOneOwner) {
  OpenWithStage();
  auto raw = sqlite::Database::Open(path_, sqlite::Access::kReadWrite).value();
  std::string_view insert =
      "INSERT INTO reject (run, stage, segment, origin, reason, \"column\", file, line, byte, row, content) "
      "VALUES ('r', ?, ?, '', '', '', '', 0, 0, 0, '')";
  EXPECT_FALSE(raw->Execute(insert, {nullptr, nullptr}));
  EXPECT_FALSE(raw->Execute(insert, {"s", int64_t{1}}));
  EXPECT_FALSE(raw->Execute(insert, {"unknown", nullptr}));
  EXPECT_TRUE(raw->Execute(insert, {"s", nullptr}));
}

}  // namespace
}  // namespace tranche

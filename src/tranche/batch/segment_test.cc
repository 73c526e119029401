#include "tranche/batch/segment.h"

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include <arrow/array.h>
#include <arrow/builder.h>
#include <arrow/compute/cast.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <arrow/type.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tranche/base/failpoint.h"
#include "tranche/base/file.h"
#include "tranche/base/hash.h"
#include "tranche/batch/batch_testing.h"

namespace tranche {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class SegmentTest : public SpoolTest {};

std::vector<int64_t> Ids(const Spool& spool, Span span) {
  auto reader = spool.Read(span).value();
  std::vector<int64_t> ids;
  while (auto rows = reader->Next().value()) {
    EXPECT_TRUE(rows->schema()->Equals(*spool.schema()));
    for (int64_t i = 0; i < rows->num_rows(); ++i) {
      ids.push_back(static_cast<const arrow::Int64Array&>(*rows->column(0)).Value(i));
    }
  }
  return ids;
}

TEST_F(SegmentTest, EverySpanGivesItsRows) {
  Spool spool = MakeSpool({{7, 1, 5}, {3}, {4, 4}});
  ASSERT_EQ(spool.rows(), 24);
  ASSERT_TRUE(spool.Verify());
  for (int64_t from = 0; from <= 24; ++from) {
    for (int64_t to = from; to <= 24; ++to) {
      std::vector<int64_t> expected;
      for (int64_t id = from; id < to; ++id) expected.push_back(id);
      ASSERT_EQ(Ids(spool, {from, to}), expected) << from << " to " << to;
    }
  }
  EXPECT_EQ(spool.Read({0, 25}).error().code, Code::kInternal);
  EXPECT_EQ(spool.Read({-1, 2}).error().code, Code::kInternal);
}

TEST_F(SegmentTest, EmptyStageHasNoRows) {
  Spool none(folder_, TestSchema(), {});
  EXPECT_TRUE(none.Verify());
  EXPECT_THAT(Ids(none, {0, 0}), ElementsAre());
  Spool empty = MakeSpool({{}});
  EXPECT_TRUE(empty.Verify());
  EXPECT_EQ(empty.rows(), 0);
}

TEST_F(SegmentTest, WhoReadsAGrowingSpoolWaitsForItsRows) {
  const Spool made = MakeSpool({{3, 4}, {5}});
  Spool spool(folder_, TestSchema());
  auto reader = spool.Read({2, Spool::kEnd}).value();
  spool.Append(made.segments()[0]);
  EXPECT_EQ(spool.end(), Spool::kEnd);
  EXPECT_EQ((*reader->Next())->num_rows(), 1);
  EXPECT_EQ((*reader->Next())->num_rows(), 4);
  std::thread later([&spool, &made] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    spool.Append(made.segments()[1]);
    spool.Seal();
  });
  EXPECT_EQ((*reader->Next())->num_rows(), 5);
  EXPECT_EQ(*reader->Next(), nullptr);
  later.join();
  EXPECT_EQ(spool.end(), 12);
}

TEST_F(SegmentTest, RowsInMemoryAreReadAsThoseInFilesAre) {
  const Spool made = MakeSpool({{3, 4}});
  Spool spool(folder_, TestSchema());
  spool.Append(made.segments()[0]);
  spool.Append({.number = 1, .span = {7, 12}, .file = false}, {TestRows(7, 2), TestRows(9, 3)}, 500);
  spool.Append({.number = 2, .span = {12, 13}, .file = false}, {TestRows(12, 1)}, 100);
  EXPECT_TRUE(spool.Verify());
  EXPECT_THAT(Ids(spool, {0, 13}), ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12));
  EXPECT_THAT(Ids(spool, {8, 10}), ElementsAre(8, 9));
  EXPECT_EQ(spool.held(), 600);

  EXPECT_FALSE(spool.HasFilesToDrop(13)) << "the first one stays";
  spool.Drop(12);
  EXPECT_EQ(spool.held(), 100);
  EXPECT_FALSE(spool.AwaitDropped(Duration()));
  EXPECT_THAT(spool.Read({8, 12}).value()->Next().error().message, HasSubstr("spooled no more"));
  EXPECT_THAT(Ids(spool, {12, 13}), ElementsAre(12));
  spool.Drop(13);
  EXPECT_TRUE(spool.AwaitDropped(Duration()));
  EXPECT_EQ(spool.held(), 0);
  EXPECT_THAT(Ids(spool, {0, 7}), ElementsAre(0, 1, 2, 3, 4, 5, 6));
}

TEST_F(SegmentTest, RoomIsWaitedForUnlessRowsAreWanted) {
  constexpr Duration kShort = std::chrono::milliseconds(5);
  constexpr Duration kLong = std::chrono::seconds(30);
  Spool spool(folder_, TestSchema());
  EXPECT_EQ(spool.AwaitRoom(0, kShort), Spool::Room::kThere);
  spool.Append({.number = 0, .span = {0, 5}, .file = false}, {TestRows(0, 5)}, 50);
  spool.Append({.number = 1, .span = {5, 9}, .file = false}, {TestRows(5, 4)}, 40);
  EXPECT_EQ(spool.AwaitRoom(90, kShort), Spool::Room::kThere);
  EXPECT_EQ(spool.AwaitRoom(89, kShort), Spool::Room::kNone);
  std::thread reading([&spool] {
    auto reader = spool.Read({9, Spool::kEnd}).value();
    EXPECT_EQ((*reader->Next())->num_rows(), 1);
  });
  EXPECT_EQ(spool.AwaitRoom(89, kLong), Spool::Room::kWanted);
  spool.Append({.number = 2, .span = {9, 10}, .file = false}, {TestRows(9, 1)}, 1);
  EXPECT_NE(spool.AwaitRoom(89, kShort), Spool::Room::kWanted) << "its row is there, awake or not";
  reading.join();
  std::thread dropping([&spool] { spool.Drop(9); });
  EXPECT_EQ(spool.AwaitRoom(60, kLong), Spool::Room::kThere);
  dropping.join();
}

TEST_F(SegmentTest, WhoReadsASpoolThatIsGivenUpIsTold) {
  const Spool made = MakeSpool({{3}, {4}});
  Spool spool(folder_, TestSchema());
  spool.Append(made.segments()[0]);
  auto reader = spool.Read({0, Spool::kEnd}).value();
  EXPECT_TRUE(reader->Next());
  std::thread later([&spool] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    spool.GiveUp();
  });
  EXPECT_FALSE(reader->Next());
  later.join();
}

TEST_F(SegmentTest, InfoDescribesTheFile) {
  Spool spool = MakeSpool({{100}, {50}});
  const SegmentInfo second = spool.segments()[1];
  std::string path = SegmentPath(folder_, 1);
  EXPECT_EQ(path, folder_ + "/000001.arrow");
  EXPECT_EQ(second.span, (Span{100, 150}));
  EXPECT_EQ(second.bytes, static_cast<int64_t>(std::filesystem::file_size(path)));
  EXPECT_EQ(second.checksum, HashFile(path).value());
  EXPECT_THAT(ListFolder(folder_).value(), ElementsAre("000000.arrow", "000001.arrow"));
}

TEST_F(SegmentTest, TornSegmentIsFoundAndNamed) {
  Spool spool = MakeSpool({{100}, {50}});
  std::string path = SegmentPath(folder_, 1);
  std::string content = ReadFile(path).value();

  std::string cut = content.substr(0, content.size() - 1);
  std::ofstream(path) << cut;
  EXPECT_THAT(spool.Verify().error().message, HasSubstr("spool segment " + path + " is damaged: it has"));

  for (size_t at : {size_t{0}, content.size() / 2, content.size() - 1}) {
    std::string flipped = content;
    flipped[at] ^= 1;
    std::ofstream(path) << flipped;
    Status verified = spool.Verify();
    ASSERT_FALSE(verified);
    EXPECT_EQ(verified.error().code, Code::kOutside);
    EXPECT_THAT(verified.error().message, HasSubstr("spool segment " + path + " is damaged: its checksum"));
  }

  std::ofstream(path) << content;
  EXPECT_TRUE(spool.Verify());
  std::filesystem::remove(path);
  EXPECT_THAT(spool.Verify().error().message, HasSubstr(path));
  EXPECT_FALSE(Spool(folder_, spool.schema(), {spool.segments()[1]}).Verify()) << "a segment is missing";
}

TEST_F(SegmentTest, ADamagedFileNeverCrashesTheReader) {
  Spool spool = MakeSpool({{100}});
  std::string path = SegmentPath(folder_, 0);
  std::string content = ReadFile(path).value();
  for (size_t size = 0; size < content.size(); size += 7) {
    std::ofstream(path) << content.substr(0, size);
    EXPECT_FALSE(spool.Read({0, 100}).value()->Next()) << size;
  }
}

TEST_F(SegmentTest, NotSealedLeavesNothing) {
  auto writer = SegmentWriter::Make(folder_, 0, 0, TestSchema()).value();
  ASSERT_TRUE(writer->Write(*TestRows(0, 10)));
  EXPECT_THAT(ListFolder(folder_).value(), ElementsAre("000000.arrow.tmp"));
  writer.reset();
  EXPECT_THAT(ListFolder(folder_).value(), ElementsAre());
}

TEST_F(SegmentTest, BytesWrittenGrowWithTheRows) {
  auto writer = SegmentWriter::Make(folder_, 0, 0, TestSchema()).value();
  int64_t before = writer->bytes_written();
  ASSERT_TRUE(writer->Write(*TestRows(0, 10'000)));
  EXPECT_GT(writer->bytes_written(), before + 10'000);
  EXPECT_LE(writer->bytes_written(), writer->Seal().value().bytes);
}

TEST_F(SegmentTest, WrongColumnsAreOurBug) {
  auto writer = SegmentWriter::Make(folder_, 0, 0, TestSchema()).value();
  auto rows = TestRows(0, 3);
  auto fewer = rows->RemoveColumn(1).ValueOrDie();
  EXPECT_EQ(writer->Write(*fewer).error().code, Code::kInternal);
  auto swapped = rows->SelectColumns({1, 0, 2}).ValueOrDie();
  EXPECT_THAT(writer->Write(*swapped).error().message, HasSubstr("column 'id'"));
}

// ENUMs come dictionary-encoded, each batch with its own dictionary.
TEST_F(SegmentTest, DictionariesAreDecoded) {
  auto dictionary = arrow::dictionary(arrow::uint8(), arrow::utf8());
  auto listed = arrow::list(dictionary);
  auto schema = arrow::schema({arrow::field("color", dictionary), arrow::field("colors", listed)});
  auto writer = SegmentWriter::Make(folder_, 0, 0, schema).value();
  for (const char* name : {"red", "blue"}) {
    arrow::StringBuilder names;
    ASSERT_TRUE(names.Append(name).ok());
    arrow::UInt8Builder indexes;
    ASSERT_TRUE(indexes.AppendValues({0, 0}, {true, false}).ok());
    auto colors = arrow::DictionaryArray::FromArrays(dictionary, indexes.Finish().ValueOrDie(),
                                                     names.Finish().ValueOrDie())
                      .ValueOrDie();
    arrow::Int32Builder offsets;
    ASSERT_TRUE(offsets.AppendValues({0, 2, 2}).ok());
    auto lists = std::make_shared<arrow::ListArray>(
        listed, 2, offsets.Finish().ValueOrDie()->data()->buffers[1], colors);
    Status written = writer->Write(*arrow::RecordBatch::Make(schema, 2, {colors, lists}));
    ASSERT_TRUE(written) << written.error().message;
  }
  Spool spool(folder_, schema, {writer->Seal().value()});
  EXPECT_TRUE(spool.schema()->field(0)->type()->Equals(arrow::utf8()));
  auto reader = spool.Read({2, 4}).value();
  auto rows = reader->Next().value();
  EXPECT_EQ(rows->column(0)->GetScalar(0).ValueOrDie()->ToString(), "blue");
  EXPECT_TRUE(rows->column(0)->IsNull(1));
  EXPECT_TRUE(rows->column(1)->type()->Equals(arrow::list(arrow::utf8())));
}

TEST_F(SegmentTest, SchemasComeBackFromBytes) {
  auto schema =
      arrow::schema({arrow::field("a", arrow::decimal128(12, 2), false),
                     arrow::field("b", arrow::struct_({arrow::field("c", arrow::list(arrow::utf8()))})),
                     arrow::field("t", arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"))});
  EXPECT_TRUE(ParseSchema(SerializeSchema(*schema).value()).value()->Equals(*schema));
  EXPECT_FALSE(ParseSchema("rubbish"));
  EXPECT_FALSE(ParseSchema(""));
}

[[noreturn]] void SealWith(const std::string& failpoint, const std::string& folder) {
  setenv("TRANCHE_FAILPOINT", failpoint.c_str(), 1);
  if (!ArmFailpoints()) std::exit(99);
  auto writer = SegmentWriter::Make(folder, 0, 0, TestSchema()).value();
  if (!writer->Write(*TestRows(0, 10))) std::exit(98);
  std::exit(writer->Seal() ? 0 : 1);
}

using SegmentDeathTest = SegmentTest;

TEST_F(SegmentDeathTest, AKilledSealLeavesTheNameOnlyWhenItIsDurable) {
  EXPECT_EXIT(SealWith("segment.written:kill", folder_), testing::KilledBySignal(SIGKILL), "");
  EXPECT_FALSE(Exists(SegmentPath(folder_, 0)));
  EXPECT_EXIT(SealWith("segment.synced:kill", folder_), testing::KilledBySignal(SIGKILL), "");
  EXPECT_FALSE(Exists(SegmentPath(folder_, 0)));
  EXPECT_EXIT(SealWith("segment.renamed:kill", folder_), testing::KilledBySignal(SIGKILL), "");
  EXPECT_TRUE(Exists(SegmentPath(folder_, 0)));
  MakeSpool({{10}});  // and what a killed start left is no hindrance
}

}  // namespace
}  // namespace tranche

#include "tranche/base/sqlite.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tranche::sqlite {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class SqliteTest : public testing::Test {
 protected:
  SqliteTest() : path_(testing::TempDir() + "sqlite_test.db") { Remove(); }
  ~SqliteTest() override { Remove(); }
  void Remove() {
    for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(path_ + end);
  }
  std::unique_ptr<Database> Open() { return Database::Open(path_, Access::kCreate).value(); }
  std::string path_;
};

TEST_F(SqliteTest, ValuesComeBackAsTheyWere) {
  auto db = Open();
  ASSERT_TRUE(db->Execute("create table t (a, b, c, d, e)"));
  Row row = {nullptr, int64_t{-7}, 1.5, std::string("a\0b", 3), Blob{std::string("\0\xff", 2)}};
  ASSERT_TRUE(db->Execute("insert into t values (?, ?, ?, ?, ?)", row));
  EXPECT_EQ(db->changes(), 1);
  EXPECT_THAT(db->Query("select * from t").value(), ElementsAre(row));
}

TEST_F(SqliteTest, EmptyTextIsNotNull) {
  auto db = Open();
  EXPECT_THAT(db->Query("select ? is null, typeof(?)", {"", Blob{}}).value(),
              ElementsAre(Row{int64_t{0}, "blob"}));
}

TEST_F(SqliteTest, WritesAreDurableByDefault) {
  auto db = Open();
  EXPECT_THAT(db->Query("pragma journal_mode").value(), ElementsAre(Row{"wal"}));
  EXPECT_THAT(db->Query("pragma synchronous").value(), ElementsAre(Row{int64_t{2}}));
  EXPECT_THAT(db->Query("pragma foreign_keys").value(), ElementsAre(Row{int64_t{1}}));
}

TEST_F(SqliteTest, ConstraintIsToldApart) {
  auto db = Open();
  ASSERT_TRUE(db->Execute("create table t (a primary key)"));
  ASSERT_TRUE(db->Execute("insert into t values (?)", {int64_t{1}}));
  Status again = db->Execute("insert into t values (?)", {int64_t{1}});
  ASSERT_FALSE(again);
  EXPECT_TRUE(db->last_error_is_constraint());
  EXPECT_EQ(again.error().code, Code::kData);
  EXPECT_THAT(again.error().message, HasSubstr("UNIQUE constraint failed: t.a"));
}

TEST_F(SqliteTest, FullDiskNamesTheFile) {
  auto db = Open();
  ASSERT_TRUE(db->Execute("create table t (a)"));
  ASSERT_TRUE(db->Execute("pragma max_page_count = 2"));
  Status full = db->Execute("insert into t values (zeroblob(100000))");
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, Code::kOutside);
  EXPECT_EQ(full.error().message, "cannot write " + path_ + ": No space left on device");
}

TEST_F(SqliteTest, RollbackClauseEndsTheTransaction) {
  auto db = Open();
  ASSERT_TRUE(db->Execute("create table t (a primary key on conflict rollback); insert into t values (1)"));
  ASSERT_TRUE(db->Execute("begin immediate"));
  EXPECT_TRUE(db->in_transaction());
  EXPECT_FALSE(db->Execute("insert into t values (1)"));
  EXPECT_FALSE(db->in_transaction());
}

TEST_F(SqliteTest, OneStatementOnly) {
  auto db = Open();
  EXPECT_TRUE(db->Prepare("select 1 ; \n"));
  EXPECT_THAT(db->Prepare("select 1; select 2").error().message, HasSubstr("more than one SQL statement"));
  EXPECT_THAT(db->Prepare(" -- nothing").error().message, HasSubstr("empty"));
}

TEST_F(SqliteTest, ReadOnlyWritesNothing) {
  EXPECT_FALSE(Database::Open(path_, Access::kReadOnly));
  EXPECT_FALSE(Database::Open(path_, Access::kReadWrite));
  EXPECT_FALSE(std::filesystem::exists(path_));
  Open();
  auto db = Database::Open(path_, Access::kReadOnly).value();
  EXPECT_FALSE(db->Execute("create table t (a)"));
}

TEST(Quote, Doubles) { EXPECT_EQ(Quote("a\"b"), "\"a\"\"b\""); }

}  // namespace
}  // namespace tranche::sqlite

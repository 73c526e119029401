#include "tranche/base/file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tranche/base/hash.h"

namespace tranche {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class FileTest : public testing::Test {
 protected:
  FileTest() {
    std::string pattern = testing::TempDir() + "file_testXXXXXX";
    root_ = mkdtemp(pattern.data());
  }
  ~FileTest() override { std::filesystem::remove_all(root_); }
  std::string Path(const std::string& name) const { return root_ + "/" + name; }
  void Put(const std::string& name, const std::string& content = "x") const {
    std::filesystem::create_directories(std::filesystem::path(Path(name)).parent_path());
    std::ofstream(Path(name)) << content;
  }
  // What `pattern` matches, without the root.
  std::vector<std::string> Match(const std::string& pattern) const {
    std::vector<std::string> found = Glob(Path(pattern)).value();
    for (std::string& name : found) name.erase(0, root_.size() + 1);
    return found;
  }
  std::string root_;
};

TEST_F(FileTest, WriteReplacesTheWholeFile) {
  ASSERT_TRUE(WriteFileDurably(Path("a"), "long content"));
  ASSERT_TRUE(WriteFileDurably(Path("a"), "new"));
  EXPECT_EQ(ReadFile(Path("a")).value(), "new");
  EXPECT_THAT(ListFolder(root_).value(), ElementsAre("a"));
}

TEST_F(FileTest, WriteDoesNotFollowALinkLeftInItsWay) {
  Put("victim", "kept");
  std::filesystem::create_symlink(Path("victim"), Path("a.tmp"));
  ASSERT_TRUE(WriteFileDurably(Path("a"), "new"));
  EXPECT_EQ(ReadFile(Path("victim")).value(), "kept");
}

TEST_F(FileTest, ErrorsNameThePath) {
  EXPECT_EQ(ReadFile(Path("none")).error().message,
            "cannot open " + Path("none") + ": No such file or directory");
  EXPECT_THAT(WriteFileDurably(Path("none/a"), "").error().message, HasSubstr(Path("none/a")));
  EXPECT_FALSE(Identify(Path("none")));
  EXPECT_FALSE(SyncFolder(Path("none")));
  EXPECT_FALSE(ListFolder(Path("none")));
  Put("big", "12345");
  EXPECT_TRUE(ReadFile(Path("big"), 5));
  EXPECT_THAT(ReadFile(Path("big"), 4).error().message, HasSubstr("is larger than"));
}

TEST_F(FileTest, IdentitySeesAChangeThatHidesItsTime) {
  Put("a", "1");
  FileIdentity before = Identify(Path("a")).value();
  auto time = std::filesystem::last_write_time(Path("a"));
  usleep(20'000);  // the file system's clock ticks every 4 ms
  Put("a", "2");
  std::filesystem::last_write_time(Path("a"), time);
  FileIdentity after = Identify(Path("a")).value();
  EXPECT_EQ(before.size, after.size);
  EXPECT_EQ(before.inode, after.inode);
  EXPECT_NE(before, after);
}

TEST_F(FileTest, MakeFoldersMakesAllOfThem) {
  EXPECT_TRUE(MakeFolders(Path("a/b//c/")));
  EXPECT_TRUE(MakeFolders(Path("a/b/c")));
  EXPECT_TRUE(std::filesystem::is_directory(Path("a/b/c")));
  Put("file");
  EXPECT_FALSE(MakeFolders(Path("file/x")));
  EXPECT_FALSE(MakeFolders(Path("file")));
}

TEST_F(FileTest, ExchangeSwapsFolders) {
  Put("a/one");
  Put("b/two");
  ASSERT_TRUE(Exchange(Path("a"), Path("b")));
  EXPECT_TRUE(Exists(Path("a/two")));
  EXPECT_TRUE(Exists(Path("b/one")));
  EXPECT_FALSE(Exchange(Path("a"), Path("none")));
}

TEST_F(FileTest, RemoveFolderNeverGoesThroughALink) {
  Put("outside/kept");
  Put("gone/deep/er/file");
  std::filesystem::create_directory_symlink(Path("outside"), Path("gone/deep/link"));
  ASSERT_TRUE(RemoveFolder(Path("gone")));
  EXPECT_FALSE(Exists(Path("gone")));
  EXPECT_TRUE(Exists(Path("outside/kept")));
  EXPECT_TRUE(RemoveFolder(Path("gone"))) << "absent is fine";

  std::filesystem::create_directory_symlink(Path("outside"), Path("link"));
  EXPECT_FALSE(RemoveFolder(Path("link")));
  EXPECT_TRUE(Exists(Path("outside/kept")));
  EXPECT_TRUE(RemoveFile(Path("none")));
}

TEST_F(FileTest, GlobMatchesInByteOrder) {
  for (const char* name : {"b.csv", "a10.csv", "a9.csv", "B.csv", "c.txt", "d.csv/inner"}) Put(name);
  EXPECT_THAT(Match("*.csv"), ElementsAre("B.csv", "a10.csv", "a9.csv", "b.csv")) << "a folder is no file";
  EXPECT_THAT(Match("a?.csv"), ElementsAre("a9.csv"));
  EXPECT_THAT(Match("[ab].csv"), ElementsAre("b.csv"));
  EXPECT_THAT(Match("b.csv"), ElementsAre("b.csv"));
  EXPECT_THAT(Match("*/inner"), ElementsAre("d.csv/inner"));
  EXPECT_THAT(Match("none*"), IsEmpty());
  EXPECT_THAT(Match("none/*"), IsEmpty());
}

TEST_F(FileTest, GlobGoesOverFolders) {
  for (const char* name : {"x/1.jpg", "x/y/2.jpg", "x/y/z/3.jpg", "0.jpg", "x/y/z/n.txt"}) Put(name);
  EXPECT_THAT(Match("**/*.jpg"), ElementsAre("0.jpg", "x/1.jpg", "x/y/2.jpg", "x/y/z/3.jpg"));
  EXPECT_THAT(Match("x/**/y/**/*.jpg"), ElementsAre("x/y/2.jpg", "x/y/z/3.jpg"));
  EXPECT_THAT(Match("x/**"), ElementsAre("x/1.jpg", "x/y/2.jpg", "x/y/z/3.jpg", "x/y/z/n.txt"));
  EXPECT_THAT(Match("**/**/2.jpg"), ElementsAre("x/y/2.jpg"));
}

TEST_F(FileTest, GlobPassesOverHiddenNames) {
  for (const char* name : {".a.csv", "_tranche.json", "_own.csv", ".hidden/b.csv", "._.csv"}) Put(name);
  EXPECT_THAT(Match("*"), ElementsAre("_own.csv")) << "only our own underscore is hidden: it could be data";
  EXPECT_THAT(Match("**/*.csv"), ElementsAre("_own.csv"));
  EXPECT_THAT(Match(".*.csv"), ElementsAre("._.csv", ".a.csv"));
  EXPECT_THAT(Match("_tranche*"), ElementsAre("_tranche.json"));
  EXPECT_THAT(Match(".hidden/*"), ElementsAre(".hidden/b.csv"));
}

TEST_F(FileTest, GlobEndsInALoopOfLinks) {
  Put("x/a.csv");
  std::filesystem::create_directory_symlink(root_, Path("x/loop"));
  std::filesystem::create_symlink(Path("x/a.csv"), Path("x/link.csv"));
  EXPECT_THAT(Match("**/*.csv"), ElementsAre("x/a.csv", "x/link.csv"));
  EXPECT_THAT(Match("x/loop/x/*.csv"), ElementsAre("x/loop/x/a.csv", "x/loop/x/link.csv"));
}

TEST_F(FileTest, GlobTakesABackslashLiterally) {
  Put("data[1].csv");
  Put("data1.csv");
  EXPECT_THAT(Match("data[1].csv"), ElementsAre("data1.csv"));
  EXPECT_THAT(Match("data\\[1].csv"), ElementsAre("data[1].csv"));
}

TEST_F(FileTest, LockNamesItsHolder) {
  {
    auto lock = FileLock::Acquire(Path("lock"), "run 7 of 'sales', process 12");
    ASSERT_TRUE(lock);
    auto second = FileLock::Acquire(Path("lock"), "run 8");
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, Code::kBusy);
    EXPECT_EQ(second.error().message, Path("lock") + " is held by run 7 of 'sales', process 12");
  }
  EXPECT_TRUE(FileLock::Acquire(Path("lock"), "run 8"));
  EXPECT_EQ(ReadFile(Path("lock")).value(), "run 8");
}

TEST_F(FileTest, HashesAgree) {
  std::string content(3'000'001, 'q');
  Put("a", content);
  EXPECT_EQ(HashFile(Path("a")).value(), HashHex(content));
  Hasher hasher;
  hasher.Update(content.substr(0, 17));
  hasher.Update(content.substr(17));
  EXPECT_EQ(hasher.Hex(), HashHex(content));
  EXPECT_EQ(HashHex(""), "99aa06d3014798d86001c324468d497f") << "as the xxh128sum tool prints it";
  EXPECT_EQ(HashHex("").size(), 32u);
}

TEST(KeyedHash, IsHmacSha256) {  // RFC 4231, test case 2
  EXPECT_EQ(KeyedHash("Jefe", "what do ya want for nothing?"),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

}  // namespace
}  // namespace tranche

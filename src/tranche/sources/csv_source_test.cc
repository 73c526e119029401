#include <sys/stat.h>
#include <unistd.h>

#include <random>

#include <gmock/gmock.h>

#include "tranche/sources/source_fixture.h"

namespace tranche {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

std::string Numbers(int64_t count) {
  std::string text = "n,s\n";
  for (int64_t i = 0; i < count; ++i) text += fmt::format("{},text {}\n", i, i * 7919 % 1000);
  return text;
}

class CsvSourceTest : public SourceFixture {
 protected:
  // By the engine, line by line.
  std::string Compress(std::string_view text, const std::string& method) {
    if (text.ends_with('\n')) text.remove_suffix(1);
    auto copied =
        engine_->Execute(fmt::format("COPY (SELECT unnest(string_split({}, chr(10)))) TO {} (FORMAT csv, "
                                     "HEADER false, QUOTE '', DELIMITER "
                                     "'\x01', COMPRESSION {})",
                                     QuoteText(text), QuoteText(Path("compressed")), method));
    EXPECT_TRUE(copied) << copied.error().ToString();
    return (std::ostringstream() << std::ifstream(Path("compressed"), std::ios::binary).rdbuf()).str();
  }
  std::string Gzip(std::string_view text) { return Compress(text, "gzip"); }
  std::string Zstd(std::string_view text) { return Compress(text, "zstd"); }

  Outcome ReadCsv(const std::string& content,
                  nlohmann::ordered_json options = nlohmann::ordered_json::object()) {
    if (!options.contains("path")) options["path"] = Write("a.csv", content);
    return Read(CsvSource(), options);
  }
};

TEST_F(CsvSourceTest, GuessesTypesAndDelimiters) {
  Outcome outcome = ReadCsv(
      "i;u;h;d;b;day;at;z;t;zip;s\n"
      "1;1;1;1;true;2026-01-02;2026-01-02 03:04:05;2026-01-02T03:04:05Z;03:04;00123;x,y\n"
      "-7;18446744073709551615;99999999999999999999;1.5;FALSE;;2026-01-02T03:04;2026-01-02 "
      "05:04:05+02:00;23:59:59.5;7;\n");
  EXPECT_EQ(outcome.columns,
            "i BIGINT, u UBIGINT, h HUGEINT, d DOUBLE, b BOOLEAN, day DATE, at TIMESTAMP, z TIMESTAMP WITH "
            "TIME ZONE, t "
            "TIME, zip VARCHAR, s VARCHAR");
  EXPECT_EQ(outcome.rows,
            "1|1|1|1.0|true|2026-01-02|2026-01-02 03:04:05|2026-01-02 03:04:05+00|03:04:00|00123|x,y\n"
            "-7|18446744073709551615|99999999999999999999|1.5|false|NULL|2026-01-02 03:04:00|2026-01-02 "
            "03:04:05+00|23:59:59.5|7|NULL\n");
  EXPECT_EQ(outcome.recovered, 0);
  EXPECT_EQ(outcome.read, 2);
  EXPECT_TRUE(outcome.exact);
}

TEST_F(CsvSourceTest, KeepsWholeNumbersThatNoDoubleHolds) {
  Outcome outcome = ReadCsv("a,b\n9007199254740993,1\n9223372036854775807,2\n-9223372036854775808,3\n");
  EXPECT_EQ(outcome.columns, "a BIGINT, b BIGINT");
  EXPECT_EQ(outcome.rows, "9007199254740993|1\n9223372036854775807|2\n-9223372036854775808|3\n");
}

TEST_F(CsvSourceTest, KeepsLargeNumbersBehindTheSample) {
  std::string text = Numbers(20'000) + "9007199254740993,late\n";
  Outcome outcome = ReadCsv(text);
  EXPECT_THAT(outcome.rows, HasSubstr("\n9007199254740993|late\n"));
  EXPECT_THAT(outcome.rejects, IsEmpty());
  EXPECT_EQ(outcome.read, 20'001);
}

TEST_F(CsvSourceTest, ReadsNotANumberAndInfinity) {
  EXPECT_EQ(ReadCsv("a,b\n1.5,x\nNaN,y\n-inf,z\n").rows, "1.5|x\nnan|y\n-inf|z\n");
}

TEST_F(CsvSourceTest, RefusesBadRowsWithTheirPlace) {
  Outcome outcome = ReadCsv("a,b\n1,x\nfoo,y\n1.5,z\n3,u,v\n4\n5,ok\n", {{"types", {{"a", "bigint"}}}});
  EXPECT_EQ(outcome.rows, "1|x\n5|ok\n");
  EXPECT_THAT(outcome.rejects, ElementsAre("a.csv:3 @8 a: \"foo\" is not of type BIGINT [foo,y]",
                                           "a.csv:4 @14 a: \"1.5\" is not of type BIGINT [1.5,z]",
                                           "a.csv:5 @20 -: has 3 values, expected are 2 [3,u,v]",
                                           "a.csv:6 @26 -: has 1 value, expected are 2 [4]"));
  EXPECT_EQ(outcome.recovered, 1);
  EXPECT_EQ(outcome.read, 6);
  EXPECT_TRUE(outcome.exact);
}

TEST_F(CsvSourceTest, CountsOneRejectForSeveralBadValues) {
  EXPECT_THAT(ReadCsv("a,b\nx,y\n1,2\n", {{"types", {{"a", "integer"}, {"b", "integer"}}}}).rejects,
              ElementsAre("a.csv:2 @4 a: \"x\" is not of type INTEGER [x,y]"));
}

TEST_F(CsvSourceTest, NumbersLinesAndBytesBehindQuotedLineEnds) {
  Outcome outcome =
      ReadCsv("a,b\r\n1,\"x\r\ny\"\r\n\r\nfoo,\"p\r\nq\"\r\n3,z\r\n", {{"types", {{"a", "bigint"}}}});
  EXPECT_EQ(outcome.rows, "1|x\r\ny\n3|z\n");
  EXPECT_THAT(outcome.rejects, ElementsAre("a.csv:5 @17 a: \"foo\" is not of type BIGINT [foo,\"p\r\nq\"]"));
}

TEST_F(CsvSourceTest, AStrayQuoteCostsItsLineOnly) {
  std::string text = Numbers(200'000);
  text += "7,\"oops\n";
  for (int i = 0; i < 200'000; ++i) text += "8,after\n";
  Outcome outcome = ReadCsv(text);
  EXPECT_EQ(std::ranges::count(outcome.rows, '\n'), 400'000);
  ASSERT_THAT(outcome.rejects, SizeIs(1));
  EXPECT_THAT(outcome.rejects[0], HasSubstr("a.csv:200002 "));
  EXPECT_THAT(outcome.rejects[0], HasSubstr("a quote opens a value and none closes it [7,\"oops]"));
}

TEST_F(CsvSourceTest, TextThatLooksLikeRowsStaysText) {
  std::string text = "a,b\n";
  int64_t rows = 0;
  while (text.size() < 12'000'000) {
    text += fmt::format("{},\"", rows);
    for (int i = 0; rows % 3 == 0 && i < 1500; ++i) text += fmt::format("{},z{}\n", i, i);
    text += "\"\n";
    ++rows;
  }
  EXPECT_EQ(ReadCsv(text).read, rows);
}

TEST_F(CsvSourceTest, GarbageBehindAQuoteIsAReject) {
  Outcome outcome = ReadCsv("a,b\n1,\"x\"y\n2,\"p\"\"q\"\n3, \"r\" \n");
  EXPECT_EQ(outcome.rows, "2|p\"q\n3|r\n");
  EXPECT_THAT(outcome.rejects, ElementsAre("a.csv:2 @4 -: a quoted value is followed by 'y' [1,\"x\"y]"));
}

TEST_F(CsvSourceTest, RefusesBytesThatAreNoText) {
  Outcome outcome = ReadCsv("a,b\n1,x\xFFy\n2,z\n");
  EXPECT_EQ(outcome.rows, "2|z\n");
  EXPECT_THAT(outcome.rejects,
              ElementsAre("a.csv:2 @4 -: is not valid UTF-8; set `encoding` [1,x\xEF\xBF\xBDy]"));
}

TEST_F(CsvSourceTest, MixedLineEndsAreRead) {
  Outcome outcome = ReadCsv("a,b\n1,x\r\n2,y\n3,\"z\"\r\n");
  EXPECT_EQ(outcome.rows, "1|x\n2|y\n3|z\n");
  EXPECT_THAT(outcome.rejects, IsEmpty());
}

TEST_F(CsvSourceTest, PadsRaggedRowsWhereToldSo) {
  const std::string text = "a,b,c\n1,x\n2\n3,z,9\n4,y,5,6\n";
  Outcome outcome = ReadCsv(text, {{"ragged", "pad"}});
  EXPECT_EQ(outcome.rows, "1|x|NULL\n2|NULL|NULL\n3|z|9\n");
  EXPECT_THAT(outcome.rejects, ElementsAre("a.csv:5 @18 -: has 4 values, expected are 3 [4,y,5,6]"));
  EXPECT_THAT(ReadCsv(text).rejects, SizeIs(3));
}

TEST_F(CsvSourceTest, ReadsFilesWithColumnsInAnyOrder) {
  Write("x/1.csv", "a,b\n1,p\n");
  Write("x/2.csv", "B,A\nq,2\n");
  Write("x/3.csv", "a,b\n3,r\n");
  Outcome outcome = ReadCsv("", {{"path", Path("x/*.csv")}});
  EXPECT_EQ(outcome.rows, "1|p\n2|q\n3|r\n");
  EXPECT_EQ(outcome.read, 3);
  EXPECT_TRUE(outcome.exact);
  EXPECT_THAT(outcome.description, HasSubstr("3 files"));
}

TEST_F(CsvSourceTest, AVanishedColumnStopsBeforeAnythingIsRead) {
  Write("x/1.csv", "a,b\n1,p\n");
  Write("x/2.csv", "b,a\nq,2\n");
  Write("x/3.csv", "a\n3\n");
  Outcome outcome = ReadCsv("", {{"path", Path("x/*.csv")}});
  EXPECT_THAT(outcome.rows, HasSubstr("column 'b' is missing in x/3.csv"));
  EXPECT_THAT(outcome.rows, HasSubstr("missing: fill"));
  EXPECT_EQ(outcome.code, Code::kJob);
  EXPECT_EQ(ReadCsv("", {{"path", Path("x/*.csv")}, {"missing", "fill"}}).rows, "1|p\n2|q\n3|NULL\n");
}

TEST_F(CsvSourceTest, TypesAreThoseOfAllFiles) {
  Write("x/1.csv", "a,b\n1,1\n");
  Write("x/2.csv", "b,a\n2.5,x\n");
  Outcome outcome = ReadCsv("", {{"path", Path("x/*.csv")}});
  EXPECT_EQ(outcome.columns, "a VARCHAR, b DOUBLE");
  EXPECT_EQ(outcome.rows, "1|1.0\nx|2.5\n");
}

TEST_F(CsvSourceTest, ReadsEveryEncodingTheSame) {
  const std::string utf8 = "näme,n\nfü\u20AC,1\n\U0001F600x,bad\nz,3\n";
  std::string utf16le = "\xFF\xFE";
  std::string utf16be = "\xFE\xFF";
  for (char16_t unit : std::u16string(u"näme,n\nfü\u20AC,1\n\U0001F600x,bad\nz,3\n")) {
    utf16le += {static_cast<char>(unit & 0xFF), static_cast<char>(unit >> 8)};
    utf16be += {static_cast<char>(unit >> 8), static_cast<char>(unit & 0xFF)};
  }
  const nlohmann::ordered_json types = {{"n", "integer"}};
  const std::string rows = "fü\u20AC|1\nz|3\n";
  EXPECT_EQ(ReadCsv("\xEF\xBB\xBF" + utf8, {{"types", types}}).rows, rows);
  Outcome little = ReadCsv(utf16le, {{"encoding", "utf-16"}, {"types", types}});
  EXPECT_EQ(little.rows, rows);
  EXPECT_THAT(little.rejects, ElementsAre("a.csv:3 @28 n: \"bad\" is not of type INTEGER [\U0001F600x,bad]"));
  EXPECT_EQ(ReadCsv(utf16be, {{"encoding", "utf-16"}, {"types", types}}).rejects, little.rejects);
  EXPECT_THAT(ReadCsv(utf16le).rows, HasSubstr("a.csv is UTF-16"));
  Outcome latin =
      ReadCsv("n\xE4me,n\nf\xFC\x80,1\n\xE9,bad\nz,3\n", {{"encoding", "latin-1"}, {"types", types}});
  EXPECT_EQ(latin.rows, rows);
  EXPECT_THAT(latin.rejects, ElementsAre("a.csv:3 @13 n: \"bad\" is not of type INTEGER [é,bad]"));
}

TEST_F(CsvSourceTest, AByteOrderMarkIsNoPartOfAName) {
  Outcome outcome = ReadCsv("\xEF\xBB\xBF\"a\",b\n1,x\nfoo,y\n", {{"types", {{"a", "bigint"}}}});
  EXPECT_EQ(outcome.columns, "a BIGINT, b VARCHAR");
  EXPECT_THAT(outcome.rejects, ElementsAre("a.csv:3 @13 a: \"foo\" is not of type BIGINT [foo,y]"));
}

TEST_F(CsvSourceTest, ReadsCompressedFiles) {
  const std::string text = Numbers(50'000);
  const std::string plain = ReadCsv(text).rows;
  const size_t middle = text.find('\n', 1000) + 1;
  Outcome gzip =
      ReadCsv("", {{"path", Write("b.csv.gz", Gzip(text.substr(0, middle)) + Gzip(text.substr(middle)))}});
  EXPECT_EQ(gzip.rows, plain);
  EXPECT_EQ(gzip.read, 50'000);
  EXPECT_EQ(ReadCsv("", {{"path", Write("b.csv.zst", Zstd(text))}}).rows, plain);
}

TEST_F(CsvSourceTest, RefusesCompressedFilesThatAreNotWhole) {
  const std::string text = Numbers(50'000);
  for (bool rejects : {false, true}) {
    const std::string full = rejects ? text + "bad,row\n" + text : text;
    std::string gzip = Gzip(full);
    Outcome outcome = ReadCsv("", {{"path", Write("b.csv.gz", gzip.substr(0, gzip.size() - 10'000))}});
    EXPECT_THAT(outcome.rows, HasSubstr("b.csv.gz ends in the middle of its compressed data"));
    EXPECT_EQ(outcome.code, Code::kData);
    gzip[gzip.size() / 2] ^= 0x55;
    EXPECT_THAT(ReadCsv("", {{"path", Write("b.csv.gz", gzip)}}).rows, HasSubstr("b.csv.gz is damaged"));
    const std::string zstd = Zstd(full);
    EXPECT_THAT(ReadCsv("", {{"path", Write("b.csv.zst", zstd.substr(0, zstd.size() - 100))}}).rows,
                HasSubstr("b.csv.zst ends in the middle of its compressed data"));
  }
  EXPECT_THAT(ReadCsv("", {{"path", Write("c.csv.gz", "a,b\n1,2\n")}}).rows,
              HasSubstr("c.csv.gz is damaged"));
}

TEST_F(CsvSourceTest, ReadsFormatsOfDates) {
  const nlohmann::ordered_json types = {{"d", {{"date", "%d.%m.%Y"}}},
                                        {"t", {{"timestamp", "%d/%b/%Y:%H:%M:%S %z"}}},
                                        {"e", "date"},
                                        {"m", "decimal(12,2)"}};
  const std::string head = "d,t,e,m\n";
  const std::string good = "03.11.2026,03/Nov/2026:10:00:00 +0100,2026-11-03,1.25\n";
  Outcome outcome = ReadCsv(head + good, {{"types", types}});
  EXPECT_EQ(outcome.columns, "d DATE, t TIMESTAMP, e DATE, m DECIMAL(12,2)");
  EXPECT_EQ(outcome.rows, "2026-11-03|2026-11-03 09:00:00|2026-11-03|1.25\n");
  EXPECT_EQ(outcome.recovered, 0);
  outcome = ReadCsv(head + good + "31.02.2026,,2026-11-03 10:00:00,x\n,,2026-11-03 10:00:00,\n",
                    {{"types", types}});
  EXPECT_EQ(outcome.rows, "2026-11-03|2026-11-03 09:00:00|2026-11-03|1.25\n");
  EXPECT_THAT(outcome.rejects, ElementsAre(HasSubstr("d: \"31.02.2026\" is not of type DATE as %d.%m.%Y"),
                                           HasSubstr("e: \"2026-11-03 10:00:00\" is not of type DATE")));
}

TEST_F(CsvSourceTest, KnowsNulls) {
  EXPECT_EQ(ReadCsv("a,b\nNA,x\n-,\n5,NA\n", {{"nulls", {"NA", "-", ""}}}).rows,
            "NULL|x\nNULL|NULL\n5|NULL\n");
}

TEST_F(CsvSourceTest, ReadsHeadersWithLineEndsAndLinesBefore) {
  EXPECT_EQ(ReadCsv("\"a\nx\",b\n1,z\n2,y\n").rows, "1|z\n2|y\n");
  EXPECT_EQ(ReadCsv("a report\n\n\na,b\n1,z\n", {{"skip", 1}}).rows, "1|z\n");
  EXPECT_EQ(ReadCsv("\n\na,b\n1,z\n").rows, "1|z\n");
  EXPECT_EQ(ReadCsv("# one\na,b\n1,z\n#,2\n", {{"comment", "#"}}).rows, "1|z\n");
  EXPECT_EQ(ReadCsv("1,z\n2,y\n", {{"header", false}, {"names", {"a", "b"}}}).rows, "1|z\n2|y\n");
  EXPECT_EQ(ReadCsv("p,q\n1,z\n", {{"names", {"a", "b"}}}).columns, "a BIGINT, b VARCHAR");
}

TEST_F(CsvSourceTest, OneColumnMayBeBlank) {
  EXPECT_EQ(ReadCsv("a\n1\n\n3\n").rows, "1\nNULL\n3\n");
  EXPECT_EQ(ReadCsv("a\n1\n\nx\n", {{"types", {{"a", "bigint"}}}}).rows, "1\nNULL\n");
}

TEST_F(CsvSourceTest, EmptyFiles) {
  EXPECT_THAT(ReadCsv("").rows, HasSubstr("a.csv is empty; a header line is needed"));
  Outcome outcome = ReadCsv("a,b\n");
  EXPECT_EQ(outcome.rows, "");
  EXPECT_EQ(outcome.columns, "a VARCHAR, b VARCHAR");
  EXPECT_EQ(outcome.read, 0);
  EXPECT_TRUE(outcome.exact);
  EXPECT_EQ(ReadCsv("a,b").columns, "a VARCHAR, b VARCHAR");
  EXPECT_EQ(ReadCsv("", {{"header", false}, {"names", {"a"}}}).rows, "");
}

TEST_F(CsvSourceTest, FilesThatCannotBeRead) {
  Write("orders.csv", "a\n1\n");
  EXPECT_THAT(ReadCsv("", {{"path", Path("order.csv")}}).rows,
              HasSubstr("no file matches order.csv; did you mean orders.csv?"));
  EXPECT_THAT(ReadCsv("", {{"path", Path("*.tsv")}}).rows, HasSubstr("no file matches *.tsv"));
  EXPECT_THAT(ReadCsv("", {{"path", folder_}}).rows, HasSubstr("is a folder"));
  EXPECT_THAT(ReadCsv("a,b,A\n").rows, HasSubstr("column 'A' is twice in the header of a.csv"));
  if (geteuid() != 0) {
    chmod(Write("secret.csv", "a\n1\n").c_str(), 0);
    Outcome outcome = ReadCsv("", {{"path", Path("secret.csv")}});
    EXPECT_THAT(outcome.rows, HasSubstr("cannot open secret.csv: Permission denied"));
    EXPECT_EQ(outcome.code, Code::kJob);
  }
  mkfifo(Path("pipe.csv").c_str(), 0600);
  EXPECT_THAT(ReadCsv("", {{"path", Path("pipe.csv")}}).rows, HasSubstr("is not a regular file"));
}

TEST_F(CsvSourceTest, NamesThatLookLikePatterns) {
  Write("a[1].csv", "a,b\n1,x\n");
  Write("a*.csv", "a,b\n2,x\n");
  Write("ab.csv", "a,b\n3,x\n");
  EXPECT_EQ(ReadCsv("", {{"path", Path("a[1].csv")}}).rows, "1|x\n");
  EXPECT_EQ(ReadCsv("", {{"path", Path("a*.csv")}}).rows, "2|x\n");
  Write("day=2026/x.csv", "a,b\n1,x\n");
  EXPECT_EQ(ReadCsv("", {{"path", Path("day=2026/x.csv")}}).columns, "a BIGINT, b VARCHAR");
}

TEST_F(CsvSourceTest, AFileThatChangesMeanwhileIsAnError) {
  const std::string path = Write("a.csv", "a,b\n1,x\n");
  after_plan_ = [&] { std::ofstream(path, std::ios::app) << "2,y\n"; };
  Outcome outcome = ReadCsv("", {{"path", path}});
  EXPECT_THAT(outcome.rows, HasSubstr("a.csv was changed while it was read"));
  EXPECT_EQ(outcome.code, Code::kData);
}

// The engine's reader and ours are each other's oracle; a comment character makes us read by our own.
TEST_F(CsvSourceTest, BothReadersAgree) {
  constexpr std::string_view kPieces[] = {"a", "7", ",", "\"\"", "\n", "\r\n", " ", "é", "'", ";", "#", "\\"};
  std::mt19937 random(20261121);
  auto below = [&](size_t limit) { return random() % limit; };
  int fast = 0;
  for (int round = 0; round < 80; ++round) {
    const std::string end = below(2) ? "\n" : "\r\n";
    const size_t columns = 1 + below(4);
    std::string text = below(4) ? "" : "\xEF\xBB\xBF";
    for (size_t column = 0; column < columns; ++column)
      text += fmt::format("{}c{}", column > 0 ? "," : "", column);
    text += end;
    for (size_t row = below(30); row > 0; --row) {
      for (size_t column = 0; column < columns; ++column) {
        const bool quoted = below(3) == 0;
        std::string value;
        for (size_t piece = below(5); piece > 0; --piece) {
          const std::string_view chosen = kPieces[below(std::size(kPieces))];
          if (quoted || chosen.find_first_of(",\"\r\n") == std::string_view::npos) value += chosen;
        }
        text += (column > 0 ? "," : "") + (quoted ? "\"" + value + "\"" : value);
      }
      text += row > 1 || below(2) ? end : "";
    }
    Outcome one = ReadCsv(text);
    Outcome other = ReadCsv(text, {{"comment", "\x01"}});
    EXPECT_EQ(one.rows, other.rows) << text;
    EXPECT_EQ(one.columns, other.columns) << text;
    EXPECT_EQ(one.rejects, other.rejects) << text;
    fast += one.recovered == 0;
  }
  EXPECT_GT(fast, 50);
}

TEST_F(CsvSourceTest, MistakesInOptions) {
  EXPECT_THAT(ReadCsv("aa,b\n1,x\n", {{"types", {{"a", "bigint"}}}}).rows,
              HasSubstr("no column 'a'; did you mean 'aa'?"));
  EXPECT_THAT(ReadCsv("a\n", {{"header", false}}).rows,
              HasSubstr("without a header, the columns need names"));
  EXPECT_THAT(ReadCsv("a,b\n1,2\n", {{"delimiter", "\""}}).rows, HasSubstr("are the same"));
}

}  // namespace
}  // namespace tranche

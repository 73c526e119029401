#include "tranche/job/load.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tranche/base/file.h"
#include "tranche/job/canonical.h"
#include "tranche/job/job_testing.h"

namespace tranche {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;
using ::testing::UnorderedElementsAre;

class LoadTest : public JobTest {};

// What most tests need and none looks at.
constexpr char kEnds[] = "store: {out: {csv: {path: out.csv}}}\n";
constexpr char kInput[] = "collect: {a: {csv: {path: a.csv}}}\n";

TEST_F(LoadTest, AWholeJob) {
  Job job = Good(
      "job: flights/by-hour\n"
      "parameters: {day: {type: date, default: yesterday}, least: {type: integer, default: 3}}\n"
      "collect:\n"
      "  flights:\n"
      "    csv: {path: \"in/flights-${day}*.csv\", types: {at: {timestamp: \"%d.%m.%Y\"}, n: "
      "\"decimal(12,2)\"}}\n"
      "    incremental: new_files\n"
      "    rejects: 0.5%\n"
      "    prepare: [{filter: n > 0}]\n"
      "  airports:\n"
      "    csv: {path: /abs/airports.csv}\n"
      "from: flights\n"
      "prepare:\n"
      "  - join: {with: airports, using: [dest], how: left}\n"
      "  - check:\n"
      "      enough: n > ${least}\n"
      "    rejects: 10\n"
      "group: {by: [origin], window: {time: at, every: 1h, as: hour, zone: Europe/Berlin}}\n"
      "process:\n"
      "  - aggregate: {flights: count(*), most: \"max(greatest(n, ${least}))\"}\n"
      "  - sort: [flights desc nulls last, origin]\n"
      "store:\n"
      "  hourly:\n"
      "    parquet: {path: out/hourly/}\n"
      "    batch: {rows: 500, bytes: 1MiB, linger: 2s, parallel: 2}\n"
      "    retry: {attempts: 3, backoff: 100ms..5s, timeout: 1m}\n"
      "    rejects: 2\n"
      "rejects: 0.1%\n"
      "run: {memory: 2GiB, threads: 4, timeout: 1h, engine: duckdb}\n");
  EXPECT_EQ(job.name, "flights/by-hour");
  EXPECT_EQ(job.file, folder_ + "/job.yaml");
  ASSERT_EQ(job.inputs.size(), 2u);
  EXPECT_EQ(job.inputs[0].value.Find("path")->text, folder_ + "/in/flights-2026-11-19*.csv");
  EXPECT_TRUE(job.inputs[0].new_files);
  EXPECT_EQ(job.inputs[0].rejects->percent, 0.5);
  EXPECT_EQ(job.inputs[0].prepare[0].origin, "filter (input flights, prepare 1)");
  EXPECT_EQ(job.inputs[1].value.Find("path")->text, "/abs/airports.csv");
  EXPECT_THAT(job.from, ElementsAre("flights"));
  EXPECT_EQ(job.prepare[1].origin, "check (prepare 2)");
  EXPECT_EQ(job.prepare[1].rejects->count, 10);
  EXPECT_EQ(job.prepare[1].value.Find("enough")->text, "n > $p1     ");
  ASSERT_EQ(job.bodies.size(), 1u);
  const Body& body = job.bodies[0];
  EXPECT_EQ(body.name, "");
  EXPECT_THAT(body.group->by, ElementsAre("origin"));
  EXPECT_EQ(body.group->window->length, std::chrono::hours(1));
  EXPECT_EQ(body.group->window->days, 0);
  EXPECT_EQ(body.group->window->as, "hour");
  EXPECT_EQ(body.group->window->zone, "Europe/Berlin");
  EXPECT_EQ(body.process[0].origin, "aggregate (process 1)");
  EXPECT_EQ(body.process[0].value.Find("most")->text, "max(greatest(n, $p1     ))");
  const Store& store = body.stores[0];
  EXPECT_EQ(store.value.Find("path")->text, folder_ + "/out/hourly/");
  EXPECT_EQ(store.batch.rows, 500);
  EXPECT_EQ(store.batch.bytes, 1 << 20);
  EXPECT_EQ(store.batch.linger, std::chrono::seconds(2));
  EXPECT_EQ(store.batch.parallel, 2);
  EXPECT_EQ(store.retry.attempts, 3);
  EXPECT_EQ(store.retry.least, std::chrono::milliseconds(100));
  EXPECT_EQ(store.retry.most, std::chrono::seconds(5));
  EXPECT_EQ(store.retry.timeout, std::chrono::minutes(1));
  EXPECT_EQ(store.rejects->count, 2);
  EXPECT_EQ(job.rejects.percent, 0.1);
  EXPECT_EQ(job.run.memory, int64_t{2} << 30);
  EXPECT_EQ(job.run.threads, 4);
  EXPECT_EQ(job.run.timeout, std::chrono::hours(1));
  EXPECT_THAT(job.parameters, ElementsAre(Pair("day", "2026-11-19"), Pair("least", "3")));
  ASSERT_TRUE(job.values.contains("p1"));
  EXPECT_EQ(job.values.at("p1").type, "BIGINT");
  EXPECT_EQ(job.values.at("p1").text, "3");
}

TEST_F(LoadTest, Branches) {
  Job job = Good(
      "collect: {sales: {csv: {path: s.csv}}, old: {csv: {path: o.csv}}}\n"
      "from: [sales, old]\n"
      "prepare: [{filter: net > 0}]\n"
      "branches:\n"
      "  by_product:\n"
      "    group: {by: [product]}\n"
      "    process: [{aggregate: {net: sum(net)}}]\n"
      "    store: {products: {csv: {path: p.csv}}}\n"
      "  best:\n"
      "    from: by_product\n"
      "    prepare: [{limit: 10}]\n"
      "    store: {best: {csv: {path: b.csv}}}\n"
      "    rejects: 5\n"
      "  raw: {from: old, store: {raw: {csv: {path: r.csv}}}}\n");
  EXPECT_EQ(job.name, "job");  // the file's
  EXPECT_THAT(job.from, ElementsAre("sales", "old"));
  ASSERT_EQ(job.bodies.size(), 3u);
  EXPECT_THAT(job.bodies[0].from, IsEmpty());
  EXPECT_EQ(job.bodies[1].name, "best");
  EXPECT_THAT(job.bodies[1].from, ElementsAre("by_product"));
  EXPECT_EQ(job.bodies[1].prepare[0].origin, "limit (branch best, prepare 1)");
  EXPECT_EQ(job.bodies[1].rejects->count, 5);
  EXPECT_THAT(job.bodies[2].from, ElementsAre("old"));
}

TEST_F(LoadTest, ThreeMistakesAtOnce) {
  EXPECT_THAT(Errors("collect:\n"
                     "  a:\n"
                     "    csv: {path: a.csv, delimitr: comma}\n"
                     "prepare:\n"
                     "  - fliter: a > 1\n"
                     "group: {by: [a], windw: {time: t, every: 1h}}\n"
                     "store:\n"
                     "  out:\n"
                     "    csv: {path: o.csv}\n"
                     "    batch: {rows: ten}\n"),
              ElementsAre("job.yaml:3:24: unknown field 'delimitr' in 'csv'; did you mean 'delimiter'?",
                          "job.yaml:5:5: unknown step 'fliter'; did you mean 'filter'?",
                          "job.yaml:6:18: unknown field 'windw' in 'group'; did you mean 'window'?",
                          "job.yaml:10:19: 'rows': not a whole number: 'ten'"));
}

TEST_F(LoadTest, MistakesInsideExpressionsPointIntoThem) {
  EXPECT_THAT(Errors(std::string(kInput) +
                     "prepare:\n"
                     "  - filter: a > oops\n"
                     "  - filter: 'b = ''x'' and oops'\n"
                     "  - filter: \"c = \\\"d\\\" or oops\"\n"
                     "  - derive:\n"
                     "      block: |\n"
                     "        case when a\n"
                     "          then oops end\n"
                     "  - sort: [oops desc]\n"
                     "  - sql: |\n"
                     "      select *\n"
                     "      from oops\n" +
                     kEnds),
              ElementsAre("job.yaml:3:17: oops", "job.yaml:4:28: oops", "job.yaml:5:27: oops",
                          "job.yaml:9:16: oops", "job.yaml:10:12: oops", "job.yaml:13:12: oops"));
}

TEST_F(LoadTest, ExpressionsBehindAParameterStillPointRight) {
  EXPECT_THAT(
      Errors("parameters: {x: {type: integer, default: 1}}\n" + std::string(kInput) +
             "prepare: [{filter: \"a > ${x} and oops\"}, {filter: \"${x} > $${x} and oops\"}]\n" + kEnds),
      Contains("job.yaml:3:34: oops"));
}

struct Case {
  const char* name;
  std::string text;
  std::string message;
};
void PrintTo(const Case& test, std::ostream* out) { *out << test.name; }

class Mistake : public JobTest, public ::testing::WithParamInterface<Case> {};
TEST_P(Mistake, IsSaid) { EXPECT_THAT(Errors(GetParam().text), ElementsAre(GetParam().message)); }

std::string Steps(const std::string& steps) { return std::string(kInput) + "prepare:\n" + steps + kEnds; }
std::string WithStore(const std::string& store) { return std::string(kInput) + "store:\n  s:\n" + store; }
std::string WithInput(const std::string& input) { return "collect:\n  a:\n" + input + kEnds; }
std::string Whole(const std::string& rest) { return std::string(kInput) + kEnds + rest; }
std::string Branches(const std::string& rest) { return std::string(kInput) + rest; }

INSTANTIATE_TEST_SUITE_P(
    Rules, Mistake,
    ::testing::Values(
        // R1
        Case{"JobName", Whole("job: My Job\n"),
             "job.yaml:3:6: not a name of a job: 'My Job'; use a-z, 0-9, - and _, perhaps with a group "
             "before it: sales/by-hour"},
        Case{"JobTakesNoValue", Whole("job: \"x${a}\"\n"),
             "job.yaml:3:6: 'job' takes no ${…}; the name is what the job is known by in its targets"},
        Case{"InputName", "collect: {Sales: {csv: {path: a}}}\n" + std::string(kEnds),
             "job.yaml:1:11: 'Sales' cannot name an input; names have a-z, 0-9 and _, and begin with a "
             "letter or _"},
        Case{"ReservedName", "collect: {input: {csv: {path: a}}}\n" + std::string(kEnds),
             "job.yaml:1:11: 'input' is a reserved name; call an input something else"},
        Case{"StepsAreAList", std::string(kInput) + "prepare: {filter: a}\n" + kEnds,
             "job.yaml:2:10: 'prepare' is a list of steps; begin each step with '- '"},
        Case{"InputsAreAMap", "collect: [a]\n" + std::string(kEnds),
             "job.yaml:1:10: 'collect' is a map of names; write a name, a colon, and what it names below it"},
        // R2
        Case{"UnknownTopKey", Whole("proces: []\n"),
             "job.yaml:3:1: unknown field 'proces' in a job; did you mean 'process'?"},
        Case{"UnknownConnector", WithInput("    cvs: {path: a}\n"),
             "job.yaml:3:5: unknown connector 'cvs'; did you mean 'csv'?"},
        Case{"NoConnector", WithInput("    path: a.csv\n"),
             "job.yaml:3:5: unknown connector 'path'; there are csv, lines"},
        Case{"OnlyCommonKeys", WithInput("    rejects: 1\n"),
             "job.yaml:3:5: an input needs the name of one connector"},
        Case{"TwoConnectors", WithInput("    csv: {path: a}\n    lines: {path: a}\n"),
             "job.yaml:4:5: 'csv' and 'lines' stand in one item; give each its own name"},
        Case{"TwoSteps", Steps("  - filter: a\n    limit: 1\n"),
             "job.yaml:4:5: 'filter' and 'limit' stand in one item; begin each step with its own '- '"},
        Case{"OptionInTheWrongPlace", WithInput("    csv: {path: a}\n    delimiter: tab\n"),
             "job.yaml:4:5: unknown field 'delimiter' beside 'csv'; move 'delimiter' under 'csv'"},
        Case{"CommonKeyInTheWrongPlace", WithStore("    csv: {path: a, batch: {rows: 1}}\n"),
             "job.yaml:4:20: 'batch' is no option of 'csv'; move 'batch' beside 'csv'"},
        Case{"NoStore", WithStore("    lines: {path: a}\n"),
             "job.yaml:4:5: 'lines' is an input, and cannot be a store"},
        Case{"AScalarStep", Steps("  - limit\n"),
             "job.yaml:3:5: a step is a key and its value; as in - filter: amount > 0"},
        Case{"AnEmptyStep", Steps("  - {}\n"),
             "job.yaml:3:5: an item without a step; as in - filter: amount > 0"},
        Case{"RequiredOption", WithInput("    csv: {delimiter: tab}\n"),
             "job.yaml:3:10: 'csv' needs 'path'; Where"},
        Case{"MisspeltOnce", "colect: {a: {csv: {path: a}}}\n" + std::string(kEnds),
             "job.yaml:1:1: unknown field 'colect' in a job; did you mean 'collect'?"},
        // R3
        Case{
            "TwoStoresOfOneName",
            Branches("branches:\n  x: {store: {s: {csv: {path: a}}}}\n  y: {store: {s: {csv: {path: b}}}}\n"),
            "job.yaml:4:15: two stores are named 's'; the first is at job.yaml:3:15; a store's name is its "
            "identity in the whole job"},
        Case{"NoStoreAtAll", kInput,
             "job.yaml:1:1: the job has no 'store'; name where the rows go, as in store: {out: {csv: {path: "
             "out.csv}}}"},
        Case{"NoInputAtAll", kEnds,
             "job.yaml:1:1: the job has no 'collect'; name what it reads, as in collect: {sales: {csv: "
             "{path: sales.csv}}}"},
        // R4
        Case{"FromIsNeeded", "collect: {a: {csv: {path: a}}, b: {csv: {path: b}}}\n" + std::string(kEnds),
             "job.yaml:1:32: there are 2 inputs, and no 'from' says which flows; write from: a, or a list of "
             "inputs; the "
             "others are reached by name in join and sql"},
        Case{"UnknownFrom", Whole("from: prices\n"),
             "job.yaml:3:7: unknown input 'prices' in 'from'; there is a"},
        Case{"UnknownFromNear", "collect: {sales: {csv: {path: a}}}\nfrom: slaes\n" + std::string(kEnds),
             "job.yaml:2:7: unknown input 'slaes' in 'from'; did you mean 'sales'?"},
        Case{"UnknownJoin", Steps("  - join: {with: prices, using: [k]}\n"),
             "job.yaml:3:18: unknown input 'prices'; there is a"},
        // R6
        Case{"BodyBesideBranches", Branches("branches: {x: {store: {s: {csv: {path: a}}}}}\nprocess: []\n"),
             "job.yaml:3:1: 'process' stands beside 'branches'; move it into a branch"},
        Case{"BranchCycle",
             Branches("branches:\n  x: {from: y, store: {s: {csv: {path: a}}}}\n  y: {from: x}\n"),
             "job.yaml:4:13: branches 'y' and 'x' start from each other; let one of them start from an input "
             "or the prepared rows"},
        Case{"BranchFromItself", Branches("branches:\n  x: {from: x, store: {s: {csv: {path: a}}}}\n"),
             "job.yaml:3:13: branch 'x' starts from itself"},
        Case{"BranchWithoutAStore",
             Branches("branches:\n  x: {store: {s: {csv: {path: a}}}}\n  y: {prepare: [{limit: 1}]}\n"),
             "job.yaml:4:3: branch 'y' stores nothing, and no branch starts from it; give it a 'store'"},
        Case{"BranchNamedAsAnInput", Branches("branches: {a: {store: {s: {csv: {path: a}}}}}\n"),
             "job.yaml:2:12: 'a' names an input and a branch; give the branch another name"},
        Case{"PrepareForNoOne",
             Branches("prepare: [{limit: 1}]\nbranches: {x: {from: a, store: {s: {csv: {path: a}}}}}\n"),
             "job.yaml:2:10: no branch starts from the prepared rows; take one branch's 'from' out, or move "
             "these steps into a branch"},
        Case{"BranchKey",
             Branches("branches: {x: {stores: {s: {csv: {path: a}}}, store: {t: {csv: {path: b}}}}}\n"),
             "job.yaml:2:16: unknown field 'stores' in branch 'x'; did you mean 'store'?"},
        // R7, R8
        Case{"RowsStandAlone", Whole("group: {by: [a], rows: 5}\n"),
             "job.yaml:3:24: 'rows' stands beside 'by' or 'window'; group by one of them"},
        Case{"EmptyGroup", Whole("group: {}\n"),
             "job.yaml:3:8: 'group' needs 'by', 'window' or 'rows'; without 'group', all rows are one group"},
        Case{"WindowLength", Whole("group: {window: {time: a, every: 1}}\n"),
             "job.yaml:3:34: 'every': not a duration: '1'; write numbers with ms, s, m, h, d or w, as in "
             "200ms or 1h30m"},
        Case{
            "WindowMixed", Whole("group: {window: {time: a, every: 1d12h}}\n"),
            "job.yaml:3:34: 'every: 1d12h' mixes days with hours; write whole days or weeks, as in 1d or 2w"},
        Case{"Late", Whole("group: {window: {time: a, every: 1h, late: 5m}}\n"),
             "job.yaml:3:38: 'late' is not in this version"},
        // R10
        Case{"ModeByColumn", WithStore("    table: {table: t, mode: {column: op, insert: [I]}}\n"),
             "job.yaml:4:29: 'mode' cannot be a map; it takes: append, replace, upsert"},
        Case{"ModeUpdate", WithStore("    table: {table: t, mode: update}\n"),
             "job.yaml:4:29: 'mode' cannot be 'update'; there are append, replace, upsert"},
        Case{"ModeUnknown", WithStore("    table: {table: t, mode: upsrt}\n"),
             "job.yaml:4:29: 'mode' cannot be 'upsrt'; did you mean 'upsert'?"},
        Case{"TableList", WithStore("    table: {table: [a, b]}\n"),
             "job.yaml:4:20: 'table' cannot be a list; it takes: text"},
        // R11
        Case{"UnknownParameter",
             "parameters: {day: {type: date, default: today}}\n" +
                 WithInput("    csv: {path: \"x-${dya}.csv\"}\n"),
             "job.yaml:4:20: unknown parameter 'dya'; did you mean 'day'?"},
        Case{"MissingParameter", "parameters: {day: date}\n" + Whole(""),
             "job.yaml:1:14: parameter 'day' has no value; give it one: --set day=…"},
        Case{"MissingEnvironment", WithInput("    csv: {path: \"${env:NOPE}/x\"}\n"),
             "job.yaml:3:18: environment variable 'NOPE' is not set; set it, or write a default: "
             "${env:NOPE:-…}"},
        Case{"MissingSecret", WithInput("    csv: {path: x, note: \"${secret:NOPE}\"}\n"),
             "job.yaml:3:27: secret 'NOPE' is not set; set it in the environment or in a file given with "
             "--env-file"},
        Case{"UnclosedValue", WithInput("    csv: {path: \"${day\"}\n"),
             "job.yaml:3:18: '${' is not closed; close it with }; a dollar sign before { is written $$"},
        Case{"Mark", WithInput("    csv: {path: \"${mark}\"}\n"),
             "job.yaml:3:18: ${mark} is not known here; it stands in the `query` of an input that has "
             "`incremental` "
             "by a column beside it"},
        Case{"Table", WithInput("    csv: {path: \"${table}\"}\n"),
             "job.yaml:3:18: ${table} is not known: no input has several tables; write `table` as a list, or "
             "with * or ?: "
             "the job then runs once for each table"},
        Case{"UnknownKind", WithInput("    csv: {path: \"${file:x}\"}\n"),
             "job.yaml:3:18: unknown '${file:…}'; there are ${name} for a parameter, ${env:NAME}, "
             "${secret:NAME} and ${run:id}"},
        Case{"SecretInAPath", WithInput("    csv: {path: \"${secret:KEY}\"}\n"),
             "job.yaml:3:18: a secret cannot stand here: it would be shown"},
        Case{"SecretParameter", "parameters: {p: {type: text, default: \"${secret:KEY}\"}}\n" + Whole(""),
             "job.yaml:1:39: a parameter cannot be a secret: parameters are shown; write ${secret:…} where "
             "it is needed"},
        Case{"SecretInAType", "parameters: {p: {type: \"decimal(5${secret:KEY}\", default: 1}}\n" + Whole(""),
             "job.yaml:1:24: a parameter cannot be a secret: parameters are shown; write ${secret:…} where "
             "it is needed"},
        Case{"SecretInAChoice",
             "parameters: {p: {type: text, in: [x, \"${secret:KEY}\"], default: z}}\n" + Whole(""),
             "job.yaml:1:38: a parameter cannot be a secret: parameters are shown; write ${secret:…} where "
             "it is needed"},
        Case{"ValueInAKey", Steps("  - derive: {\"${x}\": a}\n"),
             "job.yaml:3:14: ${…} cannot stand in a key; write the name as it is"},
        // R12
        Case{"QuotedValue", Steps("  - filter: a = '${env:STAGE}'\n"),
             "job.yaml:3:18: ${env:STAGE} stands inside quotes; remove the quotes: the value comes with its "
             "type"},
        Case{"QuotedSecret", Steps("  - filter: a = '${secret:KEY}'\n"),
             "job.yaml:3:18: ${secret:KEY} stands inside quotes; remove the quotes: the value comes with its "
             "type"},
        Case{"EscapedQuote", Steps("  - filter: a = E'\\'${env:STAGE}' or b = 'x'\n"),
             "job.yaml:3:21: ${env:STAGE} stands inside quotes; remove the quotes: the value comes with its "
             "type"},
        Case{"ValueAsAName", Steps("  - filter: a = \"${env:STAGE}\"\n"),
             "job.yaml:3:18: ${env:STAGE} stands inside quotes of a name; a value cannot name a column in "
             "SQL"},
        Case{"DollarInSql", Steps("  - filter: a = $p1\n"),
             "job.yaml:3:17: a '$' has no meaning in SQL here; a parameter is written ${name}"},
        // R13
        Case{"ColumnsByCase", Steps("  - derive: {Net: a, net: b}\n"),
             "job.yaml:3:22: 'net' stands here twice: columns that differ only by case are the same"},
        Case{"ColumnTwice", Steps("  - select: [a, A]\n"), "job.yaml:3:17: 'A' stands twice in 'select'"},
        // R15
        Case{"Boolean", WithInput("    csv: {path: a, header: yes}\n"),
             "job.yaml:3:28: 'header': not true or false: 'yes'"},
        Case{"Size", WithStore("    csv: {path: a}\n    batch: {bytes: 8M}\n"),
             "job.yaml:5:20: 'bytes': not a size: '8M'; write a number and B, kB, MB, GB, KiB, MiB or GiB, "
             "as in 8MiB"},
        Case{"Date", "parameters: {day: {type: date, default: 2026-02-30}}\n" + Whole(""),
             "job.yaml:1:41: parameter 'day': not a date: '2026-02-30'; write it as 2026-11-20, or today, or "
             "yesterday"},
        Case{"Null", WithInput("    csv: {path: a, header: null}\n"),
             "job.yaml:3:20: 'header' is null; leave it out; \"\" is an empty text, \"null\" the word"},
        Case{"AtLeast", Steps("  - limit: 0\n"), "job.yaml:3:12: 'limit' is at least 1, not 0"},
        // YAML table
        Case{"PipeAsDelimiter",
             "collect:\n  a:\n    csv:\n      path: a\n      delimiter: |\n" + std::string(kEnds),
             "job.yaml:5:18: 'delimiter' is empty; write comma, semicolon, tab, pipe or space, or one "
             "character in quotes"},
        Case{"HashAsDelimiter",
             "collect:\n  a:\n    csv:\n      path: a\n      delimiter: #\n" + std::string(kEnds),
             "job.yaml:5:7: 'delimiter' has no value: '#' begins a comment; put the value in quotes: \"#\""},
        Case{"WordForACharacter", WithInput("    csv: {path: a, delimiter: semicoln}\n"),
             "job.yaml:3:31: 'delimiter' is one character, not 'semicoln'; did you mean 'semicolon'?"},
        Case{"HashInAnExpression", Steps("  - filter: x = ' #1'\n"),
             "job.yaml:3:13: a quote is not closed in 'x = ''; YAML ends a text at ' #': put the whole "
             "expression in quotes, or "
             "below the key after '|'"},
        Case{"Backspace", WithInput("    csv: {path: a, note: \"\\bx\"}\n"),
             "job.yaml:3:26: a control character in 'note'; use single quotes: in double quotes \\b is a "
             "backspace"},
        Case{"CommaInBraces", Steps("  - derive: {r: round(a, 2)}\n"),
             "job.yaml:3:17: a comma inside { } splits the value of 'r'; put the value in quotes, or give "
             "each key its own line"},
        // types
        Case{"Type", WithInput("    csv: {path: a, types: {n: bigent}}\n"),
             "job.yaml:3:31: unknown type 'bigent'; did you mean 'bigint'?"},
        Case{"TypeIsNoSql", WithInput("    csv: {path: a, types: {n: \"int) + (1\"}}\n"),
             "job.yaml:3:31: not a type: 'int) + (1'; write an SQL type, as in bigint, varchar, "
             "decimal(12,2), timestamp"},
        Case{"TypeFormat", WithInput("    csv: {path: a, types: {n: {bigint: \"%d\"}}}\n"),
             "job.yaml:3:31: 'n' is not a type with a format; write it as {timestamp: \"%d.%m.%Y\"}"},
        Case{"MapForAText", WithInput("    csv: {path: {a: b}}\n"),
             "job.yaml:3:17: 'path' cannot be a map; it takes: path"},
        // R16
        Case{"Rejects", Whole("rejects: 0.1\n"),
             "job.yaml:3:10: 'rejects': not a number of rejects: '0.1'; write how many are allowed, as in 10 "
             "or 0.1%"},
        // common keys
        Case{"BatchBesideAnInput", WithInput("    csv: {path: a}\n    batch: {rows: 5}\n"),
             "job.yaml:4:5: 'batch' is not in this version; it stands beside an input here"},
        Case{"TooParallel", WithStore("    csv: {path: a}\n    batch: {parallel: 4}\n"),
             "job.yaml:5:23: 'csv' takes one batch at a time; leave 'parallel' out"},
        Case{"Backoff", WithStore("    csv: {path: a}\n    retry: {backoff: 30s..1s}\n"),
             "job.yaml:5:22: not a range of pauses: '30s..1s'; write the shortest and the longest, as in "
             "200ms..30s"},
        Case{"IncrementalColumn", WithInput("    csv: {path: a}\n    incremental: {column: id}\n"),
             "job.yaml:4:18: 'incremental' by a column needs a database server, and 'csv' is none; for files "
             "there is incremental: new_files"},
        Case{"IncrementalTypo", WithInput("    csv: {path: a}\n    incremental: new_file\n"),
             "job.yaml:4:18: unknown 'incremental: new_file'; did you mean 'new_files'?"},
        // not in this version
        Case{"Kafka", WithInput("    kafka: {topic: a}\n"), "job.yaml:3:5: 'kafka' is not in this version"},
        Case{"Mask", Steps("  - mask: {a: redact}\n"), "job.yaml:3:5: 'mask' is not in this version"},
        Case{"Alerts", Whole("alerts: {}\n"), "job.yaml:3:1: 'alerts' is not in this version"},
        Case{"Schedule", Whole("run: {schedule: {every: 1h}}\n"),
             "job.yaml:3:7: 'schedule' is not in this version"},
        Case{"S3Path", WithInput("    csv: {path: s3://x/y}\n"),
             "job.yaml:3:17: 's3://' is not in this version"},
        // what only the component can say
        Case{"Factory", WithInput("    csv: {path: a, note: refuse me}\n"),
             "job.yaml:3:26: refused by its factory"}),
    [](const auto& info) { return info.param.name; });

TEST_F(LoadTest, AnotherEngineIsRefused) {
  EXPECT_THAT(Errors(Whole("run: {engine: spark}\n")),
              ElementsAre("job.yaml:3:15: 'engine: spark' is not in this version"));
}

TEST_F(LoadTest, ValuesInTexts) {
  context_.set = {{"x", "a=b'; drop"}};
  Job job = Good("parameters: {x: text}\n" +
                 WithInput("    csv: {path: \"${x}/${env:STAGE}-${env:NOPE:-dev}-${run:id}$$5-{col}\", note: "
                           "\"p:${secret:KEY}!\"}\n"));
  const Node& value = job.inputs[0].value;
  EXPECT_EQ(value.Find("path")->text, folder_ + "/a=b'; drop/prod-dev-run1$5-{col}");
  EXPECT_EQ(value.Find("note")->text, "p:hunter2!");
  EXPECT_THAT(value.Find("note")->masked, Not(HasSubstr("hunter2")));
  EXPECT_THAT(job.secrets, ElementsAre("KEY"));
}

TEST_F(LoadTest, ValuesInSqlAreBound) {
  Job job = Good(
      "parameters: {d: {type: date, default: today}, n: {type: \"decimal(5,2)\", default: 1.5}}\n" +
      Steps("  - filter: at >= ${d} and m > ${n} and s = ${secret:KEY} and e = ${env:NOPE:-x} -- it's ${d}\n"
            "  - filter: \"r ~ 'a$$' and at <= ${d}\"\n"));
  EXPECT_EQ(job.prepare[0].value.text,
            "at >= $p1  and m > $p2  and s = $p3           and e = $p4            -- it's ${d}");
  EXPECT_EQ(job.prepare[1].value.text, "r ~ 'a$' and at <= $p1 ");
  EXPECT_EQ(job.values.at("p1").type, "DATE");
  EXPECT_EQ(job.values.at("p1").text, "2026-11-20");
  EXPECT_EQ(job.values.at("p2").type, "DECIMAL(5,2)");
  EXPECT_TRUE(job.values.at("p3").secret);
  EXPECT_EQ(job.values.at("p3").text, "hunter2");
  EXPECT_EQ(job.values.at("p4").text, "x");
}

TEST_F(LoadTest, SetIsTyped) {
  context_.set = {{"n", "three"}, {"lest", "1"}, {"c", "US"}};
  EXPECT_THAT(Errors("parameters: {n: integer, least: {type: integer, default: 1}, c: {type: text, in: [DE, "
                     "\"NO\"]}}\n" +
                     Whole("")),
              UnorderedElementsAre("--set: parameter 'n': not a whole number: 'three'",
                                   "--set: unknown parameter 'lest'; did you mean 'least'?",
                                   "--set: parameter 'c' cannot be 'US'; it is one of DE, NO"));
}

TEST_F(LoadTest, OfflineNeedsNoValues) {
  context_.offline = true;
  std::string text =
      "parameters: {day: date, n: integer}\n" +
      WithInput("    csv: {path: \"x-${day}.csv\", note: \"${secret:NOPE}\", header: \"${env:NOPE}\"}\n") +
      "prepare: [{limit: \"${n}\"}, {filter: \"at = ${day}\"}]\n";
  Job job = Good(text);
  EXPECT_THAT(job.secrets, ElementsAre("NOPE"));
  EXPECT_EQ(job.values.at("p1").type, "DATE");
  EXPECT_EQ(job.values.at("p1").text, std::nullopt);
}

TEST_F(LoadTest, IncludeMergesMaps) {
  Write("shared.yaml",
        "run: {memory: 1GiB, threads: 2}\nrejects: 5\nparameters: {x: {type: integer, default: 1}}\n");
  Job job = Good(Whole("include: shared.yaml\nrun: {threads: 4}\n"));
  EXPECT_EQ(job.run.memory, 1 << 30);
  EXPECT_EQ(job.run.threads, 4);
  EXPECT_EQ(job.rejects.count, 5);
}

TEST_F(LoadTest, IncludedStepsKeepTheirPlaces) {
  Write("steps.yaml", "- filter: a > 1\n- filter: oops\n");
  EXPECT_THAT(Errors(Steps("  - limit: 5\n  - include: steps.yaml\n")), ElementsAre("steps.yaml:2:11: oops"));
  Write("steps.yaml", "- filter: a > 1\n- filter: b\n");
  Job job = Good(Steps("  - limit: 5\n  - include: steps.yaml\n  - limit: 3\n"));
  ASSERT_EQ(job.prepare.size(), 4u);
  EXPECT_EQ(job.prepare[2].origin, "filter (prepare 3)");
  EXPECT_EQ(job.prepare[3].origin, "limit (prepare 4)");
}

TEST_F(LoadTest, IncludesGoWrong) {
  Write("nested.yaml", "include: x.yaml\nrun: {thread: 2}\n");
  Write("steps.yaml", "- include: x.yaml\n");
  EXPECT_THAT(Errors(Whole("include: nested.yaml\n")),
              ElementsAre("nested.yaml:1:1: an included file has no 'include'",
                          "nested.yaml:2:7: unknown field 'thread' in 'run'; did you mean 'threads'?"));
  EXPECT_THAT(Errors(Steps("  - include: steps.yaml\n")),
              ElementsAre("steps.yaml:1:3: an included file includes nothing"));
  EXPECT_THAT(Errors(Steps("  - include: nested.yaml\n")),
              ElementsAre("nested.yaml:1:1: what is included here is a list of steps"));
  EXPECT_THAT(Errors(Steps("  - include: none.yaml\n")), ElementsAre(HasSubstr("job.yaml:3:14: cannot")));
}

TEST_F(LoadTest, SqlInAFile) {
  Write("query.sql", "select *\nfrom oops\n");
  EXPECT_THAT(Errors(Steps("  - sql: {path: query.sql}\n")), ElementsAre("query.sql:2:6: oops"));
  Write("query.sql", "select *\nfrom input where a = ${env:STAGE}\n");
  EXPECT_EQ(Good(Steps("  - sql: {path: query.sql}\n")).prepare[0].value.text,
            "select *\nfrom input where a = $p1         \n");
}

TEST_F(LoadTest, AppendingWarns) {
  std::string store = "store: {t: {table: {table: x}}}\n";
  Loaded loaded = Load("collect: {a: {csv: {path: a}}}\n" + store);
  ASSERT_EQ(loaded.warnings.size(), 1u);
  EXPECT_EQ(loaded.warnings[0].ToString(),
            "job.yaml:2:9: store 't' appends, and 'a' is read whole in each run: a second run stores its "
            "rows again; write "
            "`incremental` beside the input, or mode: replace or upsert");
  EXPECT_THAT(Load("collect: {a: {csv: {path: a}, incremental: new_files}}\n" + store).warnings, IsEmpty());
  EXPECT_THAT(
      Load("collect: {a: {csv: {path: a}}}\nstore: {t: {table: {table: x, mode: replace}}}\n").warnings,
      IsEmpty());
}

TEST_F(LoadTest, CanonicalIsWhatDecidesTheRows) {
  auto text = [](const std::string& options, const std::string& filter, const std::string& rest) {
    return WithInput("    csv: " + options + "\n") + "prepare: [{filter: \"" + filter + "\"}]\n" + rest;
  };
  Job job = Good(text("{path: a.csv, note: \"${secret:KEY}\"}", "a = ${secret:KEY}", ""));
  EXPECT_THAT(job.canonical, Not(HasSubstr("hunter2")));
  EXPECT_THAT(job.canonical, Not(HasSubstr(folder_)));
  EXPECT_TRUE(nlohmann::json::accept(job.canonical));
  // Order of options, comments and tuning do not count.
  Job same = Good(text("{note: \"${secret:KEY}\", path: a.csv}", "a = ${secret:KEY}",
                       "rejects: 5 # more\nrun: {threads: 2}\n"));
  EXPECT_EQ(same.canonical, job.canonical);
  EXPECT_NE(same.tuning, job.tuning);
  EXPECT_NE(Good(text("{path: b.csv, note: \"${secret:KEY}\"}", "a = ${secret:KEY}", "")).canonical,
            job.canonical);
  EXPECT_NE(Good(text("{path: a.csv, note: \"${secret:KEY}\"}", "b = ${secret:KEY}", "")).canonical,
            job.canonical);
  // The run's id is not part of it, the value of a secret is.
  Job one = Good(text("{path: \"${run:id}.csv\"}", "a", ""));
  context_.run_id = "run2";
  EXPECT_EQ(Good(text("{path: \"${run:id}.csv\"}", "a", "")).canonical, one.canonical);
  secrets_["KEY"] = "other";
  EXPECT_NE(Good(text("{path: a.csv, note: \"${secret:KEY}\"}", "a = ${secret:KEY}", "")).canonical,
            job.canonical);
  // The order of derived columns is the order of what comes out.
  EXPECT_NE(Good(Steps("  - derive: {a: x, b: y}\n")).canonical,
            Good(Steps("  - derive: {b: y, a: x}\n")).canonical);
}

TEST_F(LoadTest, AServerMayGetAnotherName) {
  EXPECT_TRUE(
      IsSameJob(R"({"bodies": [1], "servers": {"out": "one"}})", R"({"bodies": [1], "servers": {}})"));
  EXPECT_FALSE(IsSameJob(R"({"bodies": [1], "servers": {}})", R"({"bodies": [2], "servers": {}})"));
  EXPECT_FALSE(IsSameJob("", "{}"));
}

TEST_F(LoadTest, CalendarWindows) {
  auto days = [&](const std::string& every) {
    return Good(Whole("group: {window: {time: t, every: " + every + "}}\n")).bodies[0].group->window->days;
  };
  EXPECT_EQ(days("1d"), 1);
  EXPECT_EQ(days("2w"), 14);
  EXPECT_EQ(days("90m"), 0);
}

TEST_F(LoadTest, AMissingFileIsTheUsersMistake) {
  Loaded loaded = LoadJob(folder_ + "/none.yaml", context_);
  ASSERT_EQ(loaded.errors.size(), 1u);
  EXPECT_EQ(loaded.errors[0].code, Code::kJob);
}

TEST_F(LoadTest, ManyMistakesAreCut) {
  std::string steps;
  for (int i = 0; i < 1000; ++i) steps += "  - fliter: a\n";
  EXPECT_EQ(Errors(Steps(steps)).size(), 100u);
}

}  // namespace
}  // namespace tranche

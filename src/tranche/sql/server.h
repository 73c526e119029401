// Server: a database that is reached over the network, and a session on it by its own client library.
//
//   TRANCHE_ASSIGN(auto session, server.Connect("tranche 4f0a…", {}));
//   session->Execute("BEGIN");
//   session->Load(target, rows, {{0, rows.num_rows()}});
//   session->Execute("COMMIT");
//
// A call that fails says by fault() what to do about it. No call takes longer than the server's timeout: then
// the session is lost. One thread at a time; sessions of one Server may be used side by side.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/type_fwd.h>

#include "tranche/base/clock.h"
#include "tranche/base/result.h"
#include "tranche/batch/span.h"
#include "tranche/connector/engine.h"
#include "tranche/connector/options.h"
#include "tranche/connector/tables.h"
#include "tranche/sql/connection.h"
#include "tranche/sql/table_name.h"

namespace tranche::sql {

// What kind of failure it was, by the server's own code.
struct Fault {
  enum class Kind {
    kNone,
    kRow,    // a row is to blame: a constraint, a type, a length, a trigger
    kAgain,  // the server rolled back, or has no room just now: the whole transaction once more
    kLost,   // the session is gone; a COMMIT that was under way may have happened or not
    kFatal,  // a missing table or right, a mistake of ours: it will not pass by itself
  };
  Kind kind = Kind::kNone;
  std::string code;            // SQLSTATE, or the number
  std::optional<int64_t> row;  // index in the rows that were loaded, where the server names it
  std::string column;          // where the server names it
};

// A column of a table, and how values go into it.
struct TableColumn {
  std::string name;
  std::string type;  // as the server writes it: numeric(12,2)
  std::string base;  // without length and precision, aliases resolved: numeric
  bool not_null = false;
  bool has_default = false;  // or makes its own values
  bool generated = false;    // takes no value
  std::string collation;     // "CHARACTER SET … COLLATE …", where that does not go by itself
  std::string definition() const { return collation.empty() ? type : type + " " + collation; }
};

// What the server says of a table.
struct TableInfo {
  std::string name;  // as it is written in the server; empty: there is none
  std::vector<TableColumn> columns;
  bool deferred = false;  // some constraint is checked at the end of a transaction
  bool meddles = false;   // triggers, rules or policies stand between a row and the table
  bool plain = false;     // nothing depends on it: another table of its name does as well
  std::string mark;       // who made it, where the server keeps that with a table: for ReplaceBy
  std::string problem;    // why it can't keep the promise of exactly once; empty: it can
  bool exists() const { return !name.empty(); }
  const TableColumn* Find(std::string_view column) const;  // without case, where nothing else fits
};

// How the values of one column of rows are handed over.
struct Fit {
  std::string cast;      // the engine's type that they are made first; empty: as they are
  std::string wire;      // what Load writes for them; the server's name of a type
  bool as_text = false;  // handed over as text, and cast by the server: only by way of a staging table
  bool spelled = false;  // Load takes the text of the value, as the engine writes it
  std::string changed;   // SQL of the engine over {}, the value to hand over: the server would store another
};

// A column of an answer.
struct AnswerColumn {
  std::string name;
  std::string type;     // the engine's, for its values
  bool native = false;  // they come as Arrow has them (ArrowTypeOf), else as text that the engine casts
  std::string value;    // the server's SQL for what is sent
  std::string text;     // for the value as text
};
std::shared_ptr<arrow::DataType> ArrowTypeOf(const AnswerColumn& column);

inline constexpr int kMostDigits = 38;  // of the engine's DECIMAL

// Of a batch of an answer, at most.
inline constexpr int64_t kBatchRows = 16'384;
inline constexpr int64_t kBatchBytes = 8 << 20;

// The rows of a query, as they come.
class ServerAnswer {
 public:
  virtual ~ServerAnswer() = default;
  // A value that its type has no room for (NaN as a DECIMAL): NULL in the batch.
  struct Misread {
    int64_t row;  // of the batch
    size_t column;
  };
  // The next rows, or null at the end; adds to `misread`, in order.
  virtual Result<std::shared_ptr<arrow::RecordBatch>> Next(std::vector<Misread>& misread) = 0;
};

// How a table may be read.
struct TableParts {
  std::vector<std::string> conditions;  // that cut it: each row, whenever it comes, is in exactly one part
  std::string problem;                  // why there are none, although the table is large
};

struct LoadTarget {
  std::string table;
  std::vector<std::string> columns;  // of the table, in the order of the rows' columns
  std::vector<std::string> wires;
};

class ServerSession : public SqlConnection {
 public:
  // Of the last call that failed.
  virtual const Fault& fault() const = 0;

  // The rows of `spans` (ascending, disjoint) into a table, by the fastest way of the server: one statement,
  // all of them or an error. How many the server says it took.
  virtual Result<int64_t> Load(const LoadTarget& target, const arrow::RecordBatch& rows,
                               const std::vector<Span>& spans) = 0;

  virtual Result<TableInfo> Look(std::string_view table) = 0;
  virtual Result<bool> MayCreate() = 0;  // tables, where names without a schema go
  virtual Result<bool> HasUniqueIndex(const TableInfo& table, const std::vector<std::string>& key) = 0;
  // An empty table `name` with the definition of this one.
  virtual Status CreateLike(const TableInfo& table, const std::string& name) = 0;
  // `staging` takes the place of `table`, which may not be there: in the caller's transaction, or, where
  // dialect().ddl_commits, in one step by itself, after which Look says `mark` of the table.
  virtual Status ReplaceBy(const std::string& table, const std::string& staging, const std::string& mark) = 0;

  // Of a schema (""; that of the session), and what is found there without naming a schema.
  virtual Result<SchemaTables> Tables(const std::string& schema) = 0;
  // Judges a SELECT and says what it gives. Nothing is read.
  virtual Result<std::vector<AnswerColumn>> Describe(const std::string& query) = 0;
  // Cuts a table, as large as it is now, into `most` parts or fewer, each of at least `bytes`, that may be
  // read side by side. Fewer than two: it is read in one.
  virtual Result<TableParts> Parts(const TableName& table, int64_t bytes, int most);
  // Begins in each of `sessions`, others than this one, a transaction that reads the rows of one moment of
  // the table. Nothing, or why they see none together: then they are of no use, and it is read by one.
  virtual std::optional<std::string> ShareMoment(const TableName& table,
                                                 const std::vector<std::unique_ptr<ServerSession>>& sessions);
  // Whether it begins one in this session, too.
  virtual bool reads_along() const { return false; }
  // A key of the table, in whose order it can be read at about the cost of reading it in any other: then a
  // reader can go on behind a row. Its columns are numbers and texts that come as the server compares them,
  // and never NULL. Empty: none.
  virtual Result<std::vector<std::string>> ReadingOrder(const TableName& table);
  // Runs a SELECT; the session is in use until the answer has ended. With `with_row` a text of the whole row
  // stands behind the columns. In ascending order of the columns `order`.
  virtual Result<std::unique_ptr<ServerAnswer>> Read(const std::string& query,
                                                     const std::vector<AnswerColumn>& columns, bool with_row,
                                                     const std::vector<std::string>& order) = 0;

  // A lock that lasts as long as the session. Nothing, or who holds it.
  virtual Result<std::optional<std::string>> TryLock(const std::string& name) = 0;
  // Ends the other sessions of this application that hold up the ledger, and those that are named by their
  // number (0: none).
  virtual Status EndSessions(const std::string& application, int64_t number) = 0;
  virtual int64_t number() const = 0;  // of this session, on the server

  // For `prove`: a schema whose name begins with `name`, and in it, where there is a table of this name, one
  // with the same definition, and with its rows where they are few. It takes no number of the real table's
  // sequences. Called again it changes nothing. The schema's name.
  virtual Result<std::string> MakeScratch(const std::string& table, const std::string& name);
  virtual Status DropScratch(const std::string& name);
};

// Does `work` for 0, 1, … `count` - 1 at the same time; the first error of the lowest.
Status SideBySide(size_t count, const std::function<Status(size_t)>& work);

// What sessions call themselves that nobody ends by their name.
inline constexpr std::string_view kApplication = "tranche";

// What no answer may take longer than, where nobody said.
inline constexpr Duration kAnswerTimeout = std::chrono::minutes(2);

class Server {
 public:
  virtual ~Server() = default;
  // `application` names us to the server, and the session to EndSessions; no answer may take longer than
  // `timeout`. `fault`, where it fails, says what kind of failure it was.
  virtual Result<std::unique_ptr<ServerSession>> Connect(const std::string& application,
                                                         std::optional<Duration> timeout,
                                                         Fault* fault = nullptr) = 0;
  virtual const Dialect& dialect() const = 0;

  // The type of a column that is made for values of the engine's `type`, within a key or not.
  virtual std::string TypeFor(std::string_view type, bool key) const = 0;
  // How values of the engine's `type` go into `column`.
  virtual Fit FitFor(std::string_view type, const TableColumn& column) const = 0;

  // A value as it stands in the server's SQL.
  virtual std::string Literal(const Value& value) const = 0;
  // Names that the server would cut, or that are its own. `what`: column, schema, table.
  virtual Status CheckName(std::string_view what, std::string_view name) const = 0;

  virtual std::string Describe() const = 0;  // "db.example.com/shop", without user and password
  virtual std::string target() const = 0;    // what names the database: host, port, database
};

// What names a server in a job.
struct ServerUrl {
  std::string url;
  bool secret = false;  // it holds a secret: then it may hold a password
  std::string schema;   // of names without one; empty: the server's own search path, or the url's database
};
using MakeServer = Result<std::unique_ptr<Server>> (*)(const ServerUrl&);
// The server of the field `url`.
Result<std::unique_ptr<Server>> ServerOf(MakeServer make, const Options& options, std::string schema);

// " ORDER BY answer.a, answer.b", or nothing.
std::string OrderOf(const std::vector<std::string>& order);

// A password that stands in the job file for all to read.
Error PlainPassword();

// Whether the host is this machine: then nothing is on a wire.
bool IsLocal(std::string_view host);

// The columns of a key in an order of their own, as one text: "id\1part".
std::string KeyText(std::vector<std::string> key);

// Up to this size a table is copied into a scratch place with its rows, beyond it without.
inline constexpr int64_t kMostCopied = 16 << 20;

inline bool IsTransient(const Fault& fault) {
  return fault.kind == Fault::Kind::kAgain || fault.kind == Fault::Kind::kLost;
}

}  // namespace tranche::sql

// Engine: what runs SQL over inputs. One Engine object is one session (one thread at a time); Fork gives
// another session on the same instance. DuckDB here (tranche/duckdb), Spark later.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/type_fwd.h>

#include "tranche/base/result.h"
#include "tranche/connector/sql_text.h"

namespace tranche {

struct Column {
  std::string name;
  std::string type;  // as the engine writes it: BIGINT, DECIMAL(12,2), VARCHAR, STRUCT(a INTEGER)
  bool operator==(const Column&) const = default;
};
using Columns = std::vector<Column>;
const Column* FindColumn(const Columns& columns, std::string_view name);  // without case; null where absent

// A value for a $name in SQL.
struct Value {
  std::string type = "VARCHAR";     // BIGINT, DOUBLE, BOOLEAN, DATE, TIMESTAMP, VARCHAR, DECIMAL(p,s)
  std::optional<std::string> text;  // nothing = NULL
  bool secret = false;              // never shown
};
using Parameters = std::map<std::string, Value, std::less<>>;

struct Query {
  SqlText sql;
  const Parameters* parameters = nullptr;  // may hold more than the text uses; outlives the call
};

// Arrow record batches, one after the other. An empty one is not the end; null is.
class Reader {
 public:
  virtual ~Reader() = default;
  virtual std::shared_ptr<arrow::Schema> schema() const = 0;
  virtual Result<std::shared_ptr<arrow::RecordBatch>> Next() = 0;
  // Whether several threads may ask for the next rows, because these come in no order.
  virtual bool shared() const { return false; }
};

// Of a field: the engine's type, where Arrow has its values as text and does not say that it is another one
// ("UUID", "JSON", "UUID[]").
inline constexpr std::string_view kTypeKey = "tranche.type";
// "(SELECT "n", CAST("a" AS UUID) AS "a" FROM registered)": the columns of `schema` of registered rows as
// what they were.
std::string RowsAsTheyWere(const arrow::Schema& schema, std::string_view registered);

// Makes a fresh reader each time a query scans it.
using ReaderFactory = std::function<Result<std::unique_ptr<Reader>>()>;

// A small answer, as text. nullopt = NULL.
using TextRow = std::vector<std::optional<std::string>>;

// A file that the engine writes.
struct CopyTarget {
  std::string path;    // does not exist yet; a folder if `partition` is not empty
  std::string format;  // csv, json, parquet
  std::vector<std::pair<std::string, std::string>>
      options;                         // the engine's COPY options, e.g. {"compression", "'zstd'"}
  std::vector<std::string> partition;  // columns, hive style: day=2026-11-20/<name>
  std::string file_name;               // pattern of the files' names in partitions, without ending
};

// Set by Run and CopyAside when the query ends.
struct ScanCount {
  std::string function;  // READ_CSV, READ_PARQUET, the name of a registered reader
  int64_t rows = 0;      // rows that the scan itself handed on; less what it filtered itself (Parquet only)
  std::vector<std::string> columns = {};  // of a registered reader: those that the query asked for
  std::string detail = {};  // what the engine says of the scan: the names of its first files are in it
};

class Engine {
 public:
  virtual ~Engine() = default;
  virtual std::string version() const = 0;
  virtual Result<std::unique_ptr<Engine>> Fork() = 0;

  // Is `text` one expression / one SELECT? Offline: parses, binds nothing. The error has the place in the
  // user's text. Refused with our words: several statements, anything but SELECT, functions and tables that
  // read files or settings.
  virtual Status CheckExpression(const Expression& expression) = 0;
  virtual Status CheckSelect(const Expression& select) = 0;
  // The names in FROM clauses of a SELECT that are not its own CTEs.
  virtual Result<std::vector<std::string>> TablesOf(const Expression& select) = 0;

  // Functions, and words that stand for one, that may give another value for the same arguments in another
  // query; in lower case.
  virtual const std::set<std::string>& MoodyWords() const = 0;

  // Output columns. Runs the query with LIMIT 0: inputs should be stubs (see Stub) where reading costs.
  virtual Result<Columns> Bind(const Query& query) = 0;
  // Streams; the next call on this session must wait until the reader is at its end or destroyed.
  virtual Result<std::unique_ptr<Reader>> Run(const Query& query) = 0;
  // Writes the result to a file or folder of files, without fsync. Rows written.
  virtual Result<int64_t> CopyAside(const Query& query, const CopyTarget& target) = 0;
  // Rows that each scan of the last Run or CopyAside handed on, in the order of the query's text as far as
  // known.
  virtual std::vector<ScanCount> LastScans() const = 0;

  // All rows, as text.
  virtual Result<std::vector<TextRow>> Select(const Query& query) = 0;
  // Statements that return nothing (BEGIN, CREATE, ATTACH, SET, INSERT…). Rows changed, or 0.
  virtual Result<int64_t> Execute(std::string_view sql, const std::vector<Value>& values = {}) = 0;

  // Makes a reader known as a table function on the whole instance: "SELECT * FROM <returned text>". The
  // columns must be those of `schema`. The name is freed by Unregister (which waits for no one).
  virtual Result<std::string> Register(std::shared_ptr<arrow::Schema> schema, ReaderFactory factory) = 0;
  virtual void Unregister(const std::string& name) = 0;

  // Stops what runs on this session, from any thread (signals, time-outs).
  virtual void Interrupt() = 0;
};

// "(SELECT NULL::BIGINT AS a, … WHERE false)": a relation with these columns and no rows.
std::string Stub(const Columns& columns);

}  // namespace tranche

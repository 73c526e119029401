// Source: replayable input. One for each input of a job.
//
// Life: Make (by its spec) → Plan, once a run; its answer is stored in the run's record → Open with these
// splits, in this process or a later one → Scan, into the query of a stage → the query runs → Tally. One
// thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tranche/base/clock.h"
#include "tranche/base/file.h"
#include "tranche/base/log.h"
#include "tranche/base/result.h"
#include "tranche/batch/batch.h"
#include "tranche/connector/engine.h"

namespace tranche {

// A part of a source: a file, a table, a page. Equal splits mean the same rows.
struct Split {
  std::string name;       // path of the file, or what else names it for people
  FileIdentity identity;  // of the file; zeros where there is none
  std::string detail;     // JSON of the source's own: what it found out in Plan and must not guess again
                          // (dialect, types)
  std::string mark = {};  // up to where an increment reads, for the next run
  bool operator==(const Split&) const = default;
};

// Only rows whose column is beyond what earlier runs have read.
struct Increment {
  std::string column;
  std::string start;                // the first run begins with this value, if there is one
  std::optional<Duration> overlap;  // how far a run goes back behind the mark of the last
};

struct SourceContext {
  std::string input;                              // its name in the job
  Engine* engine = nullptr;                       // the session in which the stage's query runs
  std::string scratch;                            // a folder of this run's own (standard input is kept there)
  const Parameters* parameters = nullptr;         // for ${…} in a query; outlives the source
  const std::set<std::string>* unused = nullptr;  // columns that the query does not use: they cannot be bad
  const Increment* increment = nullptr;           // of sources whose spec takes one
  std::string mark;                               // Split::mark of the last finished run; empty: none
  // Of sources whose ordered() is true: the scan goes in the order of the key and yields kOrdinalColumn too;
  // and only the rows behind one for which Behind gave this.
  bool ordered = false;
  std::string behind;
  Logger* log = nullptr;
  bool alone = false;   // no other source of the job: what Plan has opened may stay open until Scan
  bool places = false;  // the scan yields kFileColumn and kLineColumn too; of sources whose places() is true
  // As in SinkContext: for what is reached over a network.
  std::function<bool(int attempt)> try_again;
  std::optional<Duration> timeout;
};

class Source {
 public:
  virtual ~Source() = default;

  // What there is to read, in a fixed order (files in byte order of their names). Reads headers and samples,
  // not data.
  virtual Result<std::vector<Split>> Plan(SourceContext& context) = 0;

  // Binds to splits that Plan gave, and to nothing of an earlier Open. After it, columns() is known.
  virtual Status Open(std::vector<Split> splits, SourceContext& context) = 0;
  virtual const Columns& columns() const = 0;

  // "(SELECT …)": SQL that yields columns(), and where marks() is true also the hidden column kRejectColumn,
  // over a function of the engine's (read_csv) or a reader registered with it. Columns that the query does
  // not need are not read.
  virtual Result<SqlText> Scan(SourceContext& context) = 0;
  // Whether refused rows come as marked rows of the scan (true), or by TakeRejects after the query (false).
  virtual bool marks() const { return false; }

  // Whether the scan can say of each row where it stood: its file, and the line where that is known (of
  // Parquet the row). Reading may take longer then.
  virtual bool places() const { return false; }

  // Whether the last scan yields its rows in any order, each time another one.
  virtual bool any_order() const { return false; }

  // Whether rows can be read in the order of a key, so that reading goes on exactly behind any of them, also
  // when others come and go meanwhile.
  virtual bool ordered() const { return false; }
  // While the query of such a scan runs: what leads behind the row with this ordinal. It is asked for ever
  // greater ones.
  virtual Result<std::string> Behind(int64_t) { return Fail(Code::kInternal, "the source has no order"); }

  // After the query has ended: rows that were refused by the reader, handed to `take` one by one (bounded
  // memory).
  virtual Status TakeRejects(SourceContext&, const std::function<Status(Reject)>&) { return {}; }

  // The query failed with `error`. true = the source now reads the culprit in another way (JSON: tolerantly),
  // and its splits() say so for a resume: plan and scan again.
  virtual bool Recover(const Error&) { return false; }
  virtual const std::vector<Split>& splits() const = 0;  // as opened, or as Recover changed them

  // After the query has ended: rows that the scan handed to the query (refused ones, unless marks(), are not
  // among them), counted on their own: by the format's footers, by the reader, or by the engine's scan
  // (engine->LastScans()).
  struct ScanTotal {
    int64_t rows = 0;
    bool exact = true;  // false where the engine stopped early, or did not say
  };
  virtual Result<ScanTotal> Total(SourceContext& context) = 0;

  // For people: what is read and how ("3 files, 48.1 MiB; delimiter comma, header"), and columns that nothing
  // uses.
  virtual std::string Describe() const = 0;
};

}  // namespace tranche

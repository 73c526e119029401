#include <algorithm>
#include <map>
#include <mutex>
#include <sstream>

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "tranche/base/failpoint.h"
#include "tranche/batch/arrow_error.h"
#include "tranche/connector/step.h"
#include "tranche/sinks/server_sink.h"
#include "tranche/sinks/sinks.h"
#include "tranche/sinks/table_options.h"
#include "tranche/sql/adbc.h"
#include "tranche/sql/adbc_loader.h"
#include "tranche/sql/adbc_target.h"

namespace tranche {
namespace {

using sql::AdbcLoader;
using sql::Fault;

constexpr std::string_view kOpened = "opened";       // notes of the journal: `before` is done
constexpr std::string_view kFinished = "finished";   // and `after`
constexpr std::string_view kStage = "stage";         // whose rows they are
constexpr std::string_view kUnderWay = "under way";  // spans that were begun: "0-10000 10000-20000"
constexpr std::string_view kAtLeastOnce = "at-least-once";

bool Overlaps(const std::vector<Span>& spans, Span span) {
  return std::ranges::any_of(spans,
                             [&](const Span& one) { return one.from < span.to && span.from < one.to; });
}

// Batches into a table by a driver of which nothing is known but what all can do. What is stored stands in
// the local journal, behind the answer of the driver: a batch whose answer was lost is stored again, and may
// be there twice.
class AdbcAppender : public Sink {
 public:
  AdbcAppender(sql::AdbcTarget target, sql::TableName table, TableOptions options)
      : target_(std::move(target)), table_(std::move(table)), options_(std::move(options)) {}

  Status Check(std::shared_ptr<arrow::Schema> schema, Engine& engine,
               std::optional<Duration> timeout) override;
  Result<Opened> Open(std::shared_ptr<arrow::Schema> schema, SinkContext& context) override;
  Result<WriteReport> Write(const Batch& batch, SinkContext& context) override;
  bool takes_pieces() const override { return true; }
  Result<Totals> Sum(SinkContext& context) override { return SumOfJournal(context); }
  Status Finish(SinkContext& context) override;
  Result<std::optional<Standing>> Look(SinkContext& context) override;
  Result<std::optional<StoredBatch>> BatchOf(SinkContext& context, int64_t row) override;
  std::string Describe() const override { return options_.Describe("adbc", target_.Describe()); }
  std::string guarantee() const override { return "at least once"; }

 private:
  Result<std::unique_ptr<AdbcLoader>> Connect(std::optional<Duration> timeout, Fault& fault) const;
  Result<std::unique_ptr<AdbcLoader>> ConnectAgain(SinkContext& context) const;
  Status MakeTable(AdbcLoader& loader, const std::shared_ptr<arrow::Schema>& schema);
  // Where the columns of the table stand in the rows, in the table's order.
  Status Match(const arrow::Schema& schema, const std::vector<std::string>& names);
  // Before the rows leave; true: they may be there already.
  Result<bool> Begin(Span span, SinkContext& context);

  sql::AdbcTarget target_;
  sql::TableName table_;
  TableOptions options_;
  std::vector<int> indices_;                // of the rows' columns, as the table has them
  std::shared_ptr<arrow::Schema> columns_;  // of these, with the table's names
  std::mutex mutex_;                        // of what stands below
  std::map<const Engine*, std::unique_ptr<AdbcLoader>> lanes_;
  std::vector<Span> under_way_;
};

Result<std::unique_ptr<AdbcLoader>> AdbcAppender::Connect(std::optional<Duration> timeout,
                                                          Fault& fault) const {
  auto loader = std::make_unique<AdbcLoader>(target_, table_, timeout.value_or(sql::kAnswerTimeout));
  Status opened = loader->Open();
  if (opened) return loader;
  fault = loader->fault();
  return std::move(opened).error().In(target_.Describe()).At(options_.place);
}

Result<std::unique_ptr<AdbcLoader>> AdbcAppender::ConnectAgain(SinkContext& context) const {
  for (int attempt = 1;; ++attempt) {
    Fault fault;
    auto loader = Connect(context.timeout, fault);
    if (loader || !sql::IsTransient(fault) || !context.try_again(attempt)) return loader;
  }
}

Status AdbcAppender::Match(const arrow::Schema& schema, const std::vector<std::string>& names) {
  Columns there;
  for (const std::string& name : names) there.push_back({name, ""});
  std::map<std::string, int> places;  // of the rows' columns, by the table's name
  for (int i = 0; i < schema.num_fields(); ++i) {
    const Column* column = FindColumn(there, schema.field(i)->name());
    if (column == nullptr) {
      return NoColumn(schema.field(i)->name(), there, options_.place)
          .In(fmt::format("table '{}'", options_.TableName()));
    }
    places[column->name] = i;
  }
  indices_.clear();
  arrow::FieldVector fields;
  for (const std::string& name : names) {
    const auto found = places.find(name);
    if (found == places.end()) continue;
    indices_.push_back(found->second);
    fields.push_back(arrow::field(name, schema.field(found->second)->type()));
  }
  columns_ = arrow::schema(std::move(fields));
  return {};
}

Status AdbcAppender::Check(std::shared_ptr<arrow::Schema> schema, Engine&, std::optional<Duration> timeout) {
  TRANCHE_TRY(options_.CheckRows(*schema));
  Fault fault;
  TRANCHE_ASSIGN(auto loader, Connect(timeout, fault));
  TRANCHE_ASSIGN(const auto names, loader->Columns());
  if (names) return Match(*schema, *names);
  return options_.before.empty() ? options_.CheckMissing() : Status();
}

Status AdbcAppender::MakeTable(AdbcLoader& loader, const std::shared_ptr<arrow::Schema>& schema) {
  TRANCHE_ASSIGN(auto names, loader.Columns());
  if (!names) {
    TRANCHE_TRY(options_.CheckMissing());
    if (Status made = loader.Create(schema); !made) return std::move(made).error().At(options_.place);
    TRANCHE_ASSIGN(names, loader.Columns());
  }
  if (names) return Match(*schema, *names);
  return Fail(Code::kOutside, "the driver does not tell the columns of table '{}'", options_.TableName())
      .At(options_.place);
}

Result<Opened> AdbcAppender::Open(std::shared_ptr<arrow::Schema> schema, SinkContext& context) {
  Opened opened;
  TRANCHE_ASSIGN(const auto entries, context.journal->Entries());
  for (const Journal::Entry& entry : entries) {
    if (entry.span.rows() > 0) opened.committed.Add(entry.span);
    opened.counts += entry.counts;
  }
  TRANCHE_ASSIGN(const auto finished, context.journal->Note(kFinished));
  opened.published = finished.has_value();
  if (opened.published) return opened;
  TRANCHE_ASSIGN(const auto under_way, context.journal->Note(kUnderWay));
  std::istringstream begun(under_way.value_or(""));
  char dash = 0;
  for (Span span; begun >> span.from >> dash >> span.to;) {
    if (Overlaps(opened.committed.Gaps(span.to), span)) under_way_.push_back(span);
  }
  TRANCHE_ASSIGN(const auto stage, context.journal->Note(kStage));
  const bool stored = !entries.empty() || !under_way_.empty();
  if (stored && stage != context.stage_id && !context.trust_target) {
    return Fail(Code::kData, "store '{}' holds batches of this run from other rows than the ones at hand",
                context.store)
        .Hint("the spool was made again since; begin a new run with --again");
  }
  TRANCHE_TRY(context.journal->SetNote(kStage, context.stage_id));
  TRANCHE_ASSIGN(auto loader, ConnectAgain(context));
  TRANCHE_ASSIGN(const auto before, context.journal->Note(kOpened));
  if (!before) {
    TRANCHE_TRY(RunStatements(options_.before, [&](const std::string& sql) { return loader->Execute(sql); }));
  }
  TRANCHE_TRY(MakeTable(*loader, schema));
  TRANCHE_TRY(context.journal->SetNote(kOpened, "1"));
  lanes_[context.engine] = std::move(loader);
  TRANCHE_TRY(Failpoint("store.opened"));
  return opened;
}

Result<bool> AdbcAppender::Begin(Span span, SinkContext& context) {
  const std::scoped_lock lock(mutex_);
  const bool again = Overlaps(under_way_, span);
  if (std::ranges::find(under_way_, span) == under_way_.end()) under_way_.push_back(span);
  std::string spans;
  for (const Span& begun : under_way_)
    spans += fmt::format("{}{}-{}", spans.empty() ? "" : " ", begun.from, begun.to);
  TRANCHE_TRY(context.journal->SetNote(kUnderWay, spans));
  return again;
}

Result<WriteReport> AdbcAppender::Write(const Batch& batch, SinkContext& context) {
  WriteReport report;
  auto failed = [&](WriteReport::Outcome outcome, const Error& error) {
    report.outcome = outcome;
    report.message = error.ToString();
    return report;
  };
  std::unique_ptr<AdbcLoader>* lane = nullptr;
  {
    const std::scoped_lock lock(mutex_);
    lane = &lanes_[context.engine];
  }
  if (!*lane) {
    Fault fault;
    auto connected = Connect(context.timeout, fault);
    if (!connected && sql::IsTransient(fault))
      return failed(WriteReport::Outcome::kRolledBack, connected.error());
    TRANCHE_ASSIGN(*lane, std::move(connected));
  }
  TRANCHE_ASSIGN(report.again, Begin(batch.span, context));
  TRANCHE_TRY(Failpoint("batch.claimed"));
  RecordBatches pieces;
  for (const auto& piece : batch.pieces) {
    TRANCHE_ARROW_ASSIGN(auto ordered, "take", "columns of a batch", piece->SelectColumns(indices_));
    pieces.push_back(arrow::RecordBatch::Make(columns_, ordered->num_rows(), ordered->columns()));
  }
  if (Status loaded = (*lane)->Load(pieces); !loaded) {
    const Fault fault = (*lane)->fault();
    if (fault.kind == Fault::Kind::kLost) lane->reset();
    if (sql::IsTransient(fault)) return failed(WriteReport::Outcome::kUnknown, loaded.error());
    return std::move(loaded)
        .error()
        .In(options_.TableName())
        .Hint("mend the table, or the rows (`check`, `cast`), and run it again: it goes on with this batch");
  }
  TRANCHE_TRY(Failpoint("batch.written"));
  const int64_t rows = batch.span.rows();
  report.counts = {.sent = rows, .stored = rows};
  report.bytes = batch.bytes;
  TRANCHE_TRY(context.journal->Add({batch.span, report.counts, ""}, {}));
  {
    const std::scoped_lock lock(mutex_);
    std::erase_if(under_way_, [&](const Span& begun) {
      return begun.from >= batch.span.from && begun.to <= batch.span.to;
    });
  }
  TRANCHE_TRY(Failpoint("batch.committed"));
  return report;
}

Status AdbcAppender::Finish(SinkContext& context) {
  TRANCHE_ASSIGN(const auto finished, context.journal->Note(kFinished));
  if (finished) return {};
  lanes_.clear();
  TRANCHE_TRY(Failpoint("publish.before"));
  if (!options_.after.empty()) {
    TRANCHE_ASSIGN(auto loader, ConnectAgain(context));
    TRANCHE_TRY(RunStatements(options_.after, [&](const std::string& sql) { return loader->Execute(sql); }));
  }
  return context.journal->SetNote(kFinished, "1");
}

Result<std::optional<Sink::Standing>> AdbcAppender::Look(SinkContext& context) {
  TRANCHE_ASSIGN(const Totals totals, Sum(context));
  TRANCHE_ASSIGN(const auto finished, context.journal->Note(kFinished));
  return Standing{.run_id = context.run_id, .finished = finished.has_value(), .counts = totals.counts};
}

Result<std::optional<Sink::StoredBatch>> AdbcAppender::BatchOf(SinkContext& context, int64_t row) {
  TRANCHE_ASSIGN(const auto entries, context.journal->Entries());
  for (const Journal::Entry& entry : entries) {
    if (row >= entry.span.from && row < entry.span.to)
      return StoredBatch{.span = entry.span, .counts = entry.counts};
  }
  return std::nullopt;
}

Result<std::unique_ptr<Sink>> MakeAppender(const Options& options) {
  TableOptions table;
  TRANCHE_TRY(table.ParseTable(options, Schemas::kSome));
  if (table.mode != Mode::kAppend) {
    return Fail(Code::kJob, "a store of at least once appends, and this is mode {}", table.ModeName())
        .At(options.PlaceOf("mode"))
        .Hint("empty the table by `before: DELETE FROM …`, or merge by `after:`");
  }
  if (table.adds_columns()) {
    return Fail(Code::kJob, "a store of at least once adds no columns").At(options.PlaceOf("columns"));
  }
  TRANCHE_ASSIGN(sql::AdbcTarget target, sql::ParseAdbcTarget(options));
  sql::TableName name{.schema = table.schema, .table = table.table};
  return std::make_unique<AdbcAppender>(std::move(target), std::move(name), std::move(table));
}

}  // namespace

SinkSpec AdbcSink() {
  SinkSpec spec;
  spec.name = "adbc";
  spec.summary =
      "Writes a table by a driver of ADBC: of PostgreSQL exactly once, of any database at least once.";
  spec.doc =
      "By a driver of ADBC (https://arrow.apache.org/adbc), a shared library that is loaded when a job names "
      "it.\n\n"
      "Behind the driver of PostgreSQL all is as in the store `postgres`, with its ledger, its modes and its "
      "promise: rows go in by the driver's bulk ingestion, in the transaction of their batch. Values that "
      "the "
      "driver does not write as the server has them (`time`, `uuid`, `jsonb`, `numeric` without a precision) "
      "go as text by way of a temporary table. A refused row is searched for by halves, as the driver does "
      "not name it. TLS is the driver's: say `sslmode=verify-full` in the uri.\n\n"
      "That promise stands on transactions and locks, which differ from database to database: any other one "
      "is "
      "refused unless the job says `guarantee: at-least-once`. Then batches are appended by bulk ingestion "
      "(or a prepared INSERT, where there is none), and what is stored is noted here, in state.db, when the "
      "driver has answered. A batch whose answer was lost, by a crash or on the network, is stored again: "
      "its "
      "rows may be there twice, and the log names them. A row that the database refuses ends the run, which "
      "goes on with that batch when it is mended. `before` and `after` may run again after a crash, too.\n\n"
      "No answer takes longer than the `timeout` of `retry` (2 minutes): it is cancelled.";
  spec.example =
      "adbc:\n  driver: postgresql\n  options: {uri: \"${secret:DATABASE_URL}\"}\n  table: public.orders\n";
  std::vector<Field> fields = sql::AdbcFields();
  fields.push_back({"guarantee", Shape::Choice({"exactly-once", std::string(kAtLeastOnce)}),
                    "`exactly-once` needs a PostgreSQL; `at-least-once` takes any database, and may store a "
                    "batch twice when an answer is lost.",
                    "exactly-once"});
  SetServerStore(spec, std::move(fields), sql::MakeAdbcStore);
  spec.make = [exactly = std::move(spec.make)](const Options& options) {
    return options.Text("guarantee") == kAtLeastOnce ? MakeAppender(options) : exactly(options);
  };
  spec.scratch = [exactly = std::move(spec.scratch)](const Options& options, const ScratchPlace& place) {
    if (options.Text("guarantee") != kAtLeastOnce) return exactly(options, place);
    return Result<ScratchTarget>(
        Fail(Code::kJob, "prove kills the program, and a store of at least once may hold a batch twice then")
            .At(options.PlaceOf("guarantee")));
  };
  return spec;
}

}  // namespace tranche

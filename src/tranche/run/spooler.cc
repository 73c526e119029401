#include "tranche/run/spooler.h"

#include <algorithm>
#include <utility>

#include <arrow/api.h>
#include <arrow/compute/api.h>
#include <nlohmann/json.hpp>

#include "tranche/base/failpoint.h"
#include "tranche/base/file.h"
#include "tranche/base/hash.h"
#include "tranche/batch/arrow_error.h"
#include "tranche/batch/cutter.h"
#include "tranche/batch/row_digest.h"

namespace tranche {
namespace {

constexpr int64_t kSegmentBytes = 64 << 20;
constexpr int64_t kSteadySegmentBytes = 16 << 20;  // stores begin with the first

// Rejects that are not in the state yet: few enough to be held.
class PendingRejects {
 public:
  void Add(Reject reject) {
    bytes_ += sizeof reject + reject.reason.size() + reject.content.size();
    rejects_.push_back(std::move(reject));
  }
  bool full() const { return bytes_ >= kMostBytes; }
  std::vector<Reject> Take() {
    bytes_ = 0;
    return std::exchange(rejects_, {});
  }

 private:
  static constexpr size_t kMostBytes = 4 << 20;
  std::vector<Reject> rejects_;
  size_t bytes_ = 0;
};

// A reader for the engine over a spool.
class SpoolReader : public Reader {
 public:
  SpoolReader(const Spool& spool, std::unique_ptr<Spool::Reader> reader)
      : spool_(spool), reader_(std::move(reader)) {}
  std::shared_ptr<arrow::Schema> schema() const override { return spool_.schema(); }
  Result<std::shared_ptr<arrow::RecordBatch>> Next() override { return reader_->Next(); }

 private:
  const Spool& spool_;
  std::unique_ptr<Spool::Reader> reader_;
};

Reject ParseMark(std::string_view mark, int64_t row) {
  Reject reject{.row = row};
  const auto json = nlohmann::json::parse(mark, nullptr, false);
  if (!json.is_object()) {
    reject.reason = mark;
    return reject;
  }
  auto text = [&](const char* key) {
    const auto found = json.find(key);
    if (found == json.end() || found->is_null()) return std::string();
    return found->is_string() ? found->get<std::string>()
                              : found->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  };
  auto number = [&](const char* key, int64_t otherwise) {
    const auto found = json.find(key);
    return found != json.end() && found->is_number_integer() ? found->get<int64_t>() : otherwise;
  };
  reject.origin = text("origin");
  reject.reason = text("reason");
  reject.column = text("column");
  reject.file = text("file");
  reject.line = number("line", 0);
  reject.byte = number("byte", -1);
  reject.content = text("row").substr(0, 64 << 10);
  return reject;
}

// Takes the stream of a stage's query apart: rows into segments, marked rows into rejects, counts into the
// tally.
class Sealer {
 public:
  Sealer(RunContext& context, const std::string& stage_id, int64_t segment_bytes, bool steady,
         std::vector<SegmentInfo> kept, std::function<Status(const Spool&)> flows, StageTally& tally)
      : context_(context),
        stage_id_(stage_id),
        folder_(context.SpoolFolder(stage_id)),
        segment_bytes_(segment_bytes),
        steady_(steady),
        kept_segments_(std::move(kept)),
        flows_(std::move(flows)),
        tally_(tally) {}

  Status Open(const arrow::Schema& incoming) {
    arrow::FieldVector kept;
    for (int i = 0; i < incoming.num_fields(); ++i) {
      const std::string& name = incoming.field(i)->name();
      if (name == kRejectColumn) {
        reject_column_ = i;
      } else if (name == kRowsColumn) {
        rows_column_ = i;
      } else {
        kept_.push_back(i);
        kept.push_back(incoming.field(i));
      }
    }
    spool_.emplace(folder_, arrow::schema(std::move(kept)));
    for (const SegmentInfo& segment : kept_segments_) spool_->Append(segment);
    number_ = static_cast<int>(kept_segments_.size());
    TRANCHE_TRY(spool_->Verify());
    if (steady_) digest_.emplace(*spool_->schema());
    TRANCHE_TRY(MakeFolders(folder_));
    return number_ > 0 ? flows_(*spool_) : Status();
  }

  Status Add(const std::shared_ptr<arrow::RecordBatch>& incoming) {
    std::shared_ptr<arrow::RecordBatch> rows = incoming;
    if (reject_column_ >= 0) TRANCHE_TRY(TakeMarked(rows));
    arrived_ += incoming->num_rows();
    if (rows->num_rows() == 0) return {};
    if (rows_column_ >= 0) Fold(*rows);
    TRANCHE_ARROW_ASSIGN(auto selected, "take columns of", "a stage", rows->SelectColumns(kept_));
    if (passed_ < kept_segments_.size()) TRANCHE_TRY(PassOver(selected));
    if (selected->num_rows() == 0) return {};
    // Not many rows more than a segment has room for: the engine hands on more of them at a time.
    const int64_t bytes = std::max<int64_t>(RowBytes(*selected, 0, selected->num_rows()), 1);
    const int64_t step = std::max<int64_t>(selected->num_rows() * segment_bytes_ / bytes, 1);
    for (int64_t from = 0; from < selected->num_rows(); from += step) {
      TRANCHE_TRY(Write(*selected->Slice(from, step)));
    }
    return {};
  }

  Status Close() {
    if (passed_ < kept_segments_.size()) return Differs();
    if (writer_ != nullptr) TRANCHE_TRY(SealSegment());
    TRANCHE_TRY(FlushRejects());
    spool_->Seal();
    return {};
  }

  const Spool& spool() const { return *spool_; }

 private:
  Status Write(const arrow::RecordBatch& rows) {
    if (writer_ == nullptr) {
      if (number_ > 0) TRANCHE_TRY(flows_(*spool_));
      TRANCHE_ASSIGN(writer_, SegmentWriter::Make(folder_, number_, tally_.rows, spool_->schema()));
    }
    TRANCHE_ASSIGN(const auto plain, PlainRows(rows, spool_->schema()));
    TRANCHE_TRY(writer_->Write(*plain));
    if (digest_) TRANCHE_TRY(digest_->Add(*plain));
    tally_.rows += rows.num_rows();
    context_.progress.rows_read += rows.num_rows();
    if (writer_->bytes_written() >= segment_bytes_) return SealSegment();
    return {};
  }

  Status TakeMarked(std::shared_ptr<arrow::RecordBatch>& rows) {
    const auto& marks = static_cast<const arrow::StringArray&>(*rows->column(reject_column_));
    if (marks.null_count() == marks.length()) return {};
    std::map<std::string, int64_t> fresh;
    arrow::BooleanBuilder keep;
    for (int64_t i = 0; i < marks.length(); ++i) {
      TRANCHE_ARROW_TRY("find the refused rows of", "a stage", keep.Append(marks.IsNull(i)));
      if (marks.IsNull(i)) continue;
      Reject reject = ParseMark(marks.GetView(i), arrived_ + i);
      ++fresh[reject.origin];
      pending_.Add(std::move(reject));
    }
    TRANCHE_ARROW_ASSIGN(const auto mask, "find the refused rows of", "a stage", keep.Finish());
    TRANCHE_ARROW_ASSIGN(const auto kept, "take the refused rows out of", "a stage",
                         arrow::compute::Filter(rows, mask));
    rows = kept.record_batch();
    for (const auto& [origin, count] : fresh) {
      tally_.rejected[origin] += count;
      context_.progress.rejects += count;
      if (Status allowed = context_.budget.Add(origin, count); !allowed) {
        TRANCHE_TRY(FlushRejects());  // so that `rejects list` shows why
        return allowed;
      }
    }
    if (pending_.full()) return FlushRejects();
    return {};
  }

  void Fold(const arrow::RecordBatch& rows) {
    const auto& counts = static_cast<const arrow::Int64Array&>(*rows.column(rows_column_));
    for (int64_t i = 0; i < counts.length(); ++i) tally_.folded += counts.Value(i);
  }

  // Takes the rows away that the kept segments have; they must be the same.
  Status PassOver(std::shared_ptr<arrow::RecordBatch>& rows) {
    TRANCHE_ASSIGN(const auto plain, PlainRows(*rows, spool_->schema()));
    int64_t from = 0;
    while (from < plain->num_rows() && passed_ < kept_segments_.size()) {
      const SegmentInfo& segment = kept_segments_[passed_];
      const int64_t count = std::min(plain->num_rows() - from, segment.span.to - tally_.rows);
      TRANCHE_TRY(digest_->Add(*plain->Slice(from, count)));
      from += count;
      tally_.rows += count;
      context_.progress.rows_read += count;
      if (tally_.rows < segment.span.to) break;
      if (TakeDigest() != segment.digest) return Differs();
      ++passed_;
    }
    rows = rows->Slice(from);
    return {};
  }

  std::string TakeDigest() {
    std::string hex = digest_->Hex();
    digest_.emplace(*spool_->schema());
    return hex;
  }

  static Error Differs() {
    return Fail(Code::kData,
                "the input gives other rows than when this run began, and some are stored already")
        .Hint("put it back as it was to let the run finish; or --again: give it up (what it stored stays)");
  }

  Status SealSegment() {
    TRANCHE_ASSIGN(SegmentInfo segment, writer_->Seal());
    writer_.reset();
    if (digest_) segment.digest = TakeDigest();
    ++number_;
    tally_.bytes += segment.bytes;
    TRANCHE_TRY(context_.state.AddSegment(stage_id_, segment, pending_.Take()));
    spool_->Append(std::move(segment));
    return Failpoint("segment.recorded");
  }

  Status FlushRejects() { return context_.state.AddStageRejects(stage_id_, pending_.Take()); }

  RunContext& context_;
  std::string stage_id_;
  std::string folder_;
  int64_t segment_bytes_;
  bool steady_;  // another making of it passes over these rows
  const std::vector<SegmentInfo> kept_segments_;
  std::function<Status(const Spool&)> flows_;  // a segment is there, and rows come that are not in it
  StageTally& tally_;
  std::optional<Spool> spool_;
  std::vector<int> kept_;
  int reject_column_ = -1;
  int rows_column_ = -1;
  int64_t arrived_ = 0;
  int number_ = 0;
  size_t passed_ = 0;                // of the kept segments
  std::optional<RowDigest> digest_;  // of the segment at hand
  std::unique_ptr<SegmentWriter> writer_;
  PendingRejects pending_;
};

}  // namespace

int64_t StageTally::step_rejects() const {
  int64_t sum = 0;
  for (const auto& [origin, count] : rejected) sum += count;
  return sum;
}

std::string StageTally::ToJson() const {
  nlohmann::json json{{"query", query}, {"folded", folded},   {"rows", rows},
                      {"bytes", bytes}, {"seconds", seconds}, {"rejected", rejected}};
  json["inputs"] = nlohmann::json::object();
  for (const auto& [name, input] : inputs) {
    json["inputs"][name] = {{"read", input.read}, {"exact", input.exact}, {"rejected", input.rejected}};
  }
  return json.dump();
}

Result<StageTally> StageTally::Parse(std::string_view text) {
  StageTally tally;
  try {
    const auto json = nlohmann::json::parse(text);
    json.at("query").get_to(tally.query);
    json.at("folded").get_to(tally.folded);
    json.at("rows").get_to(tally.rows);
    json.at("bytes").get_to(tally.bytes);
    json.at("seconds").get_to(tally.seconds);
    json.at("rejected").get_to(tally.rejected);
    for (const auto& [name, input] : json.at("inputs").items()) {
      tally.inputs[name] = {
          .read = input.at("read"), .exact = input.at("exact"), .rejected = input.at("rejected")};
    }
  } catch (const std::exception& error) {
    return Fail(Code::kOutside, "state.db: a stage's counts cannot be read: {}", error.what());
  }
  return tally;
}

Result<std::string> RegisterSpool(Engine& engine, const Spool& spool, std::optional<int64_t> rows) {
  return engine.Register(spool.schema(), [&spool, rows]() -> Result<std::unique_ptr<Reader>> {
    TRANCHE_ASSIGN(auto reader, spool.Read({0, rows.value_or(spool.rows())}));
    return std::unique_ptr<Reader>(new SpoolReader(spool, std::move(reader)));
  });
}

SqlText SpoolRelation(const Spool& spool, const std::string& registered, bool hidden) {
  std::string columns;
  for (const auto& field : spool.schema()->fields()) {
    if (!hidden && field->name().starts_with(kHiddenPrefix)) continue;
    columns += (columns.empty() ? "" : ", ") + ColumnAsItWas(*field);
  }
  return SqlText(fmt::format("(SELECT {} FROM {})", columns, registered));
}

SourceContext Spooler::ContextOf(const std::string& input) {
  return context_.Inputs().For(context_.job, *context_.job.FindInput(input));
}

Result<SealedStage> Spooler::Resume(const PlannedStage& stage, const StageRecord& record) {
  SealedStage sealed{.id = record.id};
  TRANCHE_ASSIGN(auto schema, ParseSchema(record.schema));
  TRANCHE_ASSIGN(auto segments, context_.state.Segments(record.id));
  sealed.spool.emplace(context_.SpoolFolder(record.id), std::move(schema), std::move(segments));
  TRANCHE_TRY(sealed.spool->Verify());
  TRANCHE_ASSIGN(sealed.tally, StageTally::Parse(record.tallies));
  TRANCHE_TRY(Charge(sealed.tally));
  context_.progress.rows_read += sealed.tally.rows;
  context_.log.Debug("stage taken over", {{"stage", stage.name}, {"rows", sealed.tally.rows}});
  return sealed;
}

Status Spooler::Charge(const StageTally& tally) {
  for (const auto& [name, input] : tally.inputs)
    TRANCHE_TRY(context_.budget.Add("input " + name, input.rejected));
  for (const auto& [origin, count] : tally.rejected) TRANCHE_TRY(context_.budget.Add(origin, count));
  return {};
}

Result<Spooler::Composed> Spooler::Compose(const PlannedStage& stage, const SqlText& query,
                                           const std::map<std::string, SealedStage>& sealed) {
  Composed composed;
  std::map<std::string, SqlText> definitions;
  for (const std::string& input : stage.inputs) {
    if (query.text().find(InputRelation(input)) == std::string::npos) continue;
    SourceContext source = ContextOf(input);
    if (const auto unused = stage.unused.find(input); unused != stage.unused.end())
      source.unused = &unused->second;
    TRANCHE_ASSIGN(SqlText scan, sources_.at(input)->Scan(source));
    if (context_.options.limit && context_.job.Flows(input)) {
      SqlText limited("(SELECT * FROM ");
      limited << scan << fmt::format(" LIMIT {})", *context_.options.limit);
      scan = std::move(limited);
    }
    definitions[InputRelation(input)] = std::move(scan);
  }
  for (const std::string& name : stage.stages) {
    if (query.text().find(StageRelation(name)) == std::string::npos) continue;
    const Spool& spool = *sealed.at(name).spool;
    TRANCHE_ASSIGN(std::string reader, RegisterSpool(context_.engine, spool));
    definitions[StageRelation(name)] = SpoolRelation(spool, reader, /*hidden=*/true);
    composed.readers.push_back(std::move(reader));
  }
  composed.sql = WithRelations(definitions, query);
  return composed;
}

void Spooler::Free(const Composed& composed) {
  for (const std::string& reader : composed.readers) context_.engine.Unregister(reader);
}

Status Spooler::RunGuard(const Guard& guard, const SqlText& sql) {
  TRANCHE_ASSIGN(auto rows, context_.engine.Select({sql, &context_.job.values}));
  if (rows.empty()) return {};
  constexpr size_t kMostSaid = 20;
  if (guard.warn) {
    for (size_t i = 0; i < rows.size() && i < kMostSaid; ++i) {
      const std::string message = rows[i].front().value_or("");
      context_.log.Warn(message);
      context_.report.warnings.push_back(message);
    }
    return {};
  }
  const std::string more =
      rows.size() > 1 ? fmt::format(" (and {} more)", FormatCount(std::ssize(rows) - 1)) : "";
  return Fail(Code::kData, "{}{}", rows.front().front().value_or(""), more).Hint(guard.hint).At(guard.place);
}

Status Spooler::CheckBefore(const PlannedStage& stage, const std::map<std::string, SealedStage>& sealed) {
  for (const Guard& guard : stage.guards) {
    if (guard.when != Guard::When::kBefore) continue;
    TRANCHE_ASSIGN(Composed composed, Compose(stage, guard.query, sealed));
    Status judged = RunGuard(guard, composed.sql);
    Free(composed);
    TRANCHE_TRY(judged);
  }
  return {};
}

int64_t Spooler::SegmentBytes(const PlannedStage& stage) const {
  return context_.options.segment_bytes.value_or(stage.steady ? kSteadySegmentBytes : kSegmentBytes);
}

Status Spooler::CheckAfter(const PlannedStage& stage, const Spool& spool) {
  for (const Guard& guard : stage.guards) {
    if (guard.when != Guard::When::kAfter) continue;
    TRANCHE_ASSIGN(std::string reader, RegisterSpool(context_.engine, spool));
    SqlText sql("WITH input AS NOT MATERIALIZED ");
    sql << SpoolRelation(spool, reader, /*hidden=*/false) << " " << guard.query;
    Status judged = RunGuard(guard, sql);
    context_.engine.Unregister(reader);
    TRANCHE_TRY(judged);
  }
  return {};
}

Status Spooler::Tally(const PlannedStage& stage, const std::string& stage_id, Engine& engine,
                      StageTally& tally) {
  for (const std::string& name : stage.inputs) {
    Source& source = *sources_.at(name);
    SourceContext source_context = ContextOf(name);
    source_context.engine = &engine;
    const std::string origin = "input " + name;
    StageTally::InputTally& input = tally.inputs[name];
    PendingRejects pending;
    TRANCHE_TRY(source.TakeRejects(source_context, [&](Reject reject) -> Status {
      ++input.rejected;
      reject.origin = origin;
      pending.Add(std::move(reject));
      return pending.full() ? context_.state.AddStageRejects(stage_id, pending.Take()) : Status();
    }));
    TRANCHE_TRY(context_.state.AddStageRejects(stage_id, pending.Take()));
    context_.progress.rejects += input.rejected;
    TRANCHE_ASSIGN(const Source::ScanTotal total, source.Total(source_context));
    input.read = total.rows + input.rejected;
    input.exact = total.exact && !context_.options.limit;
    TRANCHE_TRY(context_.budget.Add(origin, input.rejected));
  }
  return {};
}

Result<SealedStage> Spooler::MakeOnce(const PlannedStage& stage, const std::string& id,
                                      const std::map<std::string, SealedStage>& sealed, const Begun& begun,
                                      std::vector<SegmentInfo> kept, StageTally& tally) {
  TRANCHE_ASSIGN(Composed composed, Compose(stage, stage.query, sealed));
  auto flows = [&](const Spool& spool) { return begun(id, spool, /*flows=*/true); };
  Sealer sealer(context_, id, SegmentBytes(stage), stage.steady, std::move(kept), flows, tally);
  auto spool = [&]() -> Status {
    TRANCHE_ASSIGN(auto reader, context_.engine.Run({composed.sql, &context_.job.values}));
    TRANCHE_TRY(sealer.Open(*reader->schema()));
    TRANCHE_TRY(begun(id, sealer.spool(), /*flows=*/false));
    while (true) {
      TRANCHE_TRY(context_.stop.Check());
      TRANCHE_ASSIGN(auto rows, reader->Next());
      if (rows == nullptr) break;
      TRANCHE_TRY(sealer.Add(rows));
    }
    return sealer.Close();
  };
  Status spooled = spool();
  if (spooled) spooled = Tally(stage, id, context_.engine, tally);
  Free(composed);
  TRANCHE_TRY(context_.stop.Check());  // an interrupted query says only that it was interrupted
  TRANCHE_TRY(std::move(spooled));
  SealedStage made{.id = id, .spool = sealer.spool()};
  TRANCHE_TRY(CheckAfter(stage, *made.spool));
  return made;
}

Result<SealedStage> Spooler::Make(const PlannedStage& stage, const std::map<std::string, SealedStage>& sealed,
                                  const Begun& begun, const StageRecord* begun_before) {
  TRANCHE_TRY(CheckBefore(stage, sealed));
  const int64_t started = context_.clock.SteadyNanos();
  StageRecord record{.name = stage.name, .id = NewId()};
  std::vector<SegmentInfo> kept;
  if (begun_before != nullptr) {
    record = *begun_before;
    TRANCHE_TRY(context_.state.DropStageRejects(record.id));
    TRANCHE_ASSIGN(kept, context_.state.Segments(record.id));
  } else {
    TRANCHE_TRY(context_.state.AddStage(context_.run.id, record));
  }
  TRANCHE_TRY(Failpoint("spool.begun"));
  StageTally tally{.query = HashHex(stage.query.text())};
  auto made = MakeOnce(stage, record.id, sealed, begun, std::move(kept), tally);
  if (!made) {
    for (const auto& [origin, count] : tally.rejected) context_.budget.TakeBack(origin, count);
    return std::move(made).error();
  }
  tally.seconds = (context_.clock.SteadyNanos() - started) / 1e9;
  record.sealed = true;
  record.rows = tally.rows;
  record.tallies = tally.ToJson();
  TRANCHE_ASSIGN(record.schema, SerializeSchema(*made->spool->schema()));
  TRANCHE_TRY(context_.state.SealStage(record));
  TRANCHE_TRY(Failpoint("stage.sealed"));
  made->tally = std::move(tally);
  return made;
}

}  // namespace tranche

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
#include "tranche/connector/larger_pieces.h"

namespace tranche {
namespace {

constexpr int64_t kSegmentBytes = 64 << 20;
constexpr int64_t kSteadySegmentBytes = 16 << 20;
constexpr int64_t kFirstSegmentBytes = 4 << 20;  // with which stores begin
constexpr int64_t kSegmentsAhead = 3;            // in memory, and no store wants more
constexpr int64_t kSegmentsHeld = 16;            // in memory at all, however large a batch becomes
constexpr Duration kLook = std::chrono::milliseconds(100);

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
  SpoolReader(const Spool& spool, std::unique_ptr<Spool::Reader> reader, std::function<void(int64_t)> passed)
      : spool_(spool), reader_(std::move(reader)), passed_(std::move(passed)) {}
  std::shared_ptr<arrow::Schema> schema() const override { return spool_.schema(); }
  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    TRANCHE_ASSIGN(auto rows, reader_->Next());
    if (rows && passed_) passed_(at_);
    if (rows) at_ += rows->num_rows();
    return rows;
  }

 private:
  const Spool& spool_;
  std::unique_ptr<Spool::Reader> reader_;
  std::function<void(int64_t)> passed_;
  int64_t at_ = 0;
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
  struct Limits {
    int64_t first = 0;    // bytes of the first segment
    int64_t segment = 0;  // and of the others
    int64_t ahead = 0;    // bytes in memory, and no store wants more
    int64_t held = 0;     // bytes in memory at all; 0: all segments are files
  };
  // What leads behind the row with this ordinal (Source::Behind), of an ordered stage.
  using Behind = std::function<Result<std::string>(int64_t)>;
  Sealer(RunContext& context, const std::string& stage_id, Limits limits, bool steady, Behind behind,
         std::vector<SegmentInfo> known, std::function<Status(const Spool&)> flows, StageTally& tally)
      : context_(context),
        stage_id_(stage_id),
        folder_(context.SpoolFolder(stage_id)),
        limits_(limits),
        steady_(steady),
        behind_(std::move(behind)),
        known_(std::move(known)),
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
      } else if (name == kOrdinalColumn) {
        ordinal_column_ = i;
      } else {
        kept_.push_back(i);
        kept.push_back(incoming.field(i));
      }
    }
    spool_.emplace(folder_, arrow::schema(std::move(kept)));
    TRANCHE_TRY(Spool(folder_, spool_->schema(), known_).Verify());
    if (behind_) GoOn();
    AppendFiles();
    if (steady_) digest_.emplace(*spool_->schema());
    TRANCHE_TRY(MakeFolders(folder_));
    return known_.empty() ? Status() : flows_(*spool_);
  }

  Status Add(const std::shared_ptr<arrow::RecordBatch>& incoming) {
    if (!behind_) return AddPiece(incoming);
    // A segment ends with a piece: its rejects are those of the rows up to there.
    const int64_t step = StepOf(*incoming);
    for (int64_t from = 0; from < incoming->num_rows(); from += step) {
      const auto piece = incoming->Slice(from, step);
      TRANCHE_TRY(NoteOrdinal(*piece));
      TRANCHE_TRY(AddPiece(piece));
      if (pending_.full()) TRANCHE_TRY(SealRejects());
    }
    return {};
  }

  Status Close() {
    if (Known()) return Differs();
    if (into_ != Into::kNothing) TRANCHE_TRY(SealSegment());
    TRANCHE_TRY(FlushRejects());
    spool_->Seal();
    return {};
  }

  // Until all rows are stored that may not be in files: a stage that is done needs its input no more.
  Status Drain() {
    while (limits_.held > 0 && !spool_->AwaitDropped(kLook)) {
      TRANCHE_TRY(context_.stop.Check());
      TRANCHE_TRY(flows_(*spool_));
    }
    return {};
  }

  const Spool& spool() const { return *spool_; }

 private:
  // Where the rows of the segment at hand go.
  enum class Into { kNothing, kFile, kMemory, kCompared };

  // The segment at hand, where an earlier start has recorded it: then its rows must be the same.
  const SegmentInfo* Known() const { return number_ < std::ssize(known_) ? &known_[number_] : nullptr; }

  Status AddPiece(const std::shared_ptr<arrow::RecordBatch>& incoming) {
    std::shared_ptr<arrow::RecordBatch> rows = incoming;
    if (reject_column_ >= 0) TRANCHE_TRY(TakeMarked(rows));
    arrived_ += incoming->num_rows();
    if (rows->num_rows() == 0) return {};
    if (rows_column_ >= 0) Fold(*rows);
    TRANCHE_ARROW_ASSIGN(const auto selected, "take columns of", "a stage", rows->SelectColumns(kept_));
    TRANCHE_ASSIGN(auto plain, PlainRows(*selected, spool_->schema()));
    // Not many rows more than a segment has room for: the engine hands on more of them at a time.
    const int64_t step = behind_ ? plain->num_rows() : StepOf(*plain);
    for (int64_t from = 0, count = 0; from < plain->num_rows(); from += count) {
      if (into_ == Into::kNothing) TRANCHE_TRY(BeginSegment());
      count = std::min(plain->num_rows() - from, Known() ? Known()->span.to - tally_.rows : step);
      TRANCHE_TRY(Write(plain->Slice(from, count)));
    }
    return {};
  }

  int64_t segment_bytes() const { return number_ == 0 ? limits_.first : limits_.segment; }

  // Rows that about fill a segment.
  int64_t StepOf(const arrow::RecordBatch& rows) const {
    const int64_t bytes = std::max<int64_t>(RowBytes(rows, 0, rows.num_rows()), 1);
    return std::max<int64_t>(rows.num_rows() * segment_bytes() / bytes, 1);
  }

  // Of an ordered stage whose segments an earlier start has recorded: what comes now stands behind them.
  void GoOn() {
    for (const SegmentInfo& segment : known_) {
      spool_->Append(segment);
      tally_.bytes += segment.bytes;
    }
    number_ = appended_ = std::ssize(known_);
    if (!known_.empty()) first_ = tally_.rows = known_.back().span.to;
    context_.progress.rows_read += tally_.rows;
    arrived_ = tally_.rows + tally_.step_rejects();
  }

  Status NoteOrdinal(const arrow::RecordBatch& rows) {
    const auto& ordinals = static_cast<const arrow::Int64Array&>(*rows.column(ordinal_column_));
    for (int64_t i = 0; i < ordinals.length(); ++i) {
      if (ordinals.Value(i) <= ordinal_) return Fail(Code::kInternal, "rows lost the order of their key");
      ordinal_ = ordinals.Value(i);
    }
    return {};
  }

  // With the segment at hand, which may be empty: what comes before its end is not read again.
  Status SealRejects() {
    if (into_ == Into::kNothing) TRANCHE_TRY(BeginSegment());
    return SealSegment();
  }

  // Hands on the recorded segments that are files, up to the first one whose rows must be read again.
  void AppendFiles() {
    while (appended_ < std::ssize(known_) && known_[appended_].file) spool_->Append(known_[appended_++]);
  }

  Status BeginSegment() {
    if (Known() && Known()->file) {
      into_ = Into::kCompared;
      return {};
    }
    TRANCHE_ASSIGN(const bool room, AwaitRoom());
    into_ = room ? Into::kMemory : Into::kFile;
    if (room) return {};
    TRANCHE_ASSIGN(writer_, SegmentWriter::Make(folder_, number_, tally_.rows, spool_->schema()));
    return {};
  }

  // Whether the next segment may be held in memory; if need be once the stores have caught up. The first one
  // is a file, for people to see.
  Result<bool> AwaitRoom() {
    if (number_ == 0) return false;
    while (true) {
      TRANCHE_TRY(context_.stop.Check());
      TRANCHE_TRY(flows_(*spool_));
      if (limits_.held == 0) return false;
      const Spool::Room room = spool_->AwaitRoom(limits_.ahead, kLook);
      if (room == Spool::Room::kThere) return true;
      if (room == Spool::Room::kWanted) return spool_->held() < limits_.held;
    }
  }

  Status Write(const std::shared_ptr<arrow::RecordBatch>& rows) {
    if (digest_) TRANCHE_TRY(digest_->Add(*rows));
    tally_.rows += rows->num_rows();
    context_.progress.rows_read += rows->num_rows();
    if (into_ == Into::kFile) TRANCHE_TRY(writer_->Write(*rows));
    if (into_ == Into::kMemory) {
      held_.push_back(rows);
      held_bytes_ += RowBytes(*rows, 0, rows->num_rows());
    }
    const bool full = Known() ? tally_.rows == Known()->span.to
                              : (writer_ ? writer_->bytes_written() : held_bytes_) >= segment_bytes();
    return full ? SealSegment() : Status();
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
    if (pending_.full() && !behind_) return FlushRejects();
    return {};
  }

  void Fold(const arrow::RecordBatch& rows) {
    const auto& counts = static_cast<const arrow::Int64Array&>(*rows.column(rows_column_));
    for (int64_t i = 0; i < counts.length(); ++i) tally_.folded += counts.Value(i);
  }

  static Error Differs() {
    return Fail(Code::kData,
                "the input gives other rows than when this run began, and some are stored already")
        .Hint("put it back as it was to let the run finish; or --again: give it up (what it stored stays)");
  }

  Status SealSegment() {
    const SegmentInfo* known = Known();
    SegmentInfo segment = known ? *known : SegmentInfo{.number = number_, .span = {first_, tally_.rows}};
    if (digest_) {
      segment.digest = digest_->Hex();
      digest_.emplace(*spool_->schema());
      if (known && segment.digest != known->digest) return Differs();
    }
    if (writer_) {
      TRANCHE_ASSIGN(const SegmentInfo written, writer_->Seal());
      writer_.reset();
      segment.bytes = written.bytes;
      segment.checksum = written.checksum;
    }
    segment.file = into_ != Into::kMemory;
    if (behind_) {
      TRANCHE_ASSIGN(segment.behind, behind_(ordinal_));
    }
    tally_.bytes += segment.bytes;
    if (!known) TRANCHE_TRY(context_.state.AddSegment(stage_id_, segment, pending_.Take()));
    if (known && into_ == Into::kFile) TRANCHE_TRY(context_.state.FileSegment(stage_id_, segment));
    if (into_ != Into::kCompared) {
      spool_->Append(std::move(segment), std::exchange(held_, {}), std::exchange(held_bytes_, 0));
      ++appended_;
      AppendFiles();
      TRANCHE_TRY(Failpoint("segment.recorded"));
    }
    ++number_;
    first_ = tally_.rows;
    into_ = Into::kNothing;
    return {};
  }

  Status FlushRejects() { return context_.state.AddStageRejects(stage_id_, pending_.Take()); }

  RunContext& context_;
  std::string stage_id_;
  std::string folder_;
  const Limits limits_;
  bool steady_;                                // another making of it gives the same rows
  const Behind behind_;                        // it goes in the order of a key
  const std::vector<SegmentInfo> known_;       // by an earlier start
  std::function<Status(const Spool&)> flows_;  // a segment is there, and rows come that are not in it
  StageTally& tally_;
  std::optional<Spool> spool_;
  std::vector<int> kept_;
  int reject_column_ = -1;
  int rows_column_ = -1;
  int ordinal_column_ = -1;
  int64_t arrived_ = 0;
  int64_t ordinal_ = 0;   // of the last row that arrived
  int64_t appended_ = 0;  // segments
  // Of the segment at hand.
  int number_ = 0;
  int64_t first_ = 0;  // row
  Into into_ = Into::kNothing;
  std::optional<RowDigest> digest_;
  std::unique_ptr<SegmentWriter> writer_;
  RecordBatches held_;
  int64_t held_bytes_ = 0;
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

Result<std::string> RegisterSpool(Engine& engine, const Spool& spool, std::optional<int64_t> rows,
                                  std::function<void(int64_t)> passed) {
  return engine.Register(spool.schema(), [&spool, rows, passed]() -> Result<std::unique_ptr<Reader>> {
    TRANCHE_ASSIGN(auto reader, spool.Read({0, rows.value_or(spool.end())}));
    return std::unique_ptr<Reader>(new SpoolReader(spool, std::move(reader), passed));
  });
}

SqlText SpoolRelation(const Spool& spool, const std::string& registered, bool hidden) {
  return SqlText(RowsAsTheyWere(hidden ? *spool.schema() : *VisibleSchema(*spool.schema()), registered));
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
                                           const std::map<std::string, SealedStage>& sealed,
                                           const std::string& behind) {
  Composed composed{.any_order = stage.stages.empty()};
  std::map<std::string, SqlText> definitions;
  for (const std::string& input : stage.inputs) {
    if (query.text().find(InputRelation(input)) == std::string::npos) continue;
    SourceContext source = ContextOf(input);
    if (const auto unused = stage.unused.find(input); unused != stage.unused.end())
      source.unused = &unused->second;
    source.ordered = stage.ordered();
    source.behind = behind;
    TRANCHE_ASSIGN(SqlText scan, sources_.at(input)->Scan(source));
    composed.any_order = composed.any_order && sources_.at(input)->any_order();
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
                                      bool holds, std::vector<SegmentInfo> known, StageTally& tally) {
  const std::string after = stage.ordered() && !known.empty() ? known.back().behind : "";
  TRANCHE_ASSIGN(Composed composed, Compose(stage, stage.query, sealed, after));
  auto flows = [&](const Spool& spool) { return begun(id, spool, /*flows=*/true); };
  Sealer::Limits limits{
      .first = context_.options.segment_bytes.value_or(stage.streams() ? kFirstSegmentBytes : kSegmentBytes),
      .segment =
          context_.options.segment_bytes.value_or(stage.streams() ? kSteadySegmentBytes : kSegmentBytes)};
  if (holds) {
    limits.held = std::min(context_.options.memory / 8, kSegmentsHeld * limits.segment);
    limits.ahead = std::min(kSegmentsAhead * limits.segment, limits.held);
  }
  Sealer::Behind behind;
  if (stage.ordered()) {
    behind = [&source = *sources_.at(stage.inputs.front())](int64_t row) { return source.Behind(row); };
  }
  Sealer sealer(context_, id, limits, stage.steady, behind, std::move(known), flows, tally);
  auto spool = [&]() -> Status {
    TRANCHE_ASSIGN(auto reader, context_.engine.Run({composed.sql, &context_.job.values}));
    if (limits.held == 0) reader = InLargerPieces(std::move(reader));  // they go into files
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
  if (spooled) spooled = sealer.Drain();
  Free(composed);
  TRANCHE_TRY(context_.stop.Check());  // an interrupted query says only that it was interrupted
  TRANCHE_TRY(std::move(spooled));
  SealedStage made{.id = id, .spool = sealer.spool()};
  TRANCHE_TRY(CheckAfter(stage, *made.spool));
  return made;
}

Result<SealedStage> Spooler::Make(const PlannedStage& stage, const std::map<std::string, SealedStage>& sealed,
                                  const Begun& begun, bool holds, const StageRecord* begun_before) {
  TRANCHE_TRY(CheckBefore(stage, sealed));
  const int64_t started = context_.clock.SteadyNanos();
  StageRecord record{.name = stage.name, .id = NewId()};
  std::vector<SegmentInfo> known;
  if (begun_before != nullptr) {
    record = *begun_before;
    TRANCHE_TRY(context_.state.DropStageRejects(record.id, /*of_segments=*/!stage.ordered()));
    TRANCHE_ASSIGN(known, context_.state.Segments(record.id));
  } else {
    TRANCHE_TRY(context_.state.AddStage(context_.run.id, record));
  }
  TRANCHE_TRY(Failpoint("spool.begun"));
  StageTally tally{.query = HashHex(stage.query.text())};
  if (begun_before != nullptr && stage.ordered()) {
    TRANCHE_ASSIGN(const auto rejects, context_.state.SegmentRejectCounts(record.id));
    tally.rejected = {rejects.begin(), rejects.end()};
    TRANCHE_TRY(Charge(tally));
  }
  auto made = MakeOnce(stage, record.id, sealed, begun, holds, std::move(known), tally);
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

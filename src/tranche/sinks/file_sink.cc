#include "tranche/sinks/file_sink.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>
#include <thread>

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "tranche/base/failpoint.h"
#include "tranche/base/file.h"
#include "tranche/connector/step.h"
#include "tranche/sinks/batch_table.h"
#include "tranche/sinks/scratch.h"

namespace tranche {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kScratch = ".writing-";
constexpr std::string_view kPart = "part-";

// A file that is removed again.
struct Temporary {
  std::string path;
  ~Temporary() { unlink(path.c_str()); }
};

Status CopyToStandardOutput(const std::string& path) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return FailErrno("open", path, errno);
  std::vector<char> block(1 << 18);
  Status status;
  while (status) {
    ssize_t got = read(fd, block.data(), block.size());
    if (got == 0) break;
    if (got < 0) status = FailErrno("read", path, errno);
    for (ssize_t done = 0; status && done < got;) {
      ssize_t written = write(STDOUT_FILENO, block.data() + done, static_cast<size_t>(got - done));
      if (written < 0 && errno != EINTR) status = FailErrno("write to", "standard output", errno);
      done += std::max<ssize_t>(written, 0);
    }
  }
  close(fd);
  return status;
}

// The disk and the checksum take their time together.
Result<FilePart> SyncAndMeasure(const std::string& path, std::string name, int64_t rows, std::string run) {
  Status synced;
  std::jthread syncing([&] { synced = SyncFile(path); });
  auto part = Measure(path, std::move(name), rows, std::move(run));
  syncing.join();
  TRANCHE_TRY(std::move(synced));
  return part;
}

// Their names are synced once, when they are published: a part that is lost before is a gap again.
Status SyncParts(const std::string& root, const std::vector<FilePart>& parts) {
  for (const FilePart& part : parts) TRANCHE_TRY(SyncFile(root + "/" + part.name));
  return {};
}

// A link to a folder or a file stands for what it links to.
Target FollowLink(Target target) {
  std::error_code error;
  if (fs::path real = fs::canonical(target.path, error); !error) target.path = real.string();
  return target;
}

}  // namespace

std::vector<Field> FileFields(std::string_view example_path, bool partitions) {
  std::vector<Field> fields = {
      {"path", Shape::Path(),
       fmt::format("The file, such as {}, or `stdout` (at least once); with a / at its end a folder, into "
                   "which each batch "
                   "is written "
                   "as a file.",
                   example_path),
       Field::kRequired},
      {"mode", Shape::Choice({"replace", "append"}),
       "`replace` removes what Tranche wrote there before, and nothing else; `append` adds files to a "
       "folder.",
       "replace"},
  };
  if (partitions) {
    fields.push_back({"partition", Shape::ListOrOne(Shape::Column()),
                      "Columns whose values become folders, `day=2026-11-20/`; they are not in the files."});
  }
  return fields;
}

SinkSpec FileSpec(std::string name) {
  SinkSpec spec;
  spec.name = std::move(name);
  spec.modes = {"replace", "append"};
  spec.guarantee = "exactly once, by files written aside and one rename";
  spec.direct = true;
  spec.parallel = 64;
  spec.policy.parallel = 0;
  spec.policy.rows = 1'000'000;
  spec.policy.bytes = 128 << 20;
  spec.scratch = ScratchFiles;
  return spec;
}

Result<FileOptions> FileOptions::Parse(const Options& options, bool partitions) {
  FileOptions parsed;
  std::string path = options.Text("path");
  parsed.place = options.place();
  parsed.target.append = options.Text("mode") == "append";
  if (partitions) parsed.partition = options.Texts("partition");
  const Node* written = options.Raw("path");
  parsed.standard_output = written && (written->text == "stdout");
  parsed.target.folder = path.ends_with('/') || !parsed.partition.empty() || parsed.target.append;
  if (parsed.standard_output && parsed.target.folder) {
    return Fail(Code::kJob, "standard output takes no 'partition' and no mode append")
        .At(options.PlaceOf("path"));
  }
  if (parsed.target.append && !path.ends_with('/')) {
    return Fail(Code::kJob, "mode append needs a folder, and {} is a file", path)
        .At(options.PlaceOf("path"))
        .Hint("end the path with /");
  }
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  if (path.empty() || path == "/")
    return Fail(Code::kJob, "'path' names no file or folder").At(options.PlaceOf("path"));
  parsed.target.path = fs::absolute(path).lexically_normal().string();
  return parsed;
}

Status FileSink::CheckColumns(const arrow::Schema& schema) {
  Columns columns;
  for (const auto& field : schema.fields()) columns.push_back({field->name(), ""});
  if (columns.empty()) return Fail(Code::kJob, "the rows have no columns").At(options_.place);
  for (std::string& part : options_.partition) {
    const Column* found = FindColumn(columns, part);
    if (!found) return NoColumn(part, columns, options_.place);
    part = found->name;
  }
  if (options_.partition.size() >= columns.size()) {
    return Fail(Code::kJob, "'partition' takes all columns and leaves none for the files").At(options_.place);
  }
  return {};
}

// Rows that were made again are other rows: what was written of the old ones does not count.
Status FileSink::ForgetOtherStage(SinkContext& context) {
  TRANCHE_ASSIGN(auto stage, context.journal->Note("stage"));
  if (stage && *stage == context.stage_id) return {};
  TRANCHE_ASSIGN(auto entries, context.journal->Entries());
  for (const Journal::Entry& entry : entries) TRANCHE_TRY(context.journal->Remove(entry.span));
  return context.journal->SetNote("stage", context.stage_id);
}

Status FileSink::Check(std::shared_ptr<arrow::Schema> schema, Engine&, std::optional<Duration>) {
  TRANCHE_TRY(CheckColumns(*schema));
  if (options_.standard_output) return {};
  Status usable = Publisher(FollowLink(options_.target), /*run_id=*/"").Check();
  if (!usable) return std::move(usable).error().At(options_.place);
  return {};
}

Result<Opened> FileSink::Open(std::shared_ptr<arrow::Schema> schema, SinkContext& context) {
  if (schema) TRANCHE_TRY(CheckColumns(*schema));
  Opened opened;
  bool begun = false;
  if (!options_.standard_output) {
    options_.target = FollowLink(options_.target);
    publisher_ = std::make_unique<Publisher>(options_.target, context.run_id);
    TRANCHE_ASSIGN(opened.published, Publisher::Done(*context.journal));
    TRANCHE_ASSIGN(begun, publisher_->Begun(*context.journal));
    if (!opened.published && !begun) {
      Status usable = publisher_->Prepare();
      if (!usable) return std::move(usable).error().At(options_.place);
      if (context.again) TRANCHE_TRY(publisher_->RemoveGivenUp());
    }
  }
  Entries entries;
  if (opened.published || begun) {
    TRANCHE_ASSIGN(entries, context.journal->Entries());
  } else {
    if (schema) TRANCHE_TRY(ForgetOtherStage(context));
    TRANCHE_ASSIGN(entries, KeepIntact(context));
  }
  for (const Journal::Entry& entry : entries) {
    if (entry.span.rows() > 0) opened.committed.Add(entry.span);
    written_[entry.span.from] = entry.counts;
    opened.counts += entry.counts;
  }
  schema_ = std::move(schema);
  if (options_.target.folder && !opened.published && !begun) TRANCHE_TRY(MakeFolders(publisher_->aside()));
  TRANCHE_TRY(Failpoint("store.opened"));
  return opened;
}

Result<FileSink::Entries> FileSink::KeepIntact(SinkContext& context) {
  TRANCHE_ASSIGN(Entries entries, context.journal->Entries());
  if (options_.standard_output) return entries;
  const std::string& aside = publisher_->aside();
  Entries kept;
  std::vector<FilePart> named;
  for (Journal::Entry& entry : entries) {
    TRANCHE_ASSIGN(auto parts, ParseFiles(entry.detail));
    bool intact = true;
    for (const FilePart& part : parts) {
      TRANCHE_ASSIGN(bool same, Intact(whole() ? aside : aside + "/" + part.name, part));
      intact = intact && same;
    }
    if (!intact) {
      TRANCHE_TRY(context.journal->Remove(entry.span));
      continue;
    }
    std::ranges::move(parts, std::back_inserter(named));
    kept.push_back(std::move(entry));
  }
  if (whole() && kept.empty()) TRANCHE_TRY(RemoveFile(aside));
  if (!whole()) TRANCHE_TRY(RemoveStray(named));
  return kept;
}

Status FileSink::RemoveStray(const std::vector<FilePart>& parts) {
  const std::string& aside = publisher_->aside();
  if (!Exists(aside)) return {};
  TRANCHE_ASSIGN(auto entries, ListFolder(aside));
  for (const std::string& name : entries) {
    if (name.starts_with(kScratch)) TRANCHE_TRY(RemoveFolder(aside + "/" + name));
  }
  std::set<std::string_view> names;
  for (const FilePart& part : parts) names.insert(part.name);
  TRANCHE_ASSIGN(FolderContent content, ScanFolder(aside));
  for (const std::string& name : content.files) {
    if (fs::path(name).filename().string().starts_with(kPart) && !names.contains(name)) {
      TRANCHE_TRY(RemoveFile(aside + "/" + name));
    }
  }
  return {};
}

Result<WriteReport> FileSink::Write(const Batch& batch, SinkContext& context) {
  WriteReport report;
  {
    const std::scoped_lock lock(mutex_);
    if (auto known = written_.find(batch.span.from); known != written_.end()) {
      report.outcome = WriteReport::Outcome::kAlreadyCommitted;
      report.counts = known->second;
      return report;
    }
  }
  TRANCHE_TRY(Failpoint("batch.claimed"));
  auto parts = WriteParts(batch, context, 0);
  if (!parts &&
      parts.error().code == Code::kOutside) {  // a file that could not be synced is never trusted again
    parts = WriteParts(batch, context, 1);
  }
  if (!parts) return std::move(parts).error();
  int64_t rows = batch.span.rows();
  report.counts = {rows, rows, 0, 0, 0};
  for (const FilePart& part : *parts) report.bytes += part.size;
  TRANCHE_TRY(context.journal->Add({batch.span, report.counts, ToJson(*parts)}, {}));
  {
    const std::scoped_lock lock(mutex_);
    written_[batch.span.from] = report.counts;
  }
  TRANCHE_TRY(Failpoint("part.journalled"));
  return report;
}

Result<std::vector<FilePart>> FileSink::WriteParts(const Batch& batch, SinkContext& context, int attempt) {
  const std::string& aside = publisher_->aside();
  // Padded, so that the order of names is the order of rows.
  std::string base = fmt::format("{}{}-{:012}{}", kPart, context.run_id.substr(0, 8), batch.span.from,
                                 attempt == 0 ? "" : fmt::format("-{}", attempt + 1));
  TRANCHE_ASSIGN(auto table, BatchTable::Make(*context.engine, schema_));
  table->Set(batch.pieces);
  Query query{SqlText("SELECT * FROM " + table->from())};
  std::vector<FilePart> parts;
  int64_t rows = 0;
  if (options_.partition.empty()) {
    std::string name = base + format_->ending();
    TRANCHE_TRY(RemoveFile(aside + "/" + name));
    TRANCHE_ASSIGN(rows, format_->Write(*context.engine, query, aside + "/" + name));
    parts.push_back({name, 0, "", rows, ""});
  } else {
    TRANCHE_ASSIGN(parts, WritePartitions(query, *context.engine, base, rows));
  }
  if (rows != batch.span.rows()) {
    return Fail(Code::kInternal, "{} of {} rows reached the files of a batch", rows, batch.span.rows());
  }
  TRANCHE_TRY(Failpoint("part.written"));
  TRANCHE_TRY(SyncParts(aside, parts));
  TRANCHE_TRY(Failpoint("part.synced"));
  for (FilePart& part : parts) {
    std::string path = aside + "/" + part.name;
    int64_t counted = part.rows;
    if (counted < 0) {
      TRANCHE_ASSIGN(counted, format_->CountRows(path));
    }
    TRANCHE_ASSIGN(part, Measure(path, part.name, counted, context.run_id));
  }
  return parts;
}

Result<std::vector<FilePart>> FileSink::WritePartitions(const Query& query, Engine& engine,
                                                        const std::string& base, int64_t& rows) {
  const std::string scratch = fmt::format("{}/{}{}", publisher_->aside(), kScratch, base);
  TRANCHE_TRY(RemoveFolder(scratch));
  auto written = format_->WritePartitions(engine, query, scratch, options_.partition);
  if (!written && written.error().message.find("File name too long") != std::string::npos) {
    return Fail(Code::kData, "a value of {} is too long for the name of a folder: it may have 255 bytes",
                fmt::join(options_.partition, " or "))
        .Hint("reject such rows before: check: {short: length(…) < 80}")
        .At(options_.place);
  }
  if (!written) return std::move(written).error();
  rows = *written;
  return CollectPartitions(scratch, base);
}

// Moves what the engine wrote to where it will lie. Its names of folders are taken only if they stay inside.
Result<std::vector<FilePart>> FileSink::CollectPartitions(const std::string& scratch,
                                                          const std::string& base) {
  const std::string& aside = publisher_->aside();
  TRANCHE_ASSIGN(FolderContent content, ScanFolder(scratch));
  std::vector<FilePart> parts;
  std::string last;
  int in_folder = 0;
  for (const std::string& name : content.files) {
    fs::path folder = fs::path(name).parent_path();
    if (std::distance(folder.begin(), folder.end()) !=
        static_cast<std::ptrdiff_t>(options_.partition.size())) {
      return Fail(Code::kInternal, "a partition has the folder '{}'", folder.string());
    }
    in_folder = folder.string() == last ? in_folder + 1 : 0;
    last = folder.string();
    std::string suffix = in_folder == 0 ? "" : fmt::format("-{:03}", in_folder);
    std::string part = (folder / (base + suffix + format_->ending())).string();
    TRANCHE_TRY(MakeFolders((aside / folder).string()));
    TRANCHE_TRY(RenameUnsynced(scratch + "/" + name, aside + "/" + part));
    parts.push_back({part, 0, "", -1, ""});
  }
  TRANCHE_TRY(RemoveFolder(scratch));
  return parts;
}

Result<Counts> FileSink::WriteDirect(const Query& query, SinkContext& context) {
  if (!whole()) return Sink::WriteDirect(query, context);
  TRANCHE_ASSIGN(Entries entries, context.journal->Entries());
  for (const Journal::Entry& entry : entries) TRANCHE_TRY(context.journal->Remove(entry.span));
  int64_t rows = 0;
  std::vector<FilePart> parts;
  if (options_.standard_output) {
    TRANCHE_TRY(WriteToStandardOutput(query, rows, context));
  } else {
    const std::string& aside = publisher_->aside();
    TRANCHE_TRY(RemoveFile(aside));
    TRANCHE_ASSIGN(rows, format_->Write(*context.engine, query, aside));
    TRANCHE_TRY(Failpoint("direct.written"));
    TRANCHE_ASSIGN(FilePart part, SyncAndMeasure(aside, fs::path(options_.target.path).filename().string(),
                                                 rows, context.run_id));
    parts.push_back(std::move(part));
  }
  Counts counts{rows, rows, 0, 0, 0};
  TRANCHE_TRY(context.journal->Add({{0, rows}, counts, ToJson(parts)}, {}));
  TRANCHE_TRY(Failpoint("direct.journalled"));
  return counts;
}

// By way of a file: if the query fails half-way, nothing has been printed.
Status FileSink::WriteToStandardOutput(const Query& query, int64_t& rows, SinkContext& context) {
  Temporary file{
      (fs::temp_directory_path() / fmt::format("tranche-{}-{}", context.run_id, context.store)).string()};
  TRANCHE_TRY(RemoveFile(file.path));
  TRANCHE_ASSIGN(rows, format_->Write(*context.engine, query, file.path));
  TRANCHE_TRY(Failpoint("direct.written"));
  return CopyToStandardOutput(file.path);
}

Result<std::vector<FilePart>> FileSink::JournalledParts(SinkContext& context) const {
  TRANCHE_ASSIGN(Entries entries, context.journal->Entries());
  std::ranges::sort(entries, {}, [](const Journal::Entry& entry) { return entry.span.from; });
  std::vector<FilePart> all;
  for (const Journal::Entry& entry : entries) {
    TRANCHE_ASSIGN(auto parts, ParseFiles(entry.detail));
    std::ranges::move(parts, std::back_inserter(all));
  }
  return all;
}

Result<Sink::Totals> FileSink::Sum(SinkContext& context) {
  TRANCHE_ASSIGN(Totals totals, SumOfJournal(context));
  if (options_.standard_output) return totals;
  TRANCHE_ASSIGN(auto parts, JournalledParts(context));
  int64_t counted = 0;
  for (const FilePart& part : parts) {
    TRANCHE_ASSIGN(int64_t rows, format_->CountRows(publisher_->Locate(part)));
    if (rows < 0) return totals;
    counted += rows;
  }
  totals.target_rows = counted;
  return totals;
}

// No rows: still a file, which has their columns.
Status FileSink::WriteEmpty(SinkContext& context) {
  if (whole()) {
    TRANCHE_ASSIGN(auto table, BatchTable::Make(*context.engine, schema_));
    TRANCHE_TRY(WriteDirect({SqlText("SELECT * FROM " + table->from())}, context));
    return {};
  }
  Batch none;
  TRANCHE_ASSIGN(auto parts, WriteParts(none, context, 0));
  return context.journal->Add({{0, 0}, {}, ToJson(parts)}, {});
}

Status FileSink::Finish(SinkContext& context) {
  TRANCHE_ASSIGN(Entries entries, context.journal->Entries());
  if (entries.empty() && context.rows == 0 && schema_) TRANCHE_TRY(WriteEmpty(context));
  if (options_.standard_output) return {};
  TRANCHE_ASSIGN(auto parts, JournalledParts(context));
  TRANCHE_ASSIGN(bool begun, publisher_->Begun(*context.journal));
  if (options_.target.folder && !begun) TRANCHE_TRY(RemoveStray(parts));
  return publisher_->Publish(parts, *context.journal);
}

// The journal is the ledger; the files that it names are there, or not.
Result<std::optional<Sink::Standing>> FileSink::Look(SinkContext& context) {
  TRANCHE_ASSIGN(Entries entries, context.journal->Entries());
  Standing standing{.run_id = context.run_id};
  for (const Journal::Entry& entry : entries) standing.counts += entry.counts;
  if (options_.standard_output) return standing;
  TRANCHE_ASSIGN(standing.finished, Publisher::Done(*context.journal));
  const Publisher publisher(FollowLink(options_.target), context.run_id);
  TRANCHE_ASSIGN(auto parts, JournalledParts(context));
  int64_t rows = 0;
  for (const FilePart& part : parts) {
    if (!Exists(publisher.Locate(part))) return Fail(Code::kData, "{} is gone", publisher.Locate(part));
    TRANCHE_ASSIGN(const FileIdentity identity, Identify(publisher.Locate(part)));
    if (identity.size != part.size) {
      return Fail(Code::kData, "{} has {} bytes, and {} were written", publisher.Locate(part), identity.size,
                  part.size);
    }
    rows = rows < 0 || part.rows < 0 ? -1 : rows + part.rows;
  }
  if (rows >= 0) standing.target_rows = rows;
  return standing;
}

// A batch of no rows holds no row.
Result<std::optional<Sink::StoredBatch>> FileSink::BatchOf(SinkContext& context, int64_t row) {
  TRANCHE_ASSIGN(const Entries entries, context.journal->Entries());
  const Publisher publisher(FollowLink(options_.target), context.run_id);
  for (const Journal::Entry& entry : entries) {
    if (row < entry.span.from || row >= entry.span.to) continue;
    StoredBatch batch{.span = entry.span, .counts = entry.counts, .committed = {}, .files = {}};
    TRANCHE_ASSIGN(const auto parts, ParseFiles(entry.detail));
    for (const FilePart& part : parts) batch.files.push_back(publisher.Locate(part));
    return batch;
  }
  return std::nullopt;
}

std::string FileSink::Describe() const {
  if (options_.standard_output) return format_->name() + " to standard output";
  std::string text =
      fmt::format("{} {}{}", format_->name(), options_.target.path, options_.target.folder ? "/" : "");
  for (const std::string& column : options_.partition) {
    text += (&column == &options_.partition.front() ? " partitioned by " : ", ") + column;
  }
  return text + (options_.target.append ? ", append" : ", replace");
}

}  // namespace tranche

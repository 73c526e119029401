#include <algorithm>

#include <arrow/api.h>
#include <arrow/io/file.h>
#include <arrow/ipc/reader.h>
#include <nlohmann/json.hpp>

#include "tranche/batch/arrow_error.h"
#include "tranche/batch/segment.h"
#include "tranche/sources/files.h"
#include "tranche/sources/sources.h"

namespace tranche {
namespace {

// The batches of one file, in either format: a file begins with ARROW1, a stream does not.
class IpcFile {
 public:
  static Result<IpcFile> Open(const std::string& path) {
    IpcFile opened;
    opened.path_ = path;
    TRANCHE_ARROW_ASSIGN(auto file, "open", path, arrow::io::ReadableFile::Open(path));
    TRANCHE_ARROW_ASSIGN(auto start, "read", path, file->ReadAt(0, 6));
    TRANCHE_ARROW_TRY("read", path, file->Seek(0));
    auto options = arrow::ipc::IpcReadOptions::Defaults();
    options.use_threads = false;
    if (start->ToString() == "ARROW1") {
      auto reader = arrow::ipc::RecordBatchFileReader::Open(file, options);
      if (!reader.ok()) return opened.Damaged(reader.status());
      opened.file_ = *reader;
      opened.schema_ = opened.file_->schema();
    } else {
      auto reader = arrow::ipc::RecordBatchStreamReader::Open(file, options);
      if (!reader.ok()) return opened.Damaged(reader.status());
      opened.stream_ = *reader;
      opened.schema_ = opened.stream_->schema();
    }
    return opened;
  }

  Result<std::shared_ptr<arrow::RecordBatch>> Next() {
    std::shared_ptr<arrow::RecordBatch> batch;
    if (file_) {
      if (next_ == file_->num_record_batches()) return nullptr;
      auto read = file_->ReadRecordBatch(next_++);
      if (!read.ok()) return Damaged(read.status());
      batch = *read;
    } else if (auto status = stream_->ReadNext(&batch); !status.ok()) {
      return Damaged(status);
    }
    if (batch == nullptr) return nullptr;
    // Offsets that point outside would be followed by whoever reads the rows.
    if (auto status = batch->ValidateFull(); !status.ok()) return Damaged(status);
    return batch;
  }

  const std::shared_ptr<arrow::Schema>& schema() const { return schema_; }

 private:
  Error Damaged(const arrow::Status& status) const {
    return Fail(Code::kData, "{} is not an Arrow file that can be read: {}", path_, status.message())
        .Hint("it was not written whole, or is of another format");
  }

  std::string path_;
  std::shared_ptr<arrow::Schema> schema_;
  std::shared_ptr<arrow::ipc::RecordBatchFileReader> file_;
  std::shared_ptr<arrow::ipc::RecordBatchStreamReader> stream_;
  int next_ = 0;
};

std::shared_ptr<arrow::Schema> Plain(const arrow::Schema& schema) {
  arrow::FieldVector fields;
  for (const auto& field : schema.fields()) fields.push_back(field->WithNullable(true));
  return arrow::schema(std::move(fields));
}

class IpcReader : public Reader {
 public:
  IpcReader(std::shared_ptr<arrow::Schema> schema, std::vector<std::string> paths,
            std::shared_ptr<ReadCount> count)
      : schema_(std::move(schema)), paths_(std::move(paths)), count_(std::move(count)) {}
  ~IpcReader() override { count_->Say(read_, false); }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    while (true) {
      if (!file_) {
        if (next_ == paths_.size()) {
          count_->Say(read_, true);
          return nullptr;
        }
        TRANCHE_ASSIGN(file_, IpcFile::Open(paths_[next_++]));
      }
      TRANCHE_ASSIGN(auto batch, file_->Next());
      if (batch == nullptr) {
        file_.reset();
        continue;
      }
      if (batch->num_rows() == 0) continue;
      arrow::ArrayVector arrays;
      for (const auto& field : schema_->fields()) {
        auto array = batch->GetColumnByName(field->name());
        if (array == nullptr || !array->type()->Equals(field->type())) {
          return Fail(Code::kData, "{} was changed while it was read", paths_[next_ - 1]);
        }
        arrays.push_back(std::move(array));
      }
      read_ += batch->num_rows();
      return arrow::RecordBatch::Make(schema_, batch->num_rows(), std::move(arrays));
    }
  }

 private:
  std::shared_ptr<arrow::Schema> schema_;
  std::vector<std::string> paths_;
  std::shared_ptr<ReadCount> count_;
  size_t next_ = 0;
  std::optional<IpcFile> file_;
  int64_t read_ = 0;
};

class Ipc : public FileSource {
 public:
  explicit Ipc(const Options& options) : options_(options) {}

  Result<std::vector<Split>> Plan(SourceContext& context) override {
    TRANCHE_ASSIGN(auto splits, FindFiles(options_, context, /*stdin_too=*/false));
    std::shared_ptr<arrow::Schema> first;
    for (const Split& split : splits) {
      TRANCHE_ASSIGN(IpcFile file, IpcFile::Open(split.name));
      if (first == nullptr) first = Plain(*file.schema());
      if (Status same = CheckSame(*first, *file.schema(), splits.front().name, split.name); !same) {
        return std::move(same).error().At(options_.PlaceOf("path"));
      }
    }
    TRANCHE_ASSIGN(auto registered, Register(splits, first, *context.engine, std::make_shared<ReadCount>()));
    TRANCHE_ASSIGN(auto columns, context.engine->Bind({SqlText("SELECT * FROM " + registered.text())}));
    nlohmann::json list = nlohmann::json::array();
    for (const Column& column : columns) list.push_back({column.name, column.type});
    for (Split& split : splits) split.detail = list.dump();
    return splits;
  }

  Status Open(std::vector<Split> splits, SourceContext&) override {
    splits_ = std::move(splits);
    columns_.clear();
    try {
      for (const auto& column : nlohmann::json::parse(splits_.at(0).detail))
        columns_.push_back({column.at(0), column.at(1)});
    } catch (const std::exception& error) {
      return Fail(Code::kOutside, "what this run knows of its files cannot be read: {}", error.what());
    }
    return {};
  }

  Result<SqlText> Scan(SourceContext& context) override {
    count_ = std::make_shared<ReadCount>();
    TRANCHE_ASSIGN(IpcFile file, IpcFile::Open(splits_.front().name));
    TRANCHE_ASSIGN(rows_, Register(splits_, Plain(*file.schema()), *context.engine, count_));
    std::string names;
    for (const Column& column : columns_) names += (names.empty() ? "" : ", ") + QuoteName(column.name);
    return SqlText(fmt::format("(SELECT {} FROM {})", names, rows_.text()));
  }

  Result<ScanTotal> Total(SourceContext&) override { return count_->total(); }

  std::string Describe() const override { return DescribeFiles(splits_); }

 private:
  static Status CheckSame(const arrow::Schema& first, const arrow::Schema& other,
                          const std::string& first_name, const std::string& name) {
    for (const auto& field : other.fields()) {
      if (first.GetAllFieldIndices(field->name()).size() != 1) {
        return Fail(Code::kJob, "column '{}' of {} is missing or twice in {}", field->name(), name,
                    first_name);
      }
    }
    for (const auto& field : first.fields()) {
      const auto same = other.GetFieldByName(field->name());
      if (same == nullptr) return Fail(Code::kJob, "column '{}' is missing in {}", field->name(), name);
      if (!same->type()->Equals(field->type())) {
        return Fail(Code::kJob, "column '{}' is {} in {} and {} in {}", field->name(),
                    field->type()->ToString(), first_name, same->type()->ToString(), name);
      }
    }
    return {};
  }

  static Result<Registration> Register(const std::vector<Split>& splits,
                                       const std::shared_ptr<arrow::Schema>& schema, Engine& engine,
                                       std::shared_ptr<ReadCount> count) {
    return Registration::Make(engine, schema,
                              [paths = Paths(splits), schema, count]() -> Result<std::unique_ptr<Reader>> {
                                return std::make_unique<IpcReader>(schema, paths, count);
                              });
  }

  Options options_;
  Registration rows_;
  std::shared_ptr<ReadCount> count_;
};

}  // namespace

SourceSpec ArrowSource() {
  SourceSpec spec;
  spec.name = "arrow";
  spec.summary = "Reads Arrow IPC files and streams (Feather).";
  spec.doc =
      "Several files are one input: columns are matched by name and must be of the same types in all of "
      "them.";
  spec.shape = Shape::Object({PathField(/*stdin_too=*/false)});
  spec.example = "arrow:\n  path: features/*.arrow\n";
  spec.make = [](const Options& options) -> Result<std::unique_ptr<Source>> {
    return std::make_unique<Ipc>(options);
  };
  return spec;
}

}  // namespace tranche

#include "tranche/sources/place_rows.h"

#include <arrow/api.h>

#include "tranche/batch/arrow_error.h"
#include "tranche/sources/text_cursor.h"

namespace tranche {
namespace {

constexpr size_t kMostText = 64 << 10;

std::string WithoutBadBytes(std::string_view text) {
  std::string clean;
  while (!text.empty()) {
    size_t length = 1;
    while (length <= 4 && length <= text.size() && !IsUtf8(text.substr(0, length))) ++length;
    const bool good = length <= 4 && length <= text.size();
    clean += good ? text.substr(0, length) : std::string_view("\xEF\xBF\xBD");
    text.remove_prefix(good ? length : 1);
  }
  return clean;
}

std::string_view Cut(std::string_view text) {
  if (text.size() <= kMostText) return text;
  size_t end = kMostText;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end);
}

class FilesReader : public Reader {
 public:
  FilesReader(size_t columns, std::vector<std::string> paths, std::function<Result<AddRow>(size_t)> open,
              std::shared_ptr<ReadCount> count, bool text)
      : rows_(columns, text),
        schema_(PlaceRows::SchemaOf(columns)),
        paths_(std::move(paths)),
        open_(std::move(open)),
        count_(std::move(count)) {}
  ~FilesReader() override { count_->Say(read_, ended_); }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    while (!rows_.full()) {
      if (!add_) {
        if (next_ == paths_.size()) {
          ended_ = true;
          break;
        }
        TRANCHE_ASSIGN(add_, open_(next_++));
      }
      TRANCHE_ASSIGN(bool more, add_(rows_));
      if (!more) add_ = nullptr;
    }
    if (ended_) count_->Say(read_ + rows_.rows(), true);
    if (rows_.rows() == 0) return nullptr;
    read_ += rows_.rows();
    return rows_.Take();
  }

 private:
  PlaceRows rows_;
  std::shared_ptr<arrow::Schema> schema_;
  std::vector<std::string> paths_;
  std::function<Result<AddRow>(size_t)> open_;
  std::shared_ptr<ReadCount> count_;
  size_t next_ = 0;
  AddRow add_;
  int64_t read_ = 0;
  bool ended_ = false;
};

}  // namespace

struct PlaceColumns::Builders {
  arrow::StringBuilder file;
  arrow::Int64Builder line;
  arrow::Int64Builder byte;
  arrow::StringBuilder text;
  arrow::StringBuilder problem;
  arrow::StringBuilder problem_column;
};

void PlaceColumns::AddFields(arrow::FieldVector& fields) {
  fields.push_back(arrow::field("file", arrow::utf8()));
  fields.push_back(arrow::field("line", arrow::int64()));
  fields.push_back(arrow::field("byte", arrow::int64()));
  fields.push_back(arrow::field("text", arrow::utf8()));
  fields.push_back(arrow::field("problem", arrow::utf8()));
  fields.push_back(arrow::field("problem_column", arrow::utf8()));
}

PlaceColumns::PlaceColumns() : builders_(std::make_unique<Builders>()) {}
PlaceColumns::~PlaceColumns() = default;
PlaceColumns::PlaceColumns(PlaceColumns&&) noexcept = default;

arrow::Status PlaceColumns::Add(std::string_view file, int64_t line, int64_t byte, std::string_view text,
                                std::string_view problem, std::string_view problem_column) {
  auto append = [](arrow::StringBuilder& builder, std::string_view value) {
    return value.empty() ? builder.AppendNull() : builder.Append(value);
  };
  arrow::Status status = builders_->file.Append(file);
  status &= builders_->line.Append(line);
  status &= byte < 0 ? builders_->byte.AppendNull() : builders_->byte.Append(byte);
  status &= builders_->text.Append(Cut(text));
  status &= append(builders_->problem, problem);
  status &= append(builders_->problem_column, problem_column);
  return status;
}

arrow::Status PlaceColumns::Finish(arrow::ArrayVector& arrays) {
  arrow::Status status;
  for (arrow::ArrayBuilder* builder : std::initializer_list<arrow::ArrayBuilder*>{
           &builders_->file, &builders_->line, &builders_->byte, &builders_->text, &builders_->problem,
           &builders_->problem_column}) {
    arrays.emplace_back();
    status &= builder->Finish(&arrays.back());
  }
  return status;
}

std::shared_ptr<arrow::Schema> PlaceRows::SchemaOf(size_t columns) {
  arrow::FieldVector fields;
  for (size_t i = 0; i < columns; ++i) fields.push_back(arrow::field(fmt::format("c{}", i), arrow::utf8()));
  PlaceColumns::AddFields(fields);
  return arrow::schema(std::move(fields));
}

struct PlaceRows::Values {
  std::vector<arrow::StringBuilder> of;  // each column
};

PlaceRows::PlaceRows(size_t columns, bool text) : values_(std::make_unique<Values>()), text_(text) {
  values_->of = std::vector<arrow::StringBuilder>(columns);
}
PlaceRows::~PlaceRows() = default;
PlaceRows::PlaceRows(PlaceRows&&) noexcept = default;

Status PlaceRows::Add(std::span<const std::optional<std::string_view>> values, std::string_view file,
                      int64_t line, int64_t byte, std::string_view text, std::string_view problem) {
  const bool utf8 = IsUtf8(text);
  if (!utf8 && problem.empty()) problem = kNotUtf8;
  const std::string clean = utf8 ? std::string() : WithoutBadBytes(Cut(text));
  arrow::Status status;
  for (size_t i = 0; i < values_->of.size(); ++i) {
    const bool null = !problem.empty() || i >= values.size() || !values[i];
    status &= null ? values_->of[i].AppendNull() : values_->of[i].Append(*values[i]);
  }
  status &= places_.Add(file, line, byte, !utf8 ? clean : text_ || !problem.empty() ? text : "", problem, "");
  if (!status.ok()) return ArrowError("hold", "a row", status);
  ++rows_;
  bytes_ += 2 * std::ssize(text);
  return {};
}

Result<std::shared_ptr<arrow::RecordBatch>> PlaceRows::Take() {
  arrow::ArrayVector arrays(values_->of.size());
  arrow::Status status;
  for (size_t i = 0; i < values_->of.size(); ++i) status &= values_->of[i].Finish(&arrays[i]);
  status &= places_.Finish(arrays);
  if (!status.ok()) return ArrowError("hold", "rows", status);
  const int64_t rows = rows_;
  rows_ = 0;
  bytes_ = 0;
  return arrow::RecordBatch::Make(SchemaOf(values_->of.size()), rows, std::move(arrays));
}

std::unique_ptr<Reader> ReadFiles(size_t columns, std::vector<std::string> paths,
                                  std::function<Result<AddRow>(size_t file)> open,
                                  std::shared_ptr<ReadCount> count, bool text) {
  return std::make_unique<FilesReader>(columns, std::move(paths), std::move(open), std::move(count), text);
}

}  // namespace tranche

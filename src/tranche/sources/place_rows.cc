#include "tranche/sources/place_rows.h"

#include <utility>

#include <arrow/api.h>

#include "tranche/batch/arrow_error.h"
#include "tranche/sources/text_column.h"
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
  TextColumn file;
  std::vector<int64_t> line;
  arrow::Int64Builder byte;
  TextColumn text;
  TextColumn problem;
  TextColumn problem_column;
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
  auto add = [](TextColumn& column, std::string_view value) {
    value.empty() ? column.AddNull() : column.Add(value);
  };
  builders_->file.Add(file);
  builders_->line.push_back(line);
  builders_->text.Add(Cut(text));
  add(builders_->problem, problem);
  add(builders_->problem_column, problem_column);
  return byte < 0 ? builders_->byte.AppendNull() : builders_->byte.Append(byte);
}

arrow::Status PlaceColumns::Finish(arrow::ArrayVector& arrays) {
  Builders& all = *builders_;
  const auto rows = std::ssize(all.line);
  std::shared_ptr<arrow::Array> file, byte, text, problem, problem_column;
  arrow::Status status = all.file.Take(&file);
  auto line =
      std::make_shared<arrow::Int64Array>(rows, arrow::Buffer::FromVector(std::exchange(all.line, {})));
  status &= all.byte.Finish(&byte);
  status &= all.text.Take(&text);
  status &= all.problem.Take(&problem);
  status &= all.problem_column.Take(&problem_column);
  arrays.insert(arrays.end(), {file, line, byte, text, problem, problem_column});
  return status;
}

std::shared_ptr<arrow::Schema> PlaceRows::SchemaOf(size_t columns) {
  arrow::FieldVector fields;
  for (size_t i = 0; i < columns; ++i) fields.push_back(arrow::field(fmt::format("c{}", i), arrow::utf8()));
  PlaceColumns::AddFields(fields);
  return arrow::schema(std::move(fields));
}

struct PlaceRows::Values {
  std::vector<TextColumn> of;  // each column
};

PlaceRows::PlaceRows(size_t columns, bool text) : values_(std::make_unique<Values>()), text_(text) {
  values_->of = std::vector<TextColumn>(columns);
}
PlaceRows::~PlaceRows() = default;
PlaceRows::PlaceRows(PlaceRows&&) noexcept = default;

Status PlaceRows::Add(std::span<const std::optional<std::string_view>> values, std::string_view file,
                      int64_t line, int64_t byte, std::string_view text, std::string_view problem,
                      bool castable) {
  const bool utf8 = IsUtf8(text);
  if (!utf8 && problem.empty()) problem = kNotUtf8;
  const std::string clean = utf8 ? std::string() : WithoutBadBytes(Cut(text));
  for (size_t i = 0; i < values_->of.size(); ++i) {
    const bool null = !problem.empty() || i >= values.size() || !values[i];
    null ? values_->of[i].AddNull() : values_->of[i].Add(*values[i]);
  }
  const bool shown = !problem.empty() || (text_ && !castable);
  TRANCHE_ARROW_TRY("hold", "a row",
                    places_.Add(file, line, byte,
                                !utf8   ? clean
                                : shown ? text
                                        : "",
                                problem, ""));
  ++rows_;
  bytes_ += 2 * std::ssize(text);
  return {};
}

Result<std::shared_ptr<arrow::RecordBatch>> PlaceRows::Take() {
  arrow::ArrayVector arrays(values_->of.size());
  arrow::Status status;
  for (size_t i = 0; i < values_->of.size(); ++i) status &= values_->of[i].Take(&arrays[i]);
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

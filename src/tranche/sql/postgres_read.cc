#include "tranche/sql/postgres_read.h"

#include <array>
#include <bit>
#include <cstring>
#include <limits>
#include <set>

#include <arrow/api.h>
#include <arrow/util/utf8.h>

#include "tranche/batch/arrow_error.h"
#include "tranche/connector/step.h"
#include "tranche/sql/postgres_copy.h"

namespace tranche::sql {
namespace {

using namespace std::string_view_literals;
using arrow::Type;

using Wide = unsigned __int128;

// Takes numbers, big-endian, from bytes that came from outside.
class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : bytes_(bytes) {}

  template <typename Number>
  bool Take(Number* number) {
    if (bytes_.size() < sizeof *number) return false;
    std::memcpy(number, bytes_.data(), sizeof *number);
    *number = std::byteswap(*number);
    bytes_.remove_prefix(sizeof *number);
    return true;
  }
  bool Take(int64_t size, std::string_view* part) {
    if (size < 0 || static_cast<uint64_t>(size) > bytes_.size()) return false;
    *part = bytes_.substr(0, static_cast<size_t>(size));
    bytes_.remove_prefix(static_cast<size_t>(size));
    return true;
  }
  bool Skip(std::string_view start) {
    if (!bytes_.starts_with(start)) return false;
    bytes_.remove_prefix(start.size());
    return true;
  }
  bool empty() const { return bytes_.empty(); }

 private:
  std::string_view bytes_;
};

constexpr std::array<Wide, kMostDigits + 1> kPowersOfTen = [] {
  std::array<Wide, kMostDigits + 1> powers{1};
  for (size_t i = 1; i < powers.size(); ++i) powers[i] = powers[i - 1] * 10;
  return powers;
}();

enum class Taken { kValue, kMisfit, kBroken };  // broken: not what the protocol allows

// A numeric as a whole number of 10^-scale.
Taken TakeNumeric(std::string_view value, int scale, arrow::Decimal128* decimal) {
  Bytes bytes(value);
  int16_t groups = 0, weight = 0, shown = 0;
  uint16_t sign = 0;
  if (!bytes.Take(&groups) || !bytes.Take(&weight) || !bytes.Take(&sign) || !bytes.Take(&shown)) {
    return Taken::kBroken;
  }
  if ((sign & 0xC000) == 0xC000) return Taken::kMisfit;  // NaN, Infinity
  Wide magnitude = 0;
  constexpr Wide kMost = kPowersOfTen.back();
  for (int i = 0; i < groups; ++i) {
    int16_t group = 0;
    if (!bytes.Take(&group) || group < 0 || group > 9999) return Taken::kBroken;
    // The power of ten of this group, in units of the scale; a digit below the scale is none.
    const int exponent = (weight - i) * 4 + scale;
    if (exponent <= -4) {
      if (group != 0) return Taken::kMisfit;
      continue;
    }
    if (exponent > kMostDigits) {
      if (group != 0) return Taken::kMisfit;
      continue;
    }
    Wide part = static_cast<Wide>(group);
    if (exponent < 0) {
      const Wide divisor = kPowersOfTen[static_cast<size_t>(-exponent)];
      if (part % divisor != 0) return Taken::kMisfit;
      part /= divisor;
    } else {
      const Wide power = kPowersOfTen[static_cast<size_t>(exponent)];
      if (exponent > kMostDigits - 4 && part > kMost / power) return Taken::kMisfit;
      part *= power;
    }
    magnitude += part;
    if (magnitude >= kMost) return Taken::kMisfit;
  }
  *decimal = arrow::Decimal128(static_cast<int64_t>(magnitude >> 64), static_cast<uint64_t>(magnitude));
  if (sign != 0) decimal->Negate();
  return Taken::kValue;
}

// Both infinities are what the engine takes for them.
Taken TakeTimestamp(int64_t value, int64_t* micros) {
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  if (value == kMost || value == std::numeric_limits<int64_t>::min()) {
    *micros = value == kMost ? kMost : -kMost;
    return Taken::kValue;
  }
  return __builtin_add_overflow(value, kEpochMicros, micros) || *micros == kMost ? Taken::kMisfit
                                                                                 : Taken::kValue;
}

Taken TakeDate(int32_t value, int32_t* days) {
  constexpr int32_t kMost = std::numeric_limits<int32_t>::max();
  if (value == kMost || value == std::numeric_limits<int32_t>::min()) {
    *days = value == kMost ? kMost : -kMost;
    return Taken::kValue;
  }
  return __builtin_add_overflow(value, kEpochDays, days) ? Taken::kMisfit : Taken::kValue;
}

class CopyAnswer : public ServerAnswer {
 public:
  CopyAnswer(PostgresConnection& connection, arrow::FieldVector fields, bool checks_text)
      : connection_(connection), schema_(arrow::schema(std::move(fields))), checks_text_(checks_text) {
    for (const auto& field : schema_->fields()) types_.push_back(field->type()->id());
  }

  Status Open() {
    TRANCHE_ARROW_ASSIGN(builder_, "hold", "rows",
                         arrow::RecordBatchBuilder::Make(schema_, arrow::default_memory_pool(), kBatchRows));
    return {};
  }

  Result<std::shared_ptr<arrow::RecordBatch>> Next(std::vector<Misread>& misread) override {
    if (ended_) return nullptr;
    builders_.clear();
    for (int i = 0; i < schema_->num_fields(); ++i) builders_.push_back(builder_->GetField(i));
    rows_ = 0;
    int64_t bytes = 0;
    while (rows_ < kBatchRows && bytes < kBatchBytes) {
      std::string_view message;
      TRANCHE_ASSIGN(const bool more, connection_.Get(&message));
      if (!more) {
        ended_ = true;
        break;
      }
      bytes += std::ssize(message);
      TRANCHE_TRY(Add(message, misread));
    }
    if (rows_ == 0) return nullptr;
    TRANCHE_ARROW_ASSIGN(auto batch, "hold", "rows", builder_->Flush());
    return batch;
  }

 private:
  Status Add(std::string_view message, std::vector<Misread>& misread) {
    Bytes bytes(message);
    if (first_) {
      int32_t flags = 0, extension = 0;
      std::string_view skipped;
      if (!bytes.Skip("PGCOPY\n\xff\r\n\0"sv) || !bytes.Take(&flags) || !bytes.Take(&extension) ||
          !bytes.Take(extension, &skipped)) {
        return Broken();
      }
      first_ = false;
    }
    while (!bytes.empty()) {
      int16_t columns = 0;
      if (!bytes.Take(&columns)) return Broken();
      if (columns == -1) return {};
      if (columns != std::ssize(builders_)) return Broken();
      for (size_t i = 0; i < builders_.size(); ++i) {
        int32_t size = 0;
        std::string_view value;
        if (!bytes.Take(&size)) return Broken();
        if (size == -1) {
          TRANCHE_ARROW_TRY("hold", "a row", builders_[i]->AppendNull());
          continue;
        }
        if (!bytes.Take(size, &value)) return Broken();
        const Taken taken = Append(i, value);
        if (taken == Taken::kBroken) return Broken();
        if (taken == Taken::kValue) continue;
        misread.push_back({rows_, i});
        TRANCHE_ARROW_TRY("hold", "a row", builders_[i]->AppendNull());
      }
      ++rows_;
    }
    return {};
  }

  template <typename Builder, typename Number>
  Taken AppendNumber(size_t column, std::string_view value) {
    Number number{};
    if (value.size() != sizeof number || !Bytes(value).Take(&number)) return Taken::kBroken;
    return Done(As<Builder>(column).Append(std::bit_cast<typename Builder::value_type>(number)));
  }

  template <typename Builder>
  Builder& As(size_t column) {
    return static_cast<Builder&>(*builders_[column]);
  }

  static Taken Done(const arrow::Status& status) { return status.ok() ? Taken::kValue : Taken::kBroken; }

  Taken Append(size_t column, std::string_view value) {
    Bytes bytes(value);
    switch (types_[column]) {
      case Type::BOOL:
        if (value.size() != 1) return Taken::kBroken;
        return Done(As<arrow::BooleanBuilder>(column).Append(value[0] != 0));
      case Type::INT16:
        return AppendNumber<arrow::Int16Builder, int16_t>(column, value);
      case Type::INT32:
        return AppendNumber<arrow::Int32Builder, int32_t>(column, value);
      case Type::INT64:
        return AppendNumber<arrow::Int64Builder, int64_t>(column, value);
      case Type::FLOAT:
        return AppendNumber<arrow::FloatBuilder, uint32_t>(column, value);
      case Type::DOUBLE:
        return AppendNumber<arrow::DoubleBuilder, uint64_t>(column, value);
      case Type::TIME64:
        return AppendNumber<arrow::Time64Builder, int64_t>(column, value);
      case Type::BINARY:
        return Done(As<arrow::BinaryBuilder>(column).Append(value));
      case Type::DECIMAL128:
        return AppendDecimal(column, value);
      case Type::DATE32: {
        int32_t number = 0;
        if (value.size() != sizeof number || !bytes.Take(&number)) return Taken::kBroken;
        const Taken taken = TakeDate(number, &number);
        return taken != Taken::kValue ? taken : Done(As<arrow::Date32Builder>(column).Append(number));
      }
      case Type::TIMESTAMP: {
        int64_t number = 0;
        if (value.size() != sizeof number || !bytes.Take(&number)) return Taken::kBroken;
        const Taken taken = TakeTimestamp(number, &number);
        return taken != Taken::kValue ? taken : Done(As<arrow::TimestampBuilder>(column).Append(number));
      }
      case Type::INTERVAL_MONTH_DAY_NANO:
        return AppendInterval(column, bytes);
      default:
        if (checks_text_ && !arrow::util::ValidateUTF8(value)) return Taken::kMisfit;
        return Done(As<arrow::StringBuilder>(column).Append(value));
    }
  }

  Taken AppendDecimal(size_t column, std::string_view value) {
    const auto& type =
        static_cast<const arrow::Decimal128Type&>(*schema_->field(static_cast<int>(column))->type());
    arrow::Decimal128 decimal;
    const Taken taken = TakeNumeric(value, type.scale(), &decimal);
    if (taken != Taken::kValue) return taken;
    if (!decimal.FitsInPrecision(type.precision())) return Taken::kMisfit;
    return Done(As<arrow::Decimal128Builder>(column).Append(decimal));
  }

  Taken AppendInterval(size_t column, Bytes bytes) {
    arrow::MonthDayNanoIntervalType::MonthDayNanos value{};
    int64_t micros = 0;
    if (!bytes.Take(&micros) || !bytes.Take(&value.days) || !bytes.Take(&value.months)) return Taken::kBroken;
    if (__builtin_mul_overflow(micros, int64_t{1000}, &value.nanoseconds)) return Taken::kMisfit;
    return Done(As<arrow::MonthDayNanoIntervalBuilder>(column).Append(value));
  }

  static Error Broken() {
    return Fail(Code::kOutside, "the server sent rows that are not in the binary format of COPY");
  }

  PostgresConnection& connection_;
  std::shared_ptr<arrow::Schema> schema_;
  std::vector<Type::type> types_;
  const bool checks_text_;
  std::unique_ptr<arrow::RecordBatchBuilder> builder_;
  std::vector<arrow::ArrayBuilder*> builders_;  // of the batch at hand
  int64_t rows_ = 0;
  bool first_ = true;
  bool ended_ = false;
};

// PostgreSQL's types that come as they are.
struct Native {
  std::string_view base;
  std::string_view type;
};
constexpr Native kNatives[] = {
    {"bool", "BOOLEAN"}, {"int2", "SMALLINT"},     {"int4", "INTEGER"},
    {"int8", "BIGINT"},  {"float4", "FLOAT"},      {"float8", "DOUBLE"},
    {"date", "DATE"},    {"time", "TIME"},         {"timestamp", "TIMESTAMP"},
    {"bytea", "BLOB"},   {"interval", "INTERVAL"}, {"timestamptz", "TIMESTAMP WITH TIME ZONE"},
    {"text", "VARCHAR"}, {"varchar", "VARCHAR"},   {"bpchar", "VARCHAR"},
};

std::string NativeType(std::string_view base) {
  for (const Native& native : kNatives) {
    if (native.base == base) return std::string(native.type);
  }
  return "";
}

// "DECIMAL(12,2)" of a numeric's modifier; empty where it has none, or more digits than the engine has.
std::string DecimalType(int modifier) {
  if (modifier < 4) return "";
  const int precision = (modifier - 4) >> 16 & 0xffff;
  const int scale = static_cast<int>((static_cast<unsigned>(modifier - 4) & 0x7ff) ^ 1024U) - 1024;
  const int digits = scale < 0 ? precision - scale : std::max(precision, scale);
  return digits > kMostDigits ? "" : fmt::format("DECIMAL({},{})", digits, std::max(scale, 0));
}

}  // namespace

void SetPostgresColumn(AnswerColumn& column, const std::string& base, char kind, int modifier) {
  const std::string name = QuoteName(column.name);
  column.value = name;
  column.text = fmt::format("CAST({} AS text)", name);
  column.type = NativeType(base);
  if (base == "numeric") column.type = DecimalType(modifier);
  column.native = !column.type.empty();
  if (column.native) return;
  column.value = column.text;
  column.type = "VARCHAR";
  if (base == "uuid") column.type = "UUID";
  if (base == "json" || base == "jsonb") column.type = "JSON";
  // Of one dimension; one of more is no list of these.
  static const std::set<std::string, std::less<>> kInLists = {"bool",   "int2", "int4",    "int8", "float4",
                                                              "float8", "text", "varchar", "uuid"};
  if (kind == 'A' && kInLists.contains(base.substr(1))) {
    column.type = (base == "_uuid" ? "UUID" : NativeType(base.substr(1))) + "[]";
    column.value = fmt::format("CAST(array_to_json({}) AS text)", name);
  }
}

Result<std::unique_ptr<ServerAnswer>> ReadCopy(PostgresConnection& connection,
                                               const std::vector<AnswerColumn>& columns, bool with_row,
                                               bool checks_text) {
  arrow::FieldVector fields;
  for (const AnswerColumn& column : columns) fields.push_back(arrow::field("", ArrowTypeOf(column)));
  if (with_row) fields.push_back(arrow::field("", arrow::utf8()));
  if (checks_text) arrow::util::InitializeUTF8();
  auto answer = std::make_unique<CopyAnswer>(connection, std::move(fields), checks_text);
  TRANCHE_TRY(answer->Open());
  return answer;
}

}  // namespace tranche::sql

#include "tranche/sql/postgres_read.h"

#include <bit>
#include <cstring>
#include <limits>

#include <arrow/api.h>

#include "tranche/batch/arrow_error.h"
#include "tranche/connector/sql_text.h"

namespace tranche::sql {
namespace {

constexpr int64_t kRows = 16'384;       // of a record batch
constexpr int64_t kBytes = 8 << 20;     // of what was received for one
constexpr int32_t kEpochDays = 10'957;  // of 2000-01-01
constexpr int64_t kEpochMicros = 946'684'800'000'000;
constexpr size_t kHeader = 19;  // signature, flags, length of an extension that there is not

template <typename Number>
Number Get(const char* bytes) {
  using Unsigned = std::make_unsigned_t<Number>;
  Unsigned value = 0;
  for (size_t i = 0; i < sizeof value; ++i) {
    value = static_cast<Unsigned>(value << 8 | static_cast<uint8_t>(bytes[i]));
  }
  return static_cast<Number>(value);
}

// ndigits weight sign dscale digits: the number times 10^scale. Nothing: it is none (NaN, infinity) or has no
// room in 38 digits.
std::optional<arrow::Decimal128> GetDecimal(std::string_view bytes, int scale) {
  if (bytes.size() < 8) return std::nullopt;
  const int digits = Get<int16_t>(bytes.data());
  const int weight = Get<int16_t>(bytes.data() + 2);
  const auto sign = Get<uint16_t>(bytes.data() + 4);
  if ((sign & 0xC000) == 0xC000 || bytes.size() < 8 + 2 * static_cast<size_t>(digits)) return std::nullopt;
  arrow::Decimal128 value(0);
  int exponent = weight * 4 + scale;  // of the group at hand, times 10^scale
  for (int i = 0; i < digits; ++i, exponent -= 4) {
    int group = Get<int16_t>(bytes.data() + 8 + 2 * i);
    if (exponent < 0) {
      for (int drop = exponent; drop < 0; ++drop) group /= 10;
      value += arrow::Decimal128(group);
    } else {
      if (exponent > 37) return std::nullopt;
      value += arrow::Decimal128(group) * arrow::Decimal128(arrow::Decimal128::GetScaleMultiplier(exponent));
    }
  }
  return sign == 0x4000 ? -value : value;
}

int64_t GetTimestamp(const char* bytes) {
  const auto micros = Get<int64_t>(bytes);
  const bool infinite =
      micros == std::numeric_limits<int64_t>::max() || micros == std::numeric_limits<int64_t>::min();
  return infinite ? (micros > 0 ? micros : -std::numeric_limits<int64_t>::max()) : micros + kEpochMicros;
}

int32_t GetDate(const char* bytes) {
  const auto days = Get<int32_t>(bytes);
  const bool infinite =
      days == std::numeric_limits<int32_t>::max() || days == std::numeric_limits<int32_t>::min();
  return infinite ? (days > 0 ? days : -std::numeric_limits<int32_t>::max()) : days + kEpochDays;
}

// Appends a value that is not NULL. false: it has no place in the column's type.
using Append = bool (*)(arrow::ArrayBuilder& builder, std::string_view bytes);

template <typename Builder, typename Number>
bool AppendNumber(arrow::ArrayBuilder& builder, std::string_view bytes) {
  if (bytes.size() != sizeof(Number)) return false;
  return static_cast<Builder&>(builder).Append(Get<Number>(bytes.data())).ok();
}
template <typename Builder, typename Number, typename Bits>
bool AppendFloat(arrow::ArrayBuilder& builder, std::string_view bytes) {
  if (bytes.size() != sizeof(Bits)) return false;
  return static_cast<Builder&>(builder).Append(std::bit_cast<Number>(Get<Bits>(bytes.data()))).ok();
}
bool AppendBool(arrow::ArrayBuilder& builder, std::string_view bytes) {
  return bytes.size() == 1 && static_cast<arrow::BooleanBuilder&>(builder).Append(bytes[0] != 0).ok();
}
bool AppendText(arrow::ArrayBuilder& builder, std::string_view bytes) {
  return static_cast<arrow::BinaryBuilder&>(builder).Append(bytes).ok();
}
bool AppendDate(arrow::ArrayBuilder& builder, std::string_view bytes) {
  return bytes.size() == 4 && static_cast<arrow::Date32Builder&>(builder).Append(GetDate(bytes.data())).ok();
}
bool AppendTimestamp(arrow::ArrayBuilder& builder, std::string_view bytes) {
  return bytes.size() == 8 &&
         static_cast<arrow::TimestampBuilder&>(builder).Append(GetTimestamp(bytes.data())).ok();
}
bool AppendDecimal(arrow::ArrayBuilder& builder, std::string_view bytes) {
  const auto& type = static_cast<const arrow::Decimal128Type&>(*builder.type());
  const auto value = GetDecimal(bytes, type.scale());
  return value && static_cast<arrow::Decimal128Builder&>(builder).Append(*value).ok();
}
bool AppendInterval(arrow::ArrayBuilder& builder, std::string_view bytes) {
  if (bytes.size() != 16) return false;
  return static_cast<arrow::MonthDayNanoIntervalBuilder&>(builder)
      .Append({Get<int32_t>(bytes.data() + 12), Get<int32_t>(bytes.data() + 8),
               Get<int64_t>(bytes.data()) * 1000})
      .ok();
}

struct Received {
  std::shared_ptr<arrow::DataType> type;
  Append append;
  bool as_text = false;  // the server writes it
};

// By the oid of a type (pg_type.dat) and its modifier.
Received ReceivedAs(Oid oid, int modifier) {
  switch (oid) {
    case 16:
      return {arrow::boolean(), AppendBool};
    case 21:
      return {arrow::int16(), AppendNumber<arrow::Int16Builder, int16_t>};
    case 23:
      return {arrow::int32(), AppendNumber<arrow::Int32Builder, int32_t>};
    case 20:
      return {arrow::int64(), AppendNumber<arrow::Int64Builder, int64_t>};
    case 700:
      return {arrow::float32(), AppendFloat<arrow::FloatBuilder, float, int32_t>};
    case 701:
      return {arrow::float64(), AppendFloat<arrow::DoubleBuilder, double, int64_t>};
    case 17:
      return {arrow::binary(), AppendText};
    case 25:
    case 1043:
    case 1042:
    case 114:
      return {arrow::utf8(), AppendText};
    case 1082:
      return {arrow::date32(), AppendDate};
    case 1083:
      return {arrow::time64(arrow::TimeUnit::MICRO), AppendNumber<arrow::Time64Builder, int64_t>};
    case 1114:
      return {arrow::timestamp(arrow::TimeUnit::MICRO), AppendTimestamp};
    case 1184:
      return {arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"), AppendTimestamp};
    case 1186:
      return {arrow::month_day_nano_interval(), AppendInterval};
    case 1700: {
      const int precision = ((modifier - 4) >> 16) & 0xffff;
      const int scale = (modifier - 4) & 0x7ff;
      if (modifier >= 4 && precision <= 38 && scale <= precision) {
        return {arrow::decimal128(precision, scale), AppendDecimal};
      }
      break;
    }
    default:
      break;
  }
  return {arrow::utf8(), AppendText, /*as_text=*/true};
}

class PostgresReader : public Reader {
 public:
  explicit PostgresReader(PostgresConnection& connection) : connection_(connection) {}
  ~PostgresReader() override {
    if (under_way_) connection_.Cancel();
  }

  Status Begin(std::string_view sql) {
    const std::string query(sql);
    TRANCHE_ASSIGN(PostgresResult described,
                   connection_.Run(fmt::format("SELECT * FROM ({}\n) AS q LIMIT 0", query)));
    arrow::FieldVector fields;
    std::string columns;
    for (int i = 0; i < PQnfields(described.get()); ++i) {
      const std::string name = PQfname(described.get(), i);
      const Received received = ReceivedAs(PQftype(described.get(), i), PQfmod(described.get(), i));
      fields.push_back(arrow::field(name, received.type));
      appends_.push_back(received.append);
      columns += (i > 0 ? ", " : "") + QuoteName(name) + (received.as_text ? "::text" : "");
    }
    if (fields.empty()) return Fail(Code::kJob, "the query gives no columns");
    schema_ = arrow::schema(std::move(fields));
    TRANCHE_TRY(connection_.Run(
        fmt::format("COPY (SELECT {} FROM ({}\n) AS q) TO STDOUT (FORMAT binary)", columns, query)));
    under_way_ = true;
    return {};
  }

  std::shared_ptr<arrow::Schema> schema() const override { return schema_; }

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    if (!under_way_) return nullptr;
    TRANCHE_ARROW_ASSIGN(auto builder, "read", "rows of the server",
                         arrow::RecordBatchBuilder::Make(schema_, arrow::default_memory_pool(), kRows));
    int64_t rows = 0;
    int64_t bytes = 0;
    while (rows < kRows && bytes < kBytes) {
      TRANCHE_ASSIGN(auto row, connection_.Get());
      if (!row) {
        under_way_ = false;
        break;
      }
      std::string_view data = *row;
      if (std::exchange(at_start_, false)) data.remove_prefix(std::min(kHeader, data.size()));
      if (data.size() < 2) continue;
      if (Get<int16_t>(data.data()) < 0) continue;  // the trailer
      TRANCHE_TRY(Add(*builder, data.substr(2)));
      ++rows;
      bytes += std::ssize(data);
    }
    if (rows == 0) return nullptr;
    TRANCHE_ARROW_ASSIGN(auto batch, "read", "rows of the server", builder->Flush());
    return batch;
  }

 private:
  Status Add(arrow::RecordBatchBuilder& builder, std::string_view data) {
    for (size_t i = 0; i < appends_.size(); ++i) {
      arrow::ArrayBuilder& column = *builder.GetField(static_cast<int>(i));
      const int32_t size = data.size() >= 4 ? Get<int32_t>(data.data()) : -2;
      data.remove_prefix(std::min<size_t>(4, data.size()));
      if (size == -1) {
        TRANCHE_ARROW_TRY("read", "rows of the server", column.AppendNull());
        continue;
      }
      if (size < 0 || static_cast<size_t>(size) > data.size()) {
        return Fail(Code::kOutside, "the server sent a row that ends in its middle");
      }
      if (!appends_[i](column, data.substr(0, static_cast<size_t>(size)))) {
        return Fail(Code::kData, "a value of column '{}' has no place in a {}",
                    schema_->field(static_cast<int>(i))->name(), column.type()->ToString())
            .Hint("NaN and infinity are no decimals: read that column as text (query: SELECT …::text)");
      }
      data.remove_prefix(static_cast<size_t>(size));
    }
    return {};
  }

  PostgresConnection& connection_;
  std::shared_ptr<arrow::Schema> schema_;
  std::vector<Append> appends_;
  bool under_way_ = false;
  bool at_start_ = true;
};

}  // namespace

Result<std::unique_ptr<Reader>> ReadPostgres(PostgresConnection& connection, std::string_view sql) {
  auto reader = std::make_unique<PostgresReader>(connection);
  TRANCHE_TRY(reader->Begin(sql));
  return reader;
}

}  // namespace tranche::sql

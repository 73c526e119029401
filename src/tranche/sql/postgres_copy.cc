#include "tranche/sql/postgres_copy.h"

#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <limits>
#include <span>

#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/decimal.h>

namespace tranche::sql {

using namespace std::string_view_literals;
using arrow::Type;

enum class Wire {
  kBool,
  kInt2,
  kInt4,
  kInt8,
  kFloat4,
  kFloat8,
  kNumeric,
  kText,
  kJsonb,
  kBytea,
  kUuid,
  kDate,
  kTime,
  kTimestamp,
  kInterval,
};

namespace {

struct Named {
  std::string_view name;
  Wire wire;
  uint32_t oid;  // of the type, for arrays of it; pg_type.dat
};
constexpr Named kWires[] = {
    {"bool", Wire::kBool, 16},
    {"int2", Wire::kInt2, 21},
    {"int4", Wire::kInt4, 23},
    {"int8", Wire::kInt8, 20},
    {"float4", Wire::kFloat4, 700},
    {"float8", Wire::kFloat8, 701},
    {"numeric", Wire::kNumeric, 1700},
    {"text", Wire::kText, 25},
    {"varchar", Wire::kText, 1043},
    {"bpchar", Wire::kText, 1042},
    {"json", Wire::kText, 114},
    {"jsonb", Wire::kJsonb, 3802},
    {"bytea", Wire::kBytea, 17},
    {"uuid", Wire::kUuid, 2950},
    {"date", Wire::kDate, 1082},
    {"time", Wire::kTime, 1083},
    {"timestamp", Wire::kTimestamp, 1114},
    {"timestamptz", Wire::kTimestamp, 1184},
    {"interval", Wire::kInterval, 1186},
};

const Named* FindWire(std::string_view name) {
  for (const Named& named : kWires) {
    if (named.name == name) return &named;
  }
  return nullptr;
}

template <typename Number>
void Put(std::string& bytes, Number number) {
  const Number swapped = std::byteswap(number);
  bytes.append(reinterpret_cast<const char*>(&swapped), sizeof swapped);
}

template <typename Number>
void PutSized(std::string& bytes, Number number) {
  Put<int32_t>(bytes, sizeof number);
  Put(bytes, number);
}

constexpr int16_t kNegative = 0x4000;
constexpr uint16_t kNan = 0xC000;
constexpr uint16_t kInfinity = 0xD000;
constexpr uint16_t kMinusInfinity = 0xF000;

// ndigits weight sign dscale digit…: digits of base 10,000; `groups` most significant first, the first one
// stands for 10,000^weight.
void PutNumeric(std::string& bytes, std::span<const int16_t> groups, int weight, bool negative, int scale) {
  while (!groups.empty() && groups.front() == 0) {
    groups = groups.subspan(1);
    --weight;
  }
  while (!groups.empty() && groups.back() == 0) groups = groups.first(groups.size() - 1);
  Put<int32_t>(bytes, static_cast<int32_t>(8 + 2 * groups.size()));
  Put(bytes, static_cast<int16_t>(groups.size()));
  Put(bytes, static_cast<int16_t>(groups.empty() ? 0 : weight));
  Put(bytes, static_cast<int16_t>(negative && !groups.empty() ? kNegative : 0));
  Put(bytes, static_cast<int16_t>(scale));
  for (int16_t group : groups) Put(bytes, group);
}

void PutSpecial(std::string& bytes, uint16_t sign) {
  Put<int32_t>(bytes, 8);
  for (uint16_t part : {uint16_t{0}, uint16_t{0}, sign, uint16_t{0}}) Put(bytes, part);
}

// magnitude · 10^-scale
void PutNumeric(std::string& bytes, unsigned __int128 magnitude, bool negative, int scale) {
  std::array<int16_t, 14> groups;  // 39 digits, and up to three of a last group that is not full
  auto first = groups.end();
  static constexpr int kPowers[] = {1, 10, 100, 1000};
  if (const int rest = scale % 4; rest != 0) {
    *--first = static_cast<int16_t>(static_cast<int>(magnitude % kPowers[rest]) * kPowers[4 - rest]);
    magnitude /= kPowers[rest];
  }
  while (magnitude >> 64 != 0) {
    *--first = static_cast<int16_t>(magnitude % 10'000);
    magnitude /= 10'000;
  }
  for (auto low = static_cast<uint64_t>(magnitude); low != 0; low /= 10'000) {
    *--first = static_cast<int16_t>(low % 10'000);
  }
  const int behind = (scale + 3) / 4;  // groups behind the point
  PutNumeric(bytes, {first, groups.end()}, static_cast<int>(groups.end() - first) - behind - 1, negative,
             scale);
}

// [-]digits[.digits][e[-]digits], nan, inf: what the engine writes for a DOUBLE.
void PutNumeric(std::string& bytes, std::string_view text) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  if (text.starts_with('n') || text.starts_with('N')) return PutSpecial(bytes, kNan);
  if (text.starts_with('i') || text.starts_with('I')) {
    return PutSpecial(bytes, negative ? kMinusInfinity : kInfinity);
  }
  int exponent = 0;
  if (const size_t at = text.find_first_of("eE"); at != std::string_view::npos) {
    std::string_view digits = text.substr(at + 1);
    if (digits.starts_with('+')) digits.remove_prefix(1);
    std::from_chars(digits.data(), digits.data() + digits.size(), exponent);
    text = text.substr(0, at);
  }
  std::string digits;
  int scale = -exponent;
  bool point = false;
  for (char c : text) {
    if (c == '.') {
      point = true;
    } else {
      digits += c;
      scale += point;
    }
  }
  if (scale < 0) digits.append(static_cast<size_t>(-scale), '0');
  scale = std::max(scale, 0);
  const size_t behind = static_cast<size_t>(scale + 3) / 4 * 4;
  digits.append(behind - static_cast<size_t>(scale), '0');
  if (digits.size() < behind) digits.insert(0, behind - digits.size(), '0');
  digits.insert(0, (4 - digits.size() % 4) % 4, '0');
  std::vector<int16_t> groups;
  for (size_t i = 0; i < digits.size(); i += 4) {
    int group = 0;
    for (size_t j = i; j < i + 4; ++j) group = group * 10 + (digits[j] - '0');
    groups.push_back(static_cast<int16_t>(group));
  }
  PutNumeric(bytes, groups, static_cast<int>(groups.size() - behind / 4) - 1, negative, scale);
}

// Hex digits, dashes between them or not.
void PutUuid(std::string& bytes, std::string_view text) {
  Put<int32_t>(bytes, 16);
  int half = -1;
  for (char c : text) {
    if (c == '-') continue;
    const int digit = c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10;
    if (half < 0) {
      half = digit;
    } else {
      bytes += static_cast<char>(half << 4 | digit);
      half = -1;
    }
  }
}

void PutText(std::string& bytes, std::string_view text) {
  Put<int32_t>(bytes, static_cast<int32_t>(text.size()));
  bytes += text;
}

std::string_view TextAt(const arrow::Array& array, int64_t row) {
  switch (array.type_id()) {
    case Type::LARGE_STRING:
    case Type::LARGE_BINARY:
      return static_cast<const arrow::LargeBinaryArray&>(array).GetView(row);
    default:
      return static_cast<const arrow::BinaryArray&>(array).GetView(row);
  }
}

int64_t IntegerAt(const arrow::Array& array, int64_t row) {
  switch (array.type_id()) {
    case Type::BOOL:
      return static_cast<const arrow::BooleanArray&>(array).Value(row);
    case Type::INT8:
      return static_cast<const arrow::Int8Array&>(array).Value(row);
    case Type::UINT8:
      return static_cast<const arrow::UInt8Array&>(array).Value(row);
    case Type::INT16:
      return static_cast<const arrow::Int16Array&>(array).Value(row);
    case Type::UINT16:
      return static_cast<const arrow::UInt16Array&>(array).Value(row);
    case Type::INT32:
    case Type::DATE32:
      return array.data()->GetValues<int32_t>(1)[row];
    case Type::UINT32:
      return static_cast<const arrow::UInt32Array&>(array).Value(row);
    default:
      return array.data()->GetValues<int64_t>(1)[row];
  }
}

void PutNumericAt(std::string& bytes, const arrow::Array& array, int64_t row) {
  switch (array.type_id()) {
    case Type::STRING:
    case Type::LARGE_STRING:
      return PutNumeric(bytes, TextAt(array, row));
    case Type::UINT64:
      return PutNumeric(bytes, static_cast<const arrow::UInt64Array&>(array).Value(row), false, 0);
    case Type::DECIMAL128: {
      const arrow::Decimal128 value(static_cast<const arrow::Decimal128Array&>(array).GetValue(row));
      const auto magnitude = arrow::Decimal128::Abs(value);
      return PutNumeric(bytes,
                        static_cast<unsigned __int128>(magnitude.high_bits()) << 64 | magnitude.low_bits(),
                        value.Sign() < 0, static_cast<const arrow::Decimal128Type&>(*array.type()).scale());
    }
    default: {
      const __int128 value = IntegerAt(array, row);
      return PutNumeric(bytes, static_cast<unsigned __int128>(value < 0 ? -value : value), value < 0, 0);
    }
  }
}

// Infinity stays what it is; both count microseconds from their epoch.
int64_t TimestampAt(const arrow::Array& array, int64_t row) {
  int64_t value = array.data()->GetValues<int64_t>(1)[row];
  switch (static_cast<const arrow::TimestampType&>(*array.type()).unit()) {
    case arrow::TimeUnit::SECOND:
      value *= 1'000'000;
      break;
    case arrow::TimeUnit::MILLI:
      value *= 1'000;
      break;
    case arrow::TimeUnit::MICRO:
      break;
    case arrow::TimeUnit::NANO:
      value /= 1'000;
      break;
  }
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  if (value == kMost) return kMost;
  if (value < std::numeric_limits<int64_t>::min() + kEpochMicros) return std::numeric_limits<int64_t>::min();
  return value - kEpochMicros;
}

int32_t DateAt(const arrow::Array& array, int64_t row) {
  const auto days = static_cast<int32_t>(IntegerAt(array, row));
  if (days == std::numeric_limits<int32_t>::max()) return days;
  if (days < std::numeric_limits<int32_t>::min() + kEpochDays) return std::numeric_limits<int32_t>::min();
  return days - kEpochDays;
}

void PutInterval(std::string& bytes, const arrow::Array& array, int64_t row) {
  const auto value = static_cast<const arrow::MonthDayNanoIntervalArray&>(array).Value(row);
  Put<int32_t>(bytes, 16);
  Put<int64_t>(bytes, value.nanoseconds / 1000);
  Put<int32_t>(bytes, value.days);
  Put<int32_t>(bytes, value.months);
}

void PutValue(std::string& bytes, Wire wire, const arrow::Array& array, int64_t row) {
  switch (wire) {
    case Wire::kBool:
      Put<int32_t>(bytes, 1);
      bytes += static_cast<char>(IntegerAt(array, row));
      return;
    case Wire::kInt2:
      return PutSized(bytes, static_cast<int16_t>(IntegerAt(array, row)));
    case Wire::kInt4:
      return PutSized(bytes, static_cast<int32_t>(IntegerAt(array, row)));
    case Wire::kInt8:
      return PutSized(bytes, IntegerAt(array, row));
    case Wire::kFloat4:
      return PutSized(bytes, std::bit_cast<int32_t>(static_cast<const arrow::FloatArray&>(array).Value(row)));
    case Wire::kFloat8:
      return PutSized(
          bytes, std::bit_cast<int64_t>(array.type_id() == Type::FLOAT
                                            ? double{static_cast<const arrow::FloatArray&>(array).Value(row)}
                                            : static_cast<const arrow::DoubleArray&>(array).Value(row)));
    case Wire::kNumeric:
      return PutNumericAt(bytes, array, row);
    case Wire::kText:
    case Wire::kBytea:
      return PutText(bytes, TextAt(array, row));
    case Wire::kJsonb: {
      const std::string_view text = TextAt(array, row);
      Put<int32_t>(bytes, static_cast<int32_t>(text.size() + 1));
      bytes += '\1';  // the version
      bytes += text;
      return;
    }
    case Wire::kUuid:
      return PutUuid(bytes, TextAt(array, row));
    case Wire::kDate:
      return PutSized(bytes, DateAt(array, row));
    case Wire::kTime:
      return PutSized(bytes, array.data()->GetValues<int64_t>(1)[row]);
    case Wire::kTimestamp:
      return PutSized(bytes, TimestampAt(array, row));
    case Wire::kInterval:
      return PutInterval(bytes, array, row);
  }
}

bool Fits(Wire wire, Type::type type) {
  const bool integer = arrow::is_integer(type) && type != Type::UINT64;
  const bool text = arrow::is_base_binary_like(type);
  switch (wire) {
    case Wire::kBool:
      return type == Type::BOOL;
    case Wire::kInt2:
    case Wire::kInt4:
    case Wire::kInt8:
      return integer || type == Type::BOOL;
    case Wire::kFloat4:
      return type == Type::FLOAT;
    case Wire::kFloat8:
      return type == Type::FLOAT || type == Type::DOUBLE;
    case Wire::kNumeric:
      return integer || text || type == Type::UINT64 || type == Type::DECIMAL128;
    case Wire::kText:
    case Wire::kJsonb:
    case Wire::kBytea:
    case Wire::kUuid:
      return text;
    case Wire::kDate:
      return type == Type::DATE32;
    case Wire::kTime:
      return type == Type::TIME64;
    case Wire::kTimestamp:
      return type == Type::TIMESTAMP;
    case Wire::kInterval:
      return type == Type::INTERVAL_MONTH_DAY_NANO;
  }
  return false;
}

}  // namespace

struct CopyRows::Column {
  const arrow::Array* values;
  Wire wire;
  uint32_t oid;
  const arrow::ListArray* lists = nullptr;  // of an array; `values` are their elements

  void Append(int64_t row, std::string& bytes) const {
    if ((lists != nullptr ? static_cast<const arrow::Array*>(lists) : values)->IsNull(row)) {
      return Put<int32_t>(bytes, -1);
    }
    if (lists == nullptr) return PutValue(bytes, wire, *values, row);
    AppendArray(lists->value_offset(row), lists->value_length(row), bytes);
  }

  // dimensions:int32 has_nulls:int32 element:oid { length:int32 lower_bound:int32 } elements as in a row
  void AppendArray(int64_t from, int64_t count, std::string& bytes) const {
    const size_t length_at = bytes.size();
    Put<int32_t>(bytes, 0);
    Put<int32_t>(bytes, count > 0 ? 1 : 0);
    Put<int32_t>(bytes, values->null_count() > 0);
    Put<uint32_t>(bytes, oid);
    if (count > 0) {
      Put<int32_t>(bytes, static_cast<int32_t>(count));
      Put<int32_t>(bytes, 1);
    }
    for (int64_t i = from; i < from + count; ++i) {
      if (values->IsNull(i)) {
        Put<int32_t>(bytes, -1);
      } else {
        PutValue(bytes, wire, *values, i);
      }
    }
    std::string length;
    Put<int32_t>(length, static_cast<int32_t>(bytes.size() - length_at - 4));
    bytes.replace(length_at, 4, length);
  }
};

CopyRows::CopyRows() = default;
CopyRows::CopyRows(CopyRows&&) noexcept = default;
CopyRows::~CopyRows() = default;

std::string_view CopyRows::Header() { return "PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0"sv; }
std::string_view CopyRows::Trailer() { return "\xff\xff"sv; }

bool CanCopy(std::string_view wire) {
  if (wire.ends_with("[]")) wire.remove_suffix(2);
  return FindWire(wire) != nullptr;
}

Result<CopyRows> CopyRows::Make(const arrow::RecordBatch& rows, const std::vector<std::string>& wires) {
  CopyRows copy;
  for (int i = 0; i < rows.num_columns(); ++i) {
    std::string_view wire = wires.at(static_cast<size_t>(i));
    const arrow::Array* values = rows.column(i).get();
    const arrow::ListArray* lists = nullptr;
    if (wire.ends_with("[]")) {
      wire.remove_suffix(2);
      if (values->type_id() == Type::LIST) {
        lists = static_cast<const arrow::ListArray*>(values);
        values = lists->values().get();
      }
    }
    const Named* named = FindWire(wire);
    if (named == nullptr || !Fits(named->wire, values->type_id())) {
      return Fail(Code::kInternal, "cannot write a {} as PostgreSQL's {}", rows.column(i)->type()->ToString(),
                  wires[static_cast<size_t>(i)]);
    }
    copy.columns_.push_back({values, named->wire, named->oid, lists});
  }
  return copy;
}

void CopyRows::Append(int64_t row, std::string& bytes) const {
  Put(bytes, static_cast<int16_t>(columns_.size()));
  for (const Column& column : columns_) column.Append(row, bytes);
}

}  // namespace tranche::sql

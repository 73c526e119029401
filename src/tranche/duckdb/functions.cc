#include "tranche/duckdb/functions.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>

#include <fmt/format.h>

#include "tranche/connector/sql_text.h"
#include "tranche/duckdb/session.h"

namespace tranche {
namespace {

constexpr double kExactlyWhole = 9007199254740992.0;  // 2^53: below it every whole number is a DOUBLE

constexpr std::array<std::string_view, 8> kWholeTypes = {"TINYINT",  "SMALLINT",  "INTEGER",  "BIGINT",
                                                         "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"};

// A name that no user's SQL has by chance.
std::string NameOf(const char* kind, std::string_view type) {
  return fmt::format("tranche {} {}", kind, type);
}

}  // namespace

bool IsWholeType(std::string_view type) { return std::ranges::find(kWholeTypes, type) != kWholeTypes.end(); }

std::string StrictNumber(std::string_view source, std::string_view type, std::string_view complaint) {
  return fmt::format("{}({}, {})", QuoteName(NameOf("strict", type)), source, QuoteText(complaint));
}

std::string NumberOrNull(std::string_view source, std::string_view type) {
  return fmt::format("{}({})", QuoteName(NameOf("try", type)), source);
}

std::string IsExact(std::string_view source, std::string_view scale) {
  return fmt::format("{}({}, {})", QuoteName(NameOf("exact", "DECIMAL")), source, scale);
}

namespace duckdb {
namespace {

using ScalarFunction = Handle<duckdb_scalar_function, duckdb_destroy_scalar_function>;
using FunctionSet = Handle<duckdb_scalar_function_set, duckdb_destroy_scalar_function_set>;

template <typename T>
bool Convert(double number, T& value) {
  if constexpr (std::is_floating_point_v<T>) {
    value = static_cast<T>(number);
    return !std::isinf(value);
  } else {
    constexpr double kLeast = std::max(static_cast<double>(std::numeric_limits<T>::lowest()), -kExactlyWhole);
    constexpr double kMost = std::min(static_cast<double>(std::numeric_limits<T>::max()), kExactlyWhole);
    // Not NaN, and of those in range the cast is defined.
    if (!(number >= kLeast && number <= kMost && std::abs(number) < kExactlyWhole)) return false;
    value = static_cast<T>(number);
    return static_cast<double>(value) == number;
  }
}

// Of up to 15 digits and a minus: what most are.
template <typename T>
bool ConvertDigits(std::string_view text, T& value) {
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  if (text.empty() || text.size() > 15) return false;
  int64_t number = 0;
  for (char c : text) {
    const auto digit = static_cast<unsigned char>(c - '0');
    if (digit > 9) return false;
    number = number * 10 + digit;
  }
  if (negative) number = -number;
  if (!std::in_range<T>(number)) return false;
  value = static_cast<T>(number);
  return true;
}

template <typename T>
bool Convert(std::string_view text, T& value) {
  if constexpr (std::is_integral_v<T>) {
    if (ConvertDigits(text, value)) return true;
  }
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  std::string joined;
  if (text.find('_') != std::string_view::npos) {
    auto digit = [&](size_t i) { return i < text.size() && text[i] >= '0' && text[i] <= '9'; };
    for (size_t i = 0; i < text.size(); ++i) {
      if (text[i] != '_' || i == 0 || !digit(i - 1) || !digit(i + 1)) joined += text[i];
    }
    text = joined;
  }
  const char* end = text.data() + text.size();
  const auto [stopped, problem] = std::from_chars(text.data(), end, value);
  if (stopped == end) return problem == std::errc();
  double number = 0;
  const auto [read, wrong] = std::from_chars(text.data(), end, number);
  return wrong == std::errc() && read == end && Convert(number, value);
}

std::string_view Text(const duckdb_string_t& text) {
  const uint32_t length = text.value.inlined.length;
  return {length <= sizeof text.value.inlined.inlined ? text.value.inlined.inlined : text.value.pointer.ptr,
          length};
}

// The first argument as T; with `Strict` the second is what to complain.
template <typename From, typename T, bool kStrict>
void Apply(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output) {
  const idx_t rows = duckdb_data_chunk_get_size(input);
  duckdb_vector source = duckdb_data_chunk_get_vector(input, 0);
  auto* from = static_cast<std::conditional_t<std::is_same_v<From, double>, double, duckdb_string_t>*>(
      duckdb_vector_get_data(source));
  auto* to = static_cast<T*>(duckdb_vector_get_data(output));
  const uint64_t* given = duckdb_vector_get_validity(source);
  uint64_t* valid = nullptr;
  auto make_nulls = [&] {
    duckdb_vector_ensure_validity_writable(output);
    valid = duckdb_vector_get_validity(output);
  };
  if (given != nullptr) {
    make_nulls();
    std::memcpy(valid, given, (rows + 63) / 64 * sizeof(uint64_t));
  }
  for (idx_t i = 0; i < rows; ++i) {
    if (given != nullptr && (given[i / 64] >> (i % 64) & 1) == 0) continue;
    bool good = false;
    if constexpr (std::is_same_v<From, double>) {
      good = Convert(from[i], to[i]);
    } else {
      good = Convert(Text(from[i]), to[i]);
    }
    if (good) continue;
    if constexpr (kStrict) {
      duckdb_vector complaints = duckdb_data_chunk_get_vector(input, 1);
      auto& complaint = static_cast<duckdb_string_t*>(duckdb_vector_get_data(complaints))[i];
      duckdb_scalar_function_set_error(info, std::string(Text(complaint)).c_str());
      return;
    }
    if (valid == nullptr) make_nulls();
    duckdb_validity_set_row_invalid(valid, i);
  }
}

bool HasScale(std::string_view text, int scale) {
  const std::string_view digits = text.substr(0, text.find_first_of("eE"));
  const size_t last = digits.find_last_of("123456789");
  if (last == std::string_view::npos) return true;
  int exponent = 0;
  if (digits.size() < text.size()) {
    std::string_view power = text.substr(digits.size() + 1);
    if (power.starts_with('+')) power.remove_prefix(1);
    std::from_chars(power.data(), power.data() + power.size(), exponent);
  }
  const size_t point = std::min(digits.find('.'), digits.size());
  auto count = [&](size_t from, size_t to) {
    return std::ranges::count_if(digits.substr(from, to - from), [](char c) { return c >= '0' && c <= '9'; });
  };
  const auto places = last > point ? count(point, last + 1) : -count(last + 1, point);
  return places - exponent <= scale;
}

void ApplyIsExact(duckdb_function_info, duckdb_data_chunk input, duckdb_vector output) {
  const idx_t rows = duckdb_data_chunk_get_size(input);
  auto* texts = static_cast<duckdb_string_t*>(duckdb_vector_get_data(duckdb_data_chunk_get_vector(input, 0)));
  const auto* scales = static_cast<int32_t*>(duckdb_vector_get_data(duckdb_data_chunk_get_vector(input, 1)));
  const uint64_t* given = duckdb_vector_get_validity(duckdb_data_chunk_get_vector(input, 0));
  auto* exact = static_cast<bool*>(duckdb_vector_get_data(output));
  for (idx_t i = 0; i < rows; ++i) {
    exact[i] =
        (given != nullptr && (given[i / 64] >> (i % 64) & 1) == 0) || HasScale(Text(texts[i]), scales[i]);
  }
}

// The overloads of one name.
class Overloads {
 public:
  Overloads(std::string name, duckdb_type result)
      : name_(std::move(name)),
        result_(duckdb_create_logical_type(result)),
        functions_(duckdb_create_scalar_function_set(name_.c_str())) {}

  void Add(std::initializer_list<duckdb_type> parameters, duckdb_scalar_function_t apply) {
    ScalarFunction function(duckdb_create_scalar_function());
    duckdb_scalar_function_set_name(function.get(), name_.c_str());
    for (duckdb_type parameter : parameters) {
      LogicalType type(duckdb_create_logical_type(parameter));
      duckdb_scalar_function_add_parameter(function.get(), type.get());
    }
    duckdb_scalar_function_set_return_type(function.get(), result_.get());
    duckdb_scalar_function_set_function(function.get(), apply);
    duckdb_add_scalar_function_to_set(functions_.get(), function.get());
  }

  Status Register(duckdb_connection connection) {
    if (duckdb_register_scalar_function_set(connection, functions_.get()) == DuckDBSuccess) return {};
    return Fail(Code::kInternal, "DuckDB does not take the function {}", name_);
  }

 private:
  std::string name_;
  LogicalType result_;
  FunctionSet functions_;
};

template <typename T>
Status CreateFor(std::string_view type, duckdb_type result, duckdb_connection connection) {
  Overloads strict(NameOf("strict", type), result);
  strict.Add({DUCKDB_TYPE_DOUBLE, DUCKDB_TYPE_VARCHAR}, Apply<double, T, true>);
  if constexpr (std::is_integral_v<T>) {
    strict.Add({DUCKDB_TYPE_VARCHAR, DUCKDB_TYPE_VARCHAR}, Apply<std::string_view, T, true>);
    Overloads lenient(NameOf("try", type), result);
    lenient.Add({DUCKDB_TYPE_VARCHAR}, Apply<std::string_view, T, false>);
    TRANCHE_TRY(lenient.Register(connection));
  }
  return strict.Register(connection);
}

}  // namespace

Status CreateFunctions(const Instance& instance) {
  TRANCHE_ASSIGN(const Connection connected, instance.Connect());
  duckdb_connection connection = connected.get();
  Overloads exact(NameOf("exact", "DECIMAL"), DUCKDB_TYPE_BOOLEAN);
  exact.Add({DUCKDB_TYPE_VARCHAR, DUCKDB_TYPE_INTEGER}, ApplyIsExact);
  TRANCHE_TRY(exact.Register(connection));
  TRANCHE_TRY(CreateFor<int8_t>("TINYINT", DUCKDB_TYPE_TINYINT, connection));
  TRANCHE_TRY(CreateFor<int16_t>("SMALLINT", DUCKDB_TYPE_SMALLINT, connection));
  TRANCHE_TRY(CreateFor<int32_t>("INTEGER", DUCKDB_TYPE_INTEGER, connection));
  TRANCHE_TRY(CreateFor<int64_t>("BIGINT", DUCKDB_TYPE_BIGINT, connection));
  TRANCHE_TRY(CreateFor<uint8_t>("UTINYINT", DUCKDB_TYPE_UTINYINT, connection));
  TRANCHE_TRY(CreateFor<uint16_t>("USMALLINT", DUCKDB_TYPE_USMALLINT, connection));
  TRANCHE_TRY(CreateFor<uint32_t>("UINTEGER", DUCKDB_TYPE_UINTEGER, connection));
  TRANCHE_TRY(CreateFor<uint64_t>("UBIGINT", DUCKDB_TYPE_UBIGINT, connection));
  TRANCHE_TRY(CreateFor<float>("FLOAT", DUCKDB_TYPE_FLOAT, connection));
  return CreateFor<double>("DOUBLE", DUCKDB_TYPE_DOUBLE, connection);
}

}  // namespace duckdb
}  // namespace tranche

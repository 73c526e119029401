#include "tranche/sinks/misfit.h"

#include "tranche/connector/sql_text.h"

namespace tranche {
namespace {

bool IsNumber(std::string_view type) { return IsExact(type) || type == "DOUBLE" || type == "FLOAT"; }

}  // namespace

bool IsExact(std::string_view type) {
  return type.ends_with("INT") || type == "INTEGER" || type.starts_with("DECIMAL(");
}

std::string Misfit(const Column& column, std::string_view type) {
  const std::string name = QuoteName(column.name);
  const std::string tried = fmt::format("TRY_CAST({} AS {})", name, type);
  std::string fits = fmt::format("{} IS NULL", tried);
  // A number that would be rounded is another number.
  if (IsNumber(column.type) && IsExact(type)) {
    fits = fmt::format("TRY_CAST({} AS {}) IS DISTINCT FROM {}", tried, column.type, name);
  }
  return fmt::format("({} IS NOT NULL AND {})", name, fits);
}

std::string MisfitReason(const Column& column, std::string_view type) {
  return fmt::format("concat('value ', left(CAST({} AS VARCHAR), 100), ' does not fit ', {})",
                     QuoteName(column.name), QuoteText(type));
}

}  // namespace tranche

#include "tranche/sql/server.h"

#include <algorithm>

namespace tranche::sql {

const TableColumn* TableInfo::Find(std::string_view column) const {
  for (const TableColumn& own : columns) {
    if (own.name == column) return &own;
  }
  for (const TableColumn& own : columns) {
    if (FindColumn({{own.name, ""}}, column) != nullptr) return &own;
  }
  return nullptr;
}

}  // namespace tranche::sql

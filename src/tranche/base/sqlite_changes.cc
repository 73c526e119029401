#include "tranche/base/sqlite_changes.h"

#include <sqlite3.h>

namespace tranche::sqlite {

WrittenRowIds::WrittenRowIds(Database& database, std::string table)
    : database_(database), table_(std::move(table)) {
  sqlite3_update_hook(database_.handle(), Note, this);
}

WrittenRowIds::~WrittenRowIds() { sqlite3_update_hook(database_.handle(), nullptr, nullptr); }

void WrittenRowIds::Note(void* self, int operation, const char*, const char* table, long long id) {
  auto* rows = static_cast<WrittenRowIds*>(self);
  if (operation != SQLITE_DELETE && rows->table_ == table) rows->ids_.push_back(id);
}

}  // namespace tranche::sqlite

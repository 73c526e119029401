// WrittenRowIds: notes the row ids that statements write into one table of a SQLite database, in order, as
// SQLite's update hook tells them. Not for tables WITHOUT ROWID. One at a time for a database, which must
// outlive it.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tranche/base/sqlite.h"

namespace tranche::sqlite {

class WrittenRowIds {
 public:
  WrittenRowIds(Database& database, std::string table);
  ~WrittenRowIds();
  WrittenRowIds(const WrittenRowIds&) = delete;

  std::vector<int64_t>& ids() { return ids_; }  // the caller clears and cuts it

 private:
  static void Note(void* self, int operation, const char* database, const char* table, long long id);
  Database& database_;
  std::string table_;
  std::vector<int64_t> ids_;
};

}  // namespace tranche::sqlite

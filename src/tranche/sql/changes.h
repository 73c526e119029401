// Changes: a batch of inserts, updates, upserts and deletes, done by a few statements as if its rows were
// done one after the other.
//
// Each row finds its key in the table, or not: that follows from the last row before it in the batch that has
// the same key and is no update, and where there is none, from the table. So one query tells what becomes of
// every row:
//
//            finds its key        finds it not
//   insert   is refused           makes it
//   update   changes it           is unmatched
//   upsert   changes it           makes it
//   delete   takes it away        is unmatched
//
// Of the rows of a key that did something the last is stored, and the others are superseded. Only the net
// effect is written: what was there and is taken away at some time, the row that makes the key as it is in
// the end, and the last one that changes it. A row that another makes void is never tried against the table.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "tranche/base/result.h"
#include "tranche/connector/sink.h"
#include "tranche/sql/connection.h"
#include "tranche/sql/dialect.h"

namespace tranche::sql {

enum class Change { kInsert, kUpdate, kUpsert, kDelete };

// Why an insert that found its key is refused.
inline constexpr std::string_view kKeyIsThere = "the table has a row of this key already";

class ChangePlan {
 public:
  // `source`: a relation, as it stands in FROM. `columns`: what it gives for the table's columns, over "s".
  // `change` and `position`: SQL over "s" for the number of a Change, and of a row. No key is NULL. `unique`:
  // the table has a key once.
  ChangePlan(const Dialect& dialect, std::string_view table, std::string_view source,
             const std::vector<Assignment>& columns, std::string_view change, std::string_view position,
             bool unique);

  // The query that tells what becomes of the rows: the database says whether they fit the table.
  const std::string& query() const { return query_; }

  struct Done {
    Counts counts;                      // `refused` are the only rejects
    std::vector<int64_t> refused = {};  // positions of inserts that found their key; ascending
  };
  // In the caller's transaction. An error of Code::kData: the table refuses a row.
  Result<Done> Do(SqlConnection& connection) const;

 private:
  struct Step {
    std::string sql;
    std::string rows;  // those of the plan that it is for: a condition
  };
  Result<Done> Count(SqlConnection& connection) const;

  const Dialect& dialect_;
  std::string table_, query_;
  std::vector<Step> steps_;  // in this order
  bool unique_;
};

}  // namespace tranche::sql

// A digest of all rows of a SQLite database: the sum of their hashes, which triggers of this connection keep
// up to date in its table `meta`, within each transaction. SQLite's log has checksums, its pages have none:
// bits that turned over on disk, and changes by other programs, show as a sum that differs.
//
//   CREATE TABLE meta (…, digest INTEGER NOT NULL);  INSERT INTO meta VALUES (…, 0);
//   KeepDigest(database);    once the tables are there, before the first row of another than meta
//   CheckDigest(database);   reads all rows; Code::kOutside if one has changed
#pragma once

#include "tranche/base/sqlite.h"

namespace tranche::sqlite {

Status KeepDigest(Database& database);
Status CheckDigest(Database& database);

}  // namespace tranche::sqlite

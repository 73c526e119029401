// The least that a C program does for CSV → SQLite: reads id1,...,v3 (no quotes in it), one prepared INSERT a row,
// a transaction per 10,000 rows, WAL, synchronous FULL. The yardstick for Tranche's SQLite store.
//   prepared ROWS.csv OUT.db
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kColumns = 9, kTexts = 3, kBatch = 10000 };

static sqlite3* database;

static void Must(int code, int wanted) {
  if (code == wanted) return;
  fprintf(stderr, "prepared: %s\n", sqlite3_errmsg(database));
  exit(1);
}

static void Execute(const char* sql) { Must(sqlite3_exec(database, sql, NULL, NULL, NULL), SQLITE_OK); }

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  FILE* file = fopen(argv[1], "r");
  if (file == NULL) return 1;
  Must(sqlite3_open(argv[2], &database), SQLITE_OK);
  Execute("PRAGMA journal_mode = WAL");
  Execute("PRAGMA synchronous = FULL");
  Execute("CREATE TABLE rows (id1 TEXT, id2 TEXT, id3 TEXT, id4 BIGINT, id5 BIGINT, id6 BIGINT, v1 BIGINT, v2 BIGINT, v3 DOUBLE)");
  sqlite3_stmt* insert;
  Must(sqlite3_prepare_v2(database, "INSERT INTO rows VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", -1, &insert, NULL), SQLITE_OK);
  char* line = NULL;
  size_t capacity = 0;
  ssize_t length = getline(&line, &capacity, file);  // the header
  long rows = 0;
  Execute("BEGIN");
  while ((length = getline(&line, &capacity, file)) > 0) {
    if (line[length - 1] == '\n') line[--length] = '\0';
    char* cell = line;
    for (int column = 0; column < kColumns; ++column) {
      char* end = strchr(cell, ',');
      if (end == NULL) end = line + length;
      *end = '\0';
      if (column < kTexts) {
        sqlite3_bind_text(insert, column + 1, cell, (int)(end - cell), SQLITE_STATIC);
      } else if (column < kColumns - 1) {
        sqlite3_bind_int64(insert, column + 1, strtoll(cell, NULL, 10));
      } else {
        sqlite3_bind_double(insert, column + 1, strtod(cell, NULL));
      }
      cell = end + 1;
    }
    Must(sqlite3_step(insert), SQLITE_DONE);
    sqlite3_reset(insert);
    if (++rows % kBatch == 0) {
      Execute("COMMIT");
      Execute("BEGIN");
    }
  }
  Execute("COMMIT");
  sqlite3_finalize(insert);
  return sqlite3_close(database) == SQLITE_OK ? 0 : 1;
}

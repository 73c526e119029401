// The embedded engine: DuckDB in this process, one in-memory instance shared by a session and its forks.
//
//   TRANCHE_ASSIGN(auto engine, MakeDuckDb({.memory_limit = 1 << 30, .threads = 2, .spill_folder =
//   "/tmp/spill"})); Query query{"SELECT 6 * $by AS answer", &parameters}; TRANCHE_ASSIGN(auto reader,
//   engine->Run(query));
//
// Sessions may run in parallel threads, each in one thread at a time; Interrupt may be called from any, and
// stops only what runs at that moment. A registered reader is known to all sessions; it is used by one thread
// at a time, but not always by the same one. Readers that Run gave, and what they scan, must be gone before
// their session is.
//
// What comes out as Arrow: HUGEINT is decimal(38, 0), UUID and JSON are text, ENUM is a dictionary of text,
// TIMESTAMP WITH TIME ZONE is a timestamp of zone UTC, BIT is binary in DuckDB's own form, UNION is a sparse
// union. TIME WITH TIME ZONE loses its zone. Batches hold 32 Ki rows or more, or 16 MiB; but for the last.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "tranche/base/result.h"
#include "tranche/connector/engine.h"

namespace tranche {

struct DuckDbOptions {
  int64_t memory_limit = 1 << 30;  // bytes of DuckDB's own buffers; the process takes more
  int threads = 1;
  std::string spill_folder;  // absolute; made when the first byte is spilled
};

Result<std::unique_ptr<Engine>> MakeDuckDb(const DuckDbOptions& options);

// What an exception of DuckDB's says that nobody could catch: DuckDB 1.5.6 throws within a destructor where a
// commit fails and then its log cannot be cut back (a disk that stays full or dead).
Error DuckDbThrew(std::string_view what);

}  // namespace tranche

// DuckDB files, attached to the engine's one instance. A source and a store may mean the same file: it is
// attached once, and again as soon as somebody wants to write.
#pragma once

#include <functional>
#include <string>

#include "tranche/base/result.h"
#include "tranche/connector/engine.h"

namespace tranche {

// The name (to be quoted) under which all sessions of the instance know the file. `writable` makes the file
// where it does not exist. A file that another process holds, or that is no DuckDB file, is an error that
// names it. Not while a query reads the file: a change to writable takes it away and attaches it anew.
Result<std::string> AttachDuckDb(Engine& engine, const std::string& path, bool writable);

// Runs `look` on a session of its own that uses the file, for reading. Afterwards it is attached only if it
// was before.
Status LookIntoDuckDb(Engine& engine, const std::string& path, const std::function<Status(Engine&)>& look);

}  // namespace tranche

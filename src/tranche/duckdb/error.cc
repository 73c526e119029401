#include "tranche/duckdb/error.h"

#include <algorithm>
#include <array>
#include <charconv>

#include <nlohmann/json.hpp>

#include "tranche/base/units.h"

namespace tranche::duckdb {

namespace {

constexpr std::array kJobKinds = {"Parser",
                                  "Syntax",
                                  "Binder",
                                  "Catalog",
                                  "Not implemented",
                                  "Expression",
                                  "Settings",
                                  "Unknown Type",
                                  "Permission",
                                  "Planner",
                                  "Parameter Not Resolved",
                                  "Parameter Not Allowed",
                                  "Autoload",
                                  "Missing Extension",
                                  "Dependency",
                                  "Invalid type",
                                  "Invalid Configuration"};
constexpr std::array kDataKinds = {"Conversion", "Out of Range",  "Divide by Zero",
                                   "Decimal",    "Invalid Input", "Mismatch Type",
                                   "Constraint", "Object Size",   "Sequence"};
// FATAL: a file could not be written or synced; DuckDB then refuses to go on with the database.
constexpr std::array kOutsideKinds = {"IO",      "Out of Memory",      "INTERRUPT",  "HTTP",
                                      "Network", "TransactionContext", "Connection", "FATAL"};

Code CodeOf(std::string_view kind) {
  auto among = [&](const auto& kinds) { return std::ranges::find(kinds, kind) != kinds.end(); };
  if (among(kJobKinds)) return Code::kJob;
  if (among(kDataKinds)) return Code::kData;
  if (among(kOutsideKinds)) return Code::kOutside;
  return Code::kInternal;
}

std::string HintOf(std::string_view kind, std::string_view message) {
  if (message.find("Corrupt database file") != message.npos ||
      message.find("replaying WAL") != message.npos) {
    return "the file or its .wal is damaged, by a disk or a power cut: keep both, and put a copy in their "
           "place";
  }
  if (kind == "Conversion") return "use `cast:` to reject the rows whose values do not fit";
  if (kind == "Out of Range") return "cast to a wider type, or reject such rows by a `check:` before";
  if (kind == "Out of Memory") return "raise `memory:` or lower `threads:` under `run:`";
  return "";
}

void ReplaceAll(std::string& text, std::string_view what, std::string_view with) {
  for (size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + with.size())) {
    text.replace(at, what.size(), with);
  }
}

// What stands between `start` and the end of its line; nothing where `start` does not stand.
std::string_view LineAfter(std::string_view text, std::string_view start) {
  size_t at = text.find(start);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + start.size());
  return text.substr(0, text.find('\n'));
}

// DuckDB names types by their width, SQL does not.
constexpr std::array<std::pair<const char*, const char*>, 5> kTypeNames{{{" INT8", " TINYINT"},
                                                                         {" INT16", " SMALLINT"},
                                                                         {" INT32", " INTEGER"},
                                                                         {" INT64", " BIGINT"},
                                                                         {" INT128", " HUGEINT"}}};

std::string DidYouMean(const Fault& fault) {
  std::vector<std::string> candidates;
  for (std::string_view rest = fault.candidates; !rest.empty();) {
    size_t comma = std::min(rest.find(','), rest.size());
    candidates.emplace_back(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
  }
  std::string nearest = Nearest(fault.name, candidates);
  return nearest.empty() ? "" : fmt::format("; did you mean '{}'?", nearest);
}

// The first line; not its lists of candidates, its pictures, and advice on its own options.
std::string Shorten(const Fault& fault) {
  size_t end = fault.message.find('\n');
  if (fault.message.starts_with("Error when sniffing"))
    end = fault.message.find('\n', end + 1);  // what went wrong
  std::string text(fault.message, 0, end);
  ReplaceAll(text, "\n", " ");
  while (text.ends_with('!') || text.ends_with('.')) text.pop_back();
  if (text == "syntax error at end of input") return "syntax error: the SQL ends too early";
  ReplaceAll(text, "syntax error at or near ", "syntax error at ");
  for (const auto& [width, name] : kTypeNames) ReplaceAll(text, width, name);
  return text + DidYouMean(fault);
}

// "CSV Error on Line: 3\nOriginal Line: …\nError when …\n\n…\n  file = x.csv\n…": says its place in the
// input.
std::optional<Error> TranslateCsv(const Fault& fault) {
  auto line = LineAfter(fault.message, "CSV Error on Line: ");
  if (line.empty()) return std::nullopt;
  Error error{Code::kData, std::string(LineAfter(fault.message, "\nError when "))};
  if (error.message.empty()) {  // it has no name for the rest: too few columns, quotes, …
    size_t original = fault.message.find("\nOriginal Line: ");
    size_t next = original == std::string::npos ? original : fault.message.find('\n', original + 1);
    error.message =
        next == std::string::npos ? "the line cannot be read" : LineAfter(fault.message.substr(next), "\n");
  } else {
    error.message.insert(0, "error when ");
  }
  while (error.message.ends_with('.')) error.message.pop_back();
  error.place.file = LineAfter(fault.message, "\n  file = ");
  std::from_chars(line.data(), line.data() + line.size(), error.place.line);
  return error;
}

// "failed to offload data block of size 224.0 KiB (17.6 MiB/17.8 MiB used).\nThis limit was set by …": DuckDB
// asks how much room there is before it writes, so the system is never asked, and says nothing.
std::optional<Error> TranslateSpill(const Fault& fault) {
  if (!fault.message.starts_with("failed to offload data block")) return std::nullopt;
  const std::string used(LineAfter(fault.message, "("), 0, LineAfter(fault.message, "(").find(')'));
  return Fail(Code::kOutside,
              "cannot write spill/ in the state folder, for what does not fit in memory: No space left on "
              "device ({})",
              used)
      .Hint("make room there, or raise `memory:` under `run:`");
}

// The parser counts characters where all others count bytes.
size_t ByteOf(const Fault& fault, std::string_view text) {
  size_t byte = *fault.position;
  if (fault.kind != "Parser") return byte;
  size_t characters = 0;
  for (byte = 0; byte < text.size(); ++byte) {
    bool starts_one = (static_cast<unsigned char>(text[byte]) & 0xC0) != 0x80;
    if (starts_one && characters++ == *fault.position) break;
  }
  return byte;
}

}  // namespace

Command Wrap(std::string_view before, const Query& query, std::string_view after) {
  Command command{fmt::format("{}{}{}", before, query.sql.text(), after), query.sql, before.size()};
  if (query.parameters == nullptr) return command;
  for (const auto& [name, value] : *query.parameters) {
    if (value.secret && value.text && !value.text->empty()) command.secrets.push_back(*value.text);
  }
  return command;
}

Fault Fault::OfParser(std::string message, std::string_view position) {
  Fault fault{"Parser", std::move(message), {}, {}, {}};
  size_t number = 0;
  auto [_, problem] = std::from_chars(position.data(), position.data() + position.size(), number);
  if (problem == std::errc()) fault.position = number;
  return fault;
}

Fault Fault::Parse(std::string_view json) {
  auto start = json.find("{\"exception_type\"");
  if (start == std::string_view::npos) return {"", std::string(json), {}, {}, {}};
  auto parsed = nlohmann::json::parse(json.substr(start), nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_object()) return {"", std::string(json), {}, {}, {}};
  auto text = [&](const char* key) {
    auto found = parsed.find(key);
    return found != parsed.end() && found->is_string() ? found->get<std::string>() : "";
  };
  Fault fault = OfParser(text("exception_message"), text("position"));
  fault.kind = text("exception_type");
  fault.name = text("name");
  fault.candidates = text("candidates");
  return fault;
}

Error Translate(const Fault& fault, const Command& command) {
  Error error{CodeOf(fault.kind), Shorten(fault), {}, HintOf(fault.kind, fault.message)};
  if (error.code == Code::kInternal && fault.kind != "INTERNAL") {
    // Not DuckDB's own: what its readers of Parquet throw where sizes and types are nonsense.
    error.code = Code::kData;
    error.hint = "a file that is read is damaged: fetch it again";
  }
  if (auto csv = TranslateCsv(fault)) error = *std::move(csv);
  if (auto spill = TranslateSpill(fault)) error = *std::move(spill);
  if (fault.kind == "INTERRUPT") error.message = "interrupted";
  size_t byte = fault.position ? ByteOf(fault, command.text) : 0;
  if (fault.position && byte >= command.offset) {
    if (auto place = command.written.At(byte - command.offset)) error = std::move(error).At(*place);
  }
  for (const std::string& secret : command.secrets) ReplaceAll(error.message, secret, "(secret)");
  return error;
}

}  // namespace tranche::duckdb

#include "tranche/prove/remains.h"

#include <algorithm>
#include <filesystem>
#include <iterator>

#include "tranche/base/file.h"
#include "tranche/run/inputs.h"
#include "tranche/run/reject_list.h"
#include "tranche/run/runner.h"
#include "tranche/run/state_journal.h"
#include "tranche/state/state.h"

namespace tranche {
namespace {

namespace fs = std::filesystem;

// A read of a store: the source's options, and what stands for the folder that its files lie in.
struct Reading {
  Node value;
  std::string folder;
};

bool HasField(const Shape& shape, std::string_view name) {
  return std::ranges::find(shape.fields, name, &Field::name) != shape.fields.end();
}

// The options that the source of the same name has too.
Node SourceValue(const SourceSpec& source, const Store& store) {
  Node value;
  value.kind = Node::Kind::kMap;
  for (const auto& [key, option] : store.value.entries) {
    if (HasField(source.shape, key.name)) value.entries.push_back({key, option});
  }
  return value;
}

// Files that another program would read, by their folder: not hidden, not our list of them.
std::map<std::string, std::vector<std::string>> FilesIn(const fs::path& root) {
  std::map<std::string, std::vector<std::string>> files;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    const std::string name = entry.path().filename().string();
    if (!entry.is_regular_file() || name.starts_with('.') || name.starts_with('_')) continue;
    files[entry.path().parent_path().lexically_relative(root).string()].push_back(entry.path().string());
  }
  return files;
}

std::vector<Reading> ReadingsOf(const SourceSpec& source, const Store& store) {
  const Node value = SourceValue(source, store);
  const Node* path = value.Find("path");
  if (path == nullptr || !fs::is_directory(path->text)) return {{.value = value, .folder = ""}};
  std::vector<Reading> readings;
  for (auto& [folder, files] : FilesIn(path->text)) {
    Reading& reading = readings.emplace_back(Reading{.value = value, .folder = folder});
    std::ranges::sort(files);
    Node list;
    list.kind = Node::Kind::kList;
    for (const std::string& file : files) list.items.push_back(Node::Scalar(file));
    for (auto& [key, option] : reading.value.entries) {
      if (key.name == "path") option = list;
    }
  }
  return readings;
}

// What would be guessed is read as text: the rows alone decide.
Node AsText(const SourceSpec& spec, const Source& source, Node value) {
  const Node* header = value.Find("header");
  if (!spec.files || !HasField(spec.shape, "types") || (header != nullptr && header->text == "false"))
    return value;
  Node types;
  types.kind = Node::Kind::kMap;
  for (const Column& column : source.columns())
    types.entries.push_back({{column.name, {}}, Node::Scalar("varchar")});
  value.entries.push_back({{"types", {}}, std::move(types)});
  return value;
}

Status Read(const SourceSpec& spec, const Reading& reading, Engine& engine, const std::string& scratch,
            StoredRows& stored) {
  SourceContext context{.input = "stored", .engine = &engine, .scratch = scratch};
  TRANCHE_ASSIGN(auto guessing, OpenSource(spec, reading.value, context));
  const Node value = AsText(spec, *guessing, reading.value);
  TRANCHE_ASSIGN(auto source, OpenSource(spec, value, context));
  TRANCHE_ASSIGN(const SqlText scan, source->Scan(context));
  // With the mark of what it would refuse, which has the row's content too.
  const SqlText sql("SELECT * FROM " + scan.text());
  stored.columns.clear();
  TRANCHE_ASSIGN(const Columns columns, engine.Bind({sql}));
  for (const Column& column : columns) stored.columns.push_back(column.name);
  stored.columns.emplace_back("folder");
  TRANCHE_ASSIGN(auto rows, engine.Select({sql}));
  for (TextRow& row : rows) {
    row.emplace_back(reading.folder);
    stored.rows.push_back(std::move(row));
  }
  return source->TakeRejects(context, [](const Reject& reject) -> Status {
    return Fail(Code::kData, "{}:{} cannot be read back: {}", reject.file, reject.line, reject.reason);
  });
}

std::string LedgerText(const Sink::Standing& standing) {
  const Counts& counts = standing.counts;
  return fmt::format("{}: {} sent = {} stored + {} superseded + {} unmatched + {} rejected",
                     standing.finished ? "finished" : "not finished", counts.sent, counts.stored,
                     counts.superseded, counts.unmatched, counts.rejected);
}

Status CollectStore(const Store& store, const Registry& registry, Engine& engine, State& state,
                    const RunRecord& run, const std::string& folder, Remains& remains) {
  StoredRows& stored = remains.stores[store.name];
  TRANCHE_ASSIGN(auto sink, store.spec->make(Options(&store.spec->shape, &store.value)));
  StateJournal journal(state, run.id, store.name);
  SinkContext context = LookingContext(run, store.name, engine, journal);
  TRANCHE_ASSIGN(auto standing, sink->Look(context));
  stored.ledger = standing ? LedgerText(*standing) : "nothing";
  if (standing) stored.sent = standing->counts.sent;
  const SourceSpec* source = registry.FindSource(store.spec->name);
  if (source == nullptr) {
    return Fail(Code::kJob, "prove cannot read back what {} stores: there is no source of that name",
                store.spec->name)
        .At(store.place);
  }
  for (const Reading& reading : ReadingsOf(*source, store)) {
    Status read = Read(*source, reading, engine, folder + "/reading", stored);
    if (!read) return std::move(read).error().In(fmt::format("store '{}'", store.name));
  }
  std::ranges::sort(stored.rows);
  return {};
}

std::vector<std::string> LeftBehind(const std::string& folder, const std::string& state_folder) {
  std::vector<std::string> left;
  for (const char* name : {"/spool", "/run"}) {
    if (!Exists(state_folder + name)) continue;
    for (const auto& entry : fs::directory_iterator(state_folder + name))
      left.push_back(entry.path().string());
  }
  if (!Exists(folder + "/targets")) return left;
  for (const auto& entry : fs::recursive_directory_iterator(folder + "/targets")) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with('.') && name.contains(".tranche-")) left.push_back(entry.path().string());
  }
  return left;
}

// (7, x, NULL), cut where it is long.
std::string Shown(const TextRow& row, const std::vector<std::string>& columns) {
  std::string text;
  for (size_t i = 0; i < row.size(); ++i) {
    if (i < columns.size() && columns[i] == "folder" && row[i] == "") continue;
    text += (text.empty() ? "" : ", ") + row[i].value_or("NULL");
  }
  constexpr size_t kMost = 120;
  if (text.size() > kMost) {
    size_t end = kMost;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
    text = text.substr(0, end) + "…";
  }
  return "(" + text + ")";
}

std::vector<TextRow> Without(const std::vector<TextRow>& rows, const std::vector<TextRow>& others) {
  std::vector<TextRow> rest;
  std::ranges::set_difference(rows, others, std::back_inserter(rest));
  return rest;
}

// Only the columns that come out the same each time.
std::vector<TextRow> Steady(const StoredRows& stored, const std::set<std::string>& unsteady) {
  if (unsteady.empty()) return stored.rows;
  std::vector<TextRow> rows;
  for (const TextRow& row : stored.rows) {
    TextRow& kept = rows.emplace_back();
    for (size_t i = 0; i < row.size(); ++i) {
      if (!unsteady.contains(stored.columns[i])) kept.push_back(row[i]);
    }
  }
  std::ranges::sort(rows);
  return rows;
}

std::vector<TextRow> ValuesOf(const StoredRows& stored, size_t column) {
  std::vector<TextRow> values;
  for (const TextRow& row : stored.rows) values.push_back({row[column]});
  std::ranges::sort(values);
  return values;
}

// The rejected rows, or only why they were.
std::vector<TextRow> RejectsOf(const Remains& remains, const Unsteady& unsteady) {
  std::vector<TextRow> rejects = remains.rejects;
  if (unsteady.rejected_rows) {
    for (TextRow& reject : rejects) reject.pop_back();
    std::ranges::sort(rejects);
  }
  return rejects;
}

void Compare(const std::string& what, const std::vector<TextRow>& expected, const std::vector<TextRow>& found,
             const std::vector<std::string>& columns, std::vector<std::string>& differences) {
  auto say = [&](int64_t count, const char* became, const TextRow& row) {
    differences.push_back(fmt::format("{}: {} {} {}, such as {}", what, FormatCount(count),
                                      count == 1 ? "row is" : "rows are", became, Shown(row, columns)));
  };
  const std::vector<TextRow> lost = Without(expected, found);
  const std::vector<TextRow> extra = Without(found, expected);
  if (!lost.empty()) say(std::ssize(lost), "lost", lost.front());
  std::vector<TextRow> doubled, foreign;
  for (const TextRow& row : extra)
    (std::ranges::binary_search(expected, row) ? doubled : foreign).push_back(row);
  if (!doubled.empty()) say(std::ssize(doubled), "doubled", doubled.front());
  if (!foreign.empty()) say(std::ssize(foreign), "there that should not be", foreign.front());
}

}  // namespace

Result<Remains> Collect(const Job& job, const Registry& registry, Engine& engine, const std::string& folder) {
  Remains remains;
  const std::string state_folder = StateFolder(job, folder + "/state");
  TRANCHE_ASSIGN(auto state, State::OpenReadOnly(state_folder));
  TRANCHE_ASSIGN(const auto runs, state->Runs());
  if (runs.empty()) return Fail(Code::kInternal, "a trial has begun no run: {}", folder);
  remains.runs = std::ssize(runs);
  for (const Body& body : job.bodies) {
    for (const Store& store : body.stores) {
      TRANCHE_TRY(CollectStore(store, registry, engine, *state, runs.back(), folder, remains));
    }
  }
  TRANCHE_ASSIGN(const auto rejects, ListRejects(job, *state, runs.back(), engine, kAllRejects));
  for (const Reject& reject : rejects)
    remains.rejects.push_back({reject.origin, reject.reason, reject.column, reject.content});
  std::ranges::sort(remains.rejects);
  remains.left_behind = LeftBehind(folder, state_folder);
  return remains;
}

Result<Unsteady> FindUnsteady(const Remains& one, const Remains& other) {
  Unsteady unsteady;
  for (const auto& [name, stored] : one.stores) {
    const StoredRows& again = other.stores.at(name);
    if (stored.rows == again.rows || stored.rows.size() != again.rows.size()) continue;
    for (size_t i = 0; i < stored.columns.size(); ++i) {
      if (ValuesOf(stored, i) != ValuesOf(again, i)) unsteady.columns[name].insert(stored.columns[i]);
    }
  }
  unsteady.rejected_rows = one.rejects != other.rejects;
  const std::vector<std::string> differences = Differences(one, other, unsteady);
  if (differences.empty()) return unsteady;
  return Fail(Code::kData, "nothing can be proved: two undisturbed runs of the same rows differ; {}",
              differences.front())
      .Hint("does a step depend on the order of rows, or on chance?");
}

std::vector<std::string> Differences(const Remains& expected, const Remains& found,
                                     const Unsteady& unsteady) {
  std::vector<std::string> differences;
  for (const auto& [name, stored] : expected.stores) {
    const StoredRows& there = found.stores.at(name);
    const auto left_out = unsteady.columns.find(name);
    const std::set<std::string> none;
    const std::set<std::string>& columns = left_out == unsteady.columns.end() ? none : left_out->second;
    std::vector<std::string> shown;
    for (const std::string& column : stored.columns) {
      if (!columns.contains(column)) shown.push_back(column);
    }
    Compare(fmt::format("store '{}'", name), Steady(stored, columns), Steady(there, columns), shown,
            differences);
    if (stored.ledger != there.ledger) {
      differences.push_back(fmt::format("store '{}': the ledger says {}, and should say {}", name,
                                        there.ledger, stored.ledger));
    }
  }
  Compare("rejects", RejectsOf(expected, unsteady), RejectsOf(found, unsteady), {}, differences);
  if (found.runs != expected.runs) {
    differences.push_back(fmt::format("{} runs were begun instead of {}", found.runs, expected.runs));
  }
  for (const std::string& path : found.left_behind) differences.push_back(path + " was left behind");
  return differences;
}

}  // namespace tranche

#include <algorithm>
#include <filesystem>
#include <memory>

#include "tranche/base/file.h"
#include "tranche/cli/commands.h"
#include "tranche/run/inputs.h"

namespace tranche {
namespace {

namespace fs = std::filesystem;

// "Order lines-2026.csv.gz" → "order_lines_2026": a name for an input, a store, a job.
std::string NameFor(const fs::path& path) {
  std::string stem = path.filename().string();
  stem = stem.substr(0, stem.find('.', 1));
  std::string name;
  for (char c : stem) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) && byte < 128) {
      name += static_cast<char>(std::tolower(byte));
    } else if (!name.empty() && name.back() != '_') {
      name += '_';
    }
  }
  while (!name.empty() && name.back() == '_') name.pop_back();
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name.front()))) name = "data_" + name;
  return name;
}

Result<std::string> ConnectorFor(const std::string& file) {
  static const std::vector<std::pair<std::string, std::string>> kEndings = {
      {".csv", "csv"},       {".tsv", "csv"},    {".txt", "csv"},         {".json", "json"},
      {".ndjson", "json"},   {".jsonl", "json"}, {".parquet", "parquet"}, {".arrow", "arrow"},
      {".feather", "arrow"}, {".log", "lines"}};
  std::string plain = fs::path(file).filename().string();
  for (const char* compressed : {".gz", ".zst"}) {
    if (plain.ends_with(compressed)) plain.resize(plain.size() - std::string_view(compressed).size());
  }
  for (const auto& [ending, connector] : kEndings) {
    if (plain.ends_with(ending)) return connector;
  }
  return Fail(Code::kJob, "cannot tell from its ending what '{}' is", file)
      .Hint(
          "known: .csv .tsv .txt .json .ndjson .jsonl .parquet .arrow .feather .log, also with .gz and .zst");
}

// Words that YAML 1.1 or 1.2 take for something else than text.
bool MeansSomething(std::string word) {
  std::ranges::transform(word, word.begin(), [](unsigned char c) { return std::tolower(c); });
  constexpr std::string_view kWords[] = {"null", "true", "false", "yes",  "no",  "on",
                                         "off",  "y",    "n",     ".inf", ".nan"};
  return std::ranges::find(kWords, word) != std::end(kWords);
}

// A scalar of YAML that reads back as it is.
std::string Quoted(const std::string& text) {
  const bool plain = !text.empty() && std::ranges::all_of(text, [](unsigned char c) {
    return std::isalnum(c) || c == '_' || c == '-' || c == '.' || c == '/' || c >= 128;
  });
  if (plain && !MeansSomething(text) && !std::isdigit(static_cast<unsigned char>(text.front())) &&
      text.front() != '-')
    return text;
  std::string quoted = "'";
  for (char c : text) quoted += c == '\'' ? std::string("''") : std::string(1, c);
  return quoted + "'";
}

std::string Lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

struct Guess {
  std::string name;
  std::string connector;
  std::string path;  // as the job file will say it
  std::string null;  // a word that stands for NULL, besides the empty one
  Columns columns;
};

Result<Columns> ColumnsOf(Session& session, const Guess& guess, const std::string& path,
                          const std::string& null) {
  const SourceSpec* spec = session.registry().FindSource(guess.connector);
  Node value;
  value.kind = Node::Kind::kMap;
  value.entries.push_back({{.name = "path"}, Node::Scalar(path)});
  if (!null.empty()) {
    Node nulls;
    nulls.kind = Node::Kind::kList;
    nulls.items = {Node::Scalar(null), Node::Scalar("")};
    value.entries.push_back({{.name = "nulls"}, std::move(nulls)});
  }
  TRANCHE_ASSIGN(Engine * engine, session.engine());
  SourceContext context{.input = guess.name, .engine = engine};
  TRANCHE_ASSIGN(auto source, OpenSource(*spec, value, context));
  return source->columns();
}

int64_t TextColumns(const Columns& columns) {
  return std::ranges::count_if(columns, [](const Column& column) { return column.type == "VARCHAR"; });
}

Result<Guess> GuessInput(Session& session, const std::string& file, const fs::path& job_folder) {
  Guess guess{.name = NameFor(file)};
  TRANCHE_ASSIGN(guess.connector, ConnectorFor(file));
  const fs::path absolute = fs::absolute(file).lexically_normal();
  guess.path = absolute.lexically_relative(job_folder).string();
  TRANCHE_ASSIGN(guess.columns, ColumnsOf(session, guess, absolute.string(), ""));
  if (guess.connector != "csv") return guess;
  // The word for NULL is the one that makes numbers and times of most columns.
  for (const char* null : {"NA", "NULL", "null", "N/A", "\\N", "-"}) {
    TRANCHE_ASSIGN(Columns columns, ColumnsOf(session, guess, absolute.string(), null));
    if (TextColumns(columns) >= TextColumns(guess.columns)) continue;
    guess.null = null;
    guess.columns = std::move(columns);
  }
  return guess;
}

std::string InputText(const Guess& guess) {
  std::string text =
      fmt::format("  {}:\n    {}:\n      path: {}\n", guess.name, guess.connector, Quoted(guess.path));
  if (!guess.null.empty()) text += fmt::format("      nulls: [{}, '']\n", Quoted(guess.null));
  const bool typed = guess.connector == "csv" || guess.connector == "json";
  if (typed && !guess.columns.empty()) {
    text +=
        "      types:                     # as guessed from the first rows; a row that does not fit is a "
        "reject\n";
    for (const Column& column : guess.columns) {
      text += fmt::format("        {}: {}\n", Quoted(column.name), Quoted(Lower(column.type)));
    }
  } else {
    for (const Column& column : guess.columns) {
      text += fmt::format("      # {}: {}\n", column.name, Lower(column.type));
    }
  }
  return text;
}

std::string JobText(const std::string& name, const std::vector<Guess>& guesses) {
  std::string text = fmt::format(
      "# `tranche run` runs this job, `tranche preview` shows rows, `tranche docs NAME` explains a connector "
      "or step.\n"
      "job: {}\ncollect:\n",
      name);
  for (const Guess& guess : guesses) text += InputText(guess);
  if (guesses.size() > 1)
    text += fmt::format("from: {}          # what flows; the others can be joined by name\n",
                        guesses.front().name);
  std::string column = "amount";
  for (const Column& candidate : guesses.front().columns) {
    const bool number = candidate.type.starts_with("BIGINT") || candidate.type.starts_with("DOUBLE") ||
                        candidate.type.starts_with("INTEGER") || candidate.type.starts_with("DECIMAL");
    if (number) {
      column = candidate.name;
      break;
    }
  }
  text += fmt::format(
      "# prepare:                       # over all rows, in order\n#   - rename: snake_case\n"
      "#   - check: {{plausible: '\"{}\" >= 0'}}\n# group: {{by: [...]}}\n# process:\n"
      "#   - aggregate: {{rows: count(*)}}\n",
      column);
  text += fmt::format(
      "store:\n  files:\n    parquet: {{path: out/{}.parquet}}\n"
      "  # database:\n  #   sqlite: {{path: out/{}.db, table: {}, mode: replace}}\n"
      "rejects: 0                     # how many bad rows are allowed: a number or 0.1%\n",
      guesses.front().name, guesses.front().name, guesses.front().name);
  return text;
}

}  // namespace

Status NewCommand(Session& session, const NewFlags& flags) {
  std::string name = NameFor(flags.files.front());
  const std::string out = flags.out.empty() ? name + ".yaml" : flags.out;
  const fs::path folder =
      out == "-" ? fs::current_path() : fs::absolute(out).lexically_normal().parent_path();
  if (out != "-" && Exists(out))
    return Fail(Code::kJob, "'{}' is there already", out)
        .Hint("choose another name with -o, or -o - to see it");
  std::vector<Guess> guesses;
  for (const std::string& file : flags.files) {
    TRANCHE_ASSIGN(Guess guess, GuessInput(session, file, folder));
    for (const Guess& other : guesses) {
      if (other.name == guess.name) guess.name += fmt::format("_{}", guesses.size() + 1);
    }
    guesses.push_back(std::move(guess));
  }
  std::ranges::replace(name, '_', '-');
  const std::string text = JobText(name, guesses);
  if (out == "-") {
    fmt::print("{}", text);
    return {};
  }
  TRANCHE_TRY(WriteFileDurably(out, text));
  fmt::print("{}\n", out);
  session.log().Info(fmt::format("now: tranche preview {0}, then tranche run {0}", out));
  return {};
}

}  // namespace tranche

#include "tranche/prove/certificate.h"

#include <algorithm>
#include <functional>

#include <nlohmann/json.hpp>

#include "tranche/base/units.h"
#include "tranche/report/html.h"

namespace tranche {
namespace {

using html::Escape;
using html::Plural;

constexpr const char* kMoments = "a random moment";
constexpr size_t kMostProblems = 20;

// The trials that were killed first at one place.
struct PlaceCount {
  std::string place;
  int64_t trials = 0;
  int64_t kills = 0;
  int64_t in_recovery = 0;
  int64_t failed = 0;
};

std::vector<PlaceCount> Places(const Certificate& certificate) {
  std::vector<PlaceCount> places;
  for (const Certificate::Trial& trial : certificate.trials) {
    const std::string place = trial.first.failpoint.empty() ? kMoments : trial.first.failpoint;
    auto found = std::ranges::find(places, place, &PlaceCount::place);
    if (found == places.end()) found = places.insert(places.end(), {.place = place});
    ++found->trials;
    found->kills += std::ssize(trial.kills);
    found->in_recovery += std::max<int64_t>(std::ssize(trial.kills) - 1, 0);
    found->failed += trial.problems.empty() ? 0 : 1;
  }
  return places;
}

std::string KillsText(const Certificate::Trial& trial) {
  if (trial.kills.empty()) return "not killed";
  std::string text;
  for (const Kill& kill : trial.kills) text += (text.empty() ? "killed at " : ", then at ") + kill.ToString();
  return text;
}

std::string InputText(const KeptInput& input) {
  return fmt::format("{} {}", input.all ? "all" : "the first", Plural(input.rows, "row", "rows"));
}

std::string StoreText(const Certificate::Store& store) {
  std::string text = fmt::format("{}, {}", store.connector, Plural(store.rows, "row", "rows"));
  if (store.rows_a_batch > 0) text += fmt::format(", at most {} a batch", FormatCount(store.rows_a_batch));
  return text;
}

std::string ComparedText(const Certificate& certificate) {
  std::string text =
      "every row and the ledger of " + Plural(std::ssize(certificate.stores), "store", "stores");
  if (certificate.rejects > 0) text += ", " + Plural(certificate.rejects, "reject", "rejects");
  for (const Certificate::Store& store : certificate.stores) {
    if (store.left_out.empty()) continue;
    text += fmt::format("; without {} of store {}, which is different in each run",
                        fmt::join(store.left_out, ", "), store.name);
  }
  if (!certificate.rejected_rows)
    text += "; without the rejected rows' content, which is different in each run";
  return text;
}

std::string Verdict(const Certificate& certificate) {
  const std::string trials = Plural(std::ssize(certificate.trials), "trial", "trials");
  const std::string kills = Plural(certificate.kills(), "kill", "kills");
  if (certificate.failed() == 0)
    return fmt::format("proved: nothing lost and nothing doubled in {} with {}", trials, kills);
  return fmt::format("NOT PROVED: {} of {} with {} ended with other rows than an undisturbed run",
                     FormatCount(certificate.failed()), trials, kills);
}

// What went wrong, in words, each kind once: what most trials met comes first.
std::vector<std::string> Problems(const Certificate& certificate) {
  struct Kind {
    std::string problem, first;  // the trial that met it first
    int64_t trials = 0;
  };
  std::vector<Kind> kinds;
  for (const Certificate::Trial& trial : certificate.trials) {
    for (const std::string& problem : trial.problems) {
      auto kind = std::ranges::find(kinds, problem, &Kind::problem);
      if (kind == kinds.end()) kind = kinds.insert(kind, {problem, KillsText(trial)});
      ++kind->trials;
    }
  }
  std::ranges::stable_sort(kinds, std::greater(), &Kind::trials);
  if (kinds.size() > kMostProblems) kinds.resize(kMostProblems);
  std::vector<std::string> problems;
  for (const Kind& kind : kinds) {
    const std::string others = kind.trials > 1 ? fmt::format(" (and in {} more)", kind.trials - 1) : "";
    problems.push_back(fmt::format("{}{}: {}", kind.first, others, kind.problem));
  }
  return problems;
}

std::string Versions(const Certificate& certificate) {
  return fmt::format("tranche {}, {}", certificate.version, certificate.engine);
}

std::string Line(std::string_view name, std::string_view text) {
  return fmt::format("{:10}{}\n", name, text);
}

std::string Definition(std::string_view name, const std::string& text) {
  return fmt::format("<dt>{}</dt><dd>{}</dd>", Escape(name), Escape(text));
}

std::string PlaceTable(const Certificate& certificate) {
  std::string rows;
  for (const PlaceCount& place : Places(certificate)) {
    rows += fmt::format(
        R"(<tr><td class="text">{}</td><td class="number">{}</td><td class="number">{}</td>)"
        R"(<td class="number">{}</td><td class="{}">{}</td></tr>)",
        Escape(place.place), place.trials, place.kills, place.in_recovery, place.failed == 0 ? "yes" : "no",
        place.failed == 0 ? "✓ the same rows" : fmt::format("✗ {} not the same", place.failed));
  }
  return html::CardOf(
      R"(<div class="scroll"><table><thead><tr><th>Killed at</th><th class="number">Trials</th>)"
      R"(<th class="number">Kills</th><th class="number">In recovery</th><th>What was stored in the end</th>)"
      "</tr></thead><tbody>" +
      rows + "</tbody></table></div>");
}

std::string Facts(const Certificate& certificate) {
  std::string out = "<dl>";
  for (const KeptInput& input : certificate.inputs)
    out += Definition("input " + input.name, InputText(input));
  for (const Certificate::Store& store : certificate.stores)
    out += Definition("store " + store.name, StoreText(store) + "; " + store.guarantee);
  out += Definition("tried on", "targets of the same kind, made for it; those of the job were only read");
  out += Definition("compared", ComparedText(certificate));
  out += Definition("job file", certificate.job_file);
  out += Definition("seed", fmt::format("{}", certificate.seed));
  out += Definition("versions", Versions(certificate));
  return html::CardOf(out + "</dl>");
}

}  // namespace

std::string CertificateText(const Certificate& certificate) {
  std::string text = Line("job", certificate.job);
  for (const KeptInput& input : certificate.inputs)
    text += Line("input", input.name + ": " + InputText(input));
  for (const Certificate::Store& store : certificate.stores)
    text += Line("store", store.name + ": " + StoreText(store));
  text += Line("compared", ComparedText(certificate));
  text += fmt::format("\n{:24}{:>7}{:>7}{:>13}{:>10}\n", "killed at", "trials", "kills", "in recovery",
                      "the same");
  for (const PlaceCount& place : Places(certificate)) {
    text += fmt::format("{:24}{:>7}{:>7}{:>13}{:>10}\n", place.place, place.trials, place.kills,
                        place.in_recovery, place.trials - place.failed);
  }
  text += fmt::format("\n{}\n", Verdict(certificate));
  for (const std::string& problem : Problems(certificate)) text += fmt::format("  {}\n", problem);
  return text + fmt::format("seed {}, {}\n", certificate.seed, Versions(certificate));
}

std::string CertificateJson(const Certificate& certificate) {
  using Json = nlohmann::json;
  Json json{{"job", certificate.job},
            {"job_file", certificate.job_file},
            {"proved", certificate.failed() == 0},
            {"trials", certificate.trials.size()},
            {"kills", certificate.kills()},
            {"failed", certificate.failed()},
            {"seed", certificate.seed},
            {"version", certificate.version},
            {"engine", certificate.engine},
            {"made", FormatTime(certificate.made)},
            {"seconds", certificate.seconds},
            {"rejects", certificate.rejects},
            {"compared", ComparedText(certificate)}};
  for (const KeptInput& input : certificate.inputs)
    json["inputs"].push_back({{"name", input.name}, {"rows", input.rows}, {"all", input.all}});
  for (const Certificate::Store& store : certificate.stores) {
    json["stores"].push_back({{"name", store.name},
                              {"connector", store.connector},
                              {"rows", store.rows},
                              {"left_out", store.left_out}});
  }
  for (const PlaceCount& place : Places(certificate)) {
    json["places"].push_back({{"place", place.place},
                              {"trials", place.trials},
                              {"kills", place.kills},
                              {"in_recovery", place.in_recovery},
                              {"failed", place.failed}});
  }
  json["problems"] = Problems(certificate);
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string CertificatePage(const Certificate& certificate) {
  const bool proved = certificate.failed() == 0;
  std::string out = fmt::format(
      R"(<header><div class="top"><h1>{}</h1><span class="badge {}">{}</span></div><p class="soft">{}</p>)",
      Escape(certificate.job), proved ? "good" : "bad", proved ? "proved" : "not proved",
      Escape(fmt::format("Killed and resumed on {}, for {}.", html::Moment(certificate.made),
                         html::Seconds(certificate.seconds))));
  out += R"(<div class="tiles">)";
  out += html::Tile(FormatCount(std::ssize(certificate.trials)), "trials");
  out += html::Tile(FormatCount(certificate.kills()), "kills");
  out += html::Tile(FormatCount(std::ssize(Places(certificate))), "places");
  out += html::Tile(FormatCount(certificate.failed()), "trials with other rows") + "</div>";
  if (!proved) out += fmt::format(R"(<p class="note bad">{}</p>)", Escape(Verdict(certificate)));
  out += "</header>\n";
  std::string problems;
  for (const std::string& problem : Problems(certificate))
    problems += fmt::format("<li>{}</li>", Escape(problem));
  if (!problems.empty()) out += html::Section("What went wrong", html::CardOf("<ol>" + problems + "</ol>"));
  out += html::Section("What was proved", Facts(certificate));
  out += html::Section("Where it was killed", PlaceTable(certificate));
  return html::Page(fmt::format("{} · {}", certificate.job, proved ? "proved" : "not proved"), out);
}

}  // namespace tranche

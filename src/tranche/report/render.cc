// The page: its sections from top to bottom.

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include <fmt/format.h>

#include "tranche/base/units.h"
#include "tranche/report/chart.h"
#include "tranche/report/flow.h"
#include "tranche/report/html.h"
#include "tranche/report/report.h"
#include "tranche/report/sample.h"

namespace tranche {

namespace {

using namespace html;

constexpr size_t kSampleRows = 8;
constexpr size_t kMostContent = 240;  // characters of a rejected row

int64_t Sum(const auto& items, auto&& count) {
  int64_t sum = 0;
  for (const auto& item : items) sum += count(item);
  return sum;
}

int64_t RowsRead(const ReportData& data) {
  return Sum(data.inputs, [](const auto& input) { return input.read; });
}
int64_t RowsStored(const ReportData& data) {
  return Sum(data.stores, [](const auto& store) { return store.counts.stored; });
}
int64_t RowsRejected(const ReportData& data) {
  return Sum(data.stages, [](const auto& stage) { return stage.rejected; }) +
         Sum(data.stores, [](const auto& store) { return store.counts.rejected; });
}

double Elapsed(const ReportData& data) {
  return data.finished > data.started ? static_cast<double>(data.finished - data.started) / 1e6 : 0;
}

std::string Badge(const ReportData& data) {
  std::string_view kind = data.outcome == "done" ? "good" : data.outcome == "running" ? "warn" : "bad";
  std::string_view verdict = data.balanced ? " and balanced" : data.outcome == "done" ? ", not balanced" : "";
  return fmt::format(R"(<span class="badge {}">{}{}</span>)",
                     data.outcome == "done" && !data.balanced ? "bad" : kind, Escape(data.outcome), verdict);
}

std::string Times(const ReportData& data) {
  std::string text = fmt::format("Run {} began on {}", data.run_number, Moment(data.started));
  if (data.finished > 0) text += fmt::format(" and took {}", Seconds(Elapsed(data)));
  if (data.starts > 1)
    text += fmt::format("; it was started {} times and went on where it had stopped", data.starts);
  return text + ".";
}

std::string Header(const ReportData& data) {
  std::string out = fmt::format(R"(<header><div class="top"><h1>{}</h1>{}</div><p class="soft">{}</p>)",
                                Escape(data.job), Badge(data), Escape(Times(data)));
  out += R"(<div class="tiles">)";
  out += Tile(FormatCount(RowsRead(data)), data.inputs.size() == 1
                                               ? "rows read"
                                               : fmt::format("rows read from {} inputs", data.inputs.size()));
  out += Tile(
      FormatCount(RowsStored(data)),
      data.stores.size() == 1 ? "rows stored" : fmt::format("rows stored in {} stores", data.stores.size()));
  out += Tile(FormatCount(RowsRejected(data)), "rows rejected");
  if (double seconds = Elapsed(data); seconds > 0) {
    out += Tile(Seconds(seconds),
                Short(static_cast<double>(RowsRead(data)) / seconds, Unit::kNumber) + " rows read a second");
  }
  out += "</div>";
  if (!data.message.empty()) out += fmt::format(R"(<p class="note bad">{}</p>)", Escape(data.message));
  for (const std::string& warning : data.warnings)
    out += fmt::format(R"(<p class="note">{}</p>)", Escape(warning));
  return out + "</header>\n";
}

std::string Verdict(bool holds) {
  return holds ? R"(<span class="yes">✓ holds</span>)" : R"(<span class="no">✗ does not hold</span>)";
}

std::string Terms(const std::vector<std::pair<int64_t, std::string_view>>& terms) {
  std::string text;
  for (size_t i = 0; i < terms.size(); ++i) {
    if (i > 0 && terms[i].first == 0) continue;
    text += fmt::format("{}{} {}", text.empty() ? "" : " + ", FormatCount(terms[i].first), terms[i].second);
  }
  return text;
}

std::string BalanceRow(std::string_view kind, const std::string& name, const std::string& equation,
                       const std::string& verdict) {
  return fmt::format(R"(<tr><td>{} <b>{}</b></td><td class="text">{}</td><td>{}</td></tr>)", kind,
                     Escape(name), Escape(equation), verdict);
}

std::string StageRow(const ReportData::Stage& stage) {
  int64_t in = RowsInto(stage);
  if (!stage.equation) {
    std::string text = fmt::format("{} in, {} out", FormatCount(in), FormatCount(stage.rows));
    if (stage.rejected > 0) text += fmt::format(", {} rejected", FormatCount(stage.rejected));
    return BalanceRow("stage", stage.name, text,
                      R"(<span class="soft">joined, deduplicated or limited: no equation</span>)");
  }
  std::string folded = fmt::format("folded into {}", Plural(stage.rows, "row", "rows"));
  std::string text =
      fmt::format("{} in = {}", FormatCount(in),
                  Terms({{stage.folds ? stage.folded : stage.rows, stage.folds ? folded : "sealed"},
                         {stage.filtered, "filtered"},
                         {stage.rejected, "rejected"}}));
  int64_t lost = in - stage.filtered - stage.rejected - (stage.folds ? stage.folded : stage.rows);
  if (lost != 0)
    text += fmt::format("; {} {}", FormatCount(std::abs(lost)), lost > 0 ? "unaccounted for" : "too many");
  return BalanceRow("stage", stage.name, text, Verdict(Holds(stage)));
}

std::string StoreRow(const ReportData& data, const ReportData::Store& store) {
  int64_t left = RowsFor(data, store) - store.counts.sent;
  std::string text =
      fmt::format("{} of its stage = {}", FormatCount(RowsFor(data, store)),
                  Terms({{store.counts.stored, "stored"},
                         {store.counts.superseded, "superseded by a later row of the same key"},
                         {store.counts.unmatched, "unmatched"},
                         {store.counts.rejected, "rejected"},
                         {std::max<int64_t>(left, 0), "not stored yet"}}));
  if (left < 0) text += fmt::format("; {} too many", FormatCount(-left));
  return BalanceRow("store", store.name, text,
                    left > 0 ? R"(<span class="no">unfinished</span>)" : Verdict(Holds(data, store)));
}

std::string Balance(const ReportData& data) {
  std::string flow = DrawFlow(data);
  if (flow.empty()) return "";
  std::string rows;
  for (const auto& stage : data.stages) rows += StageRow(stage);
  for (const auto& store : data.stores) rows += StoreRow(data, store);
  return CardOf(R"(<div class="scroll">)" + flow + "</div>") +
         CardOf(
             R"(<div class="scroll"><table><thead><tr><th>Where</th><th>Every row is accounted for</th><th></th></tr></thead><tbody>)" +
             rows + "</tbody></table></div>");
}

std::string SampleTable(const ReportData::Sample& sample) {
  std::string out = R"(<div class="scroll"><table><thead><tr>)";
  std::vector<bool> right;
  for (const Column& column : sample.columns) {
    right.push_back(column.type != "VARCHAR" && column.type != "BOOLEAN" &&
                    !column.type.starts_with("TIMESTAMP") && column.type != "DATE");
    out += fmt::format(R"(<th{} title="{}">{}</th>)", right.back() ? R"( class="number")" : "",
                       Escape(column.type), Escape(Cut(column.name, 40)));
  }
  out += "</tr></thead><tbody>";
  for (size_t i = 0; i < std::min(sample.rows.size(), kSampleRows); ++i) {
    out += "<tr>";
    for (size_t j = 0; j < std::min(sample.rows[i].size(), right.size()); ++j) {
      const auto& value = sample.rows[i][j];
      std::string_view kind = !value ? "null" : right[j] ? "number" : "";
      out += fmt::format("<td{}>{}</td>", kind.empty() ? "" : fmt::format(R"( class="{}")", kind),
                         value ? Escape(Cut(*value, 60)) : "–");
    }
    out += "</tr>";
  }
  return out + "</tbody></table></div>";
}

std::string Figure(std::string_view title, const std::string& svg) {
  return svg.empty() ? "" : fmt::format("<div><h4>{}</h4>{}</div>", title, svg);
}

std::string ResultOf(const ReportData::Sample& sample, int64_t rows) {
  std::string figures;
  for (const Picture& picture : DrawSample(sample)) figures += Figure(Escape(picture.caption), picture.svg);
  std::string table = SampleTable(sample);
  if (figures.empty()) return table;
  int64_t shown = std::min<int64_t>(std::ssize(sample.rows), kSampleRows);
  std::string out =
      fmt::format(R"(<div class="pair">{}</div><details><summary>the first {}</summary>{}</details>)",
                  figures, Plural(shown, "row", "rows"), table);
  if (rows > std::ssize(sample.rows)) {
    const std::string count = FormatCount(std::ssize(sample.rows));
    out +=
        fmt::format(R"(<p class="soft small">Drawn from {}.</p>)",
                    sample.spread ? count + " of the rows, evenly spread" : "the first " + count + " rows");
  }
  return out;
}

// Stores of one stage have the same rows: they share a card.
std::string Results(const ReportData& data) {
  std::string out;
  std::set<std::string> shown;
  for (const auto& store : data.stores) {
    if (store.sample.columns.empty() || store.sample.rows.empty() || !shown.insert(store.stage).second)
      continue;
    std::string heads;
    for (const auto& same : data.stores) {
      if (same.stage != store.stage) continue;
      heads +=
          fmt::format(R"(<div class="head"><h3>{}</h3><p class="soft small">{}, {}</p></div>)",
                      Escape(same.name), Escape(same.description), Plural(same.counts.stored, "row", "rows"));
    }
    out += CardOf(heads + ResultOf(store.sample, store.counts.stored));
  }
  return out;
}

std::string PlaceOf(const Reject& reject) {
  std::string place;
  if (!reject.file.empty()) {
    place = reject.file;
    if (reject.line > 0) place += fmt::format(":{}", reject.line);
    if (reject.byte >= 0) place += fmt::format(", byte {}", FormatCount(reject.byte));
  }
  if (reject.row >= 0) place += fmt::format("{}row {}", place.empty() ? "" : ", ", FormatCount(reject.row));
  if (place.empty()) return Escape(reject.origin);
  return fmt::format(R"({}<br><span class="soft small">{}</span>)", Escape(place), Escape(reject.origin));
}

std::string Rejects(const ReportData& data) {
  if (RowsRejected(data) == 0 && data.reject_reasons.empty()) return "";
  std::vector<ReportData::RejectReason> reasons = data.reject_reasons;
  std::ranges::stable_sort(reasons, std::greater(), &ReportData::RejectReason::rows);
  int64_t all = Sum(reasons, [](const auto& reason) { return reason.rows; });
  const std::string command = fmt::format(
      R"(<p class="soft small"><code>tranche rejects list {0} {1}</code> shows those that are open, <code>tranche rejects retry {0}</code> stores them once more.</p>)",
      Escape(data.job_file), data.run_number);
  if (reasons.empty()) return CardOf("<p>They are kept where their store is.</p>" + command);
  std::string out =
      R"(<div class="scroll"><table><thead><tr><th class="number">Rows</th><th>Reason</th><th>Where</th></tr></thead><tbody>)";
  for (const auto& reason : reasons) {
    out += fmt::format(R"(<tr><td class="number"><b>{}</b></td><td class="text">{})",
                       FormatCount(reason.rows), Escape(reason.reason));
    out += fmt::format(
        R"(<svg class="share" viewBox="0 0 300 6" aria-hidden="true"><rect width="{:.1f}" height="4" rx="2"/></svg></td><td>{}</td></tr>)",
        std::max(2.0,
                 300.0 * static_cast<double>(reason.rows) / static_cast<double>(std::max<int64_t>(all, 1))),
        Escape(reason.origin));
  }
  out += "</tbody></table></div>";
  std::string rows;
  for (const Reject& reject : data.rejects) {
    rows += fmt::format(
        R"(<tr><td class="text">{}</td><td class="text">{}{}</td><td class="text"><code>{}</code></td></tr>)",
        PlaceOf(reject), reject.column.empty() ? "" : fmt::format("<b>{}</b>: ", Escape(reject.column)),
        Escape(reject.reason), Escape(Cut(reject.content, kMostContent)));
  }
  std::string_view open = data.rejects.size() <= 5 ? " open" : "";
  return CardOf(
      out +
      fmt::format(
          R"(<details{}><summary>{} with place and content</summary><div class="scroll"><table><thead><tr><th>Place</th><th>Reason</th><th>Row</th></tr></thead><tbody>{}</tbody></table></div></details>)",
          open,
          std::ssize(data.rejects) == all ? "all of them" : fmt::format("the first {}", data.rejects.size()),
          rows) +
      command);
}

// Rows or bytes a second between two points; about forty points.
Series Rates(const std::vector<ReportData::Progress>& progress, int64_t ReportData::Progress::* what) {
  Series series;
  if (progress.size() < 3) return series;
  double span = progress.back().seconds - progress.front().seconds;
  double step = span / 40;
  if (!(step > 0)) return series;
  const ReportData::Progress* last = &progress.front();
  for (const auto& point : progress) {
    double seconds = point.seconds - last->seconds;
    if (seconds < step) continue;
    series.points.emplace_back(point.seconds,
                               std::max(0.0, static_cast<double>(point.*what - last->*what) / seconds));
    last = &point;
  }
  return series;
}

std::string Cell(const std::string& text) {
  return fmt::format(R"(<td class="number">{}</td>)", Escape(text));
}

// Sizes and commit times of a store's batches.
struct Batches {
  std::vector<double> rows;
  std::vector<double> seconds;

  explicit Batches(const ReportData::Store& store) {
    for (const auto& batch : store.batches.items) {
      rows.push_back(static_cast<double>(batch.rows));
      seconds.push_back(batch.seconds);
    }
  }
};

std::string SpeedRow(const ReportData::Store& store) {
  Batches batches(store);
  auto commit = [&](double share) {
    return batches.seconds.empty() ? "–" : Short(Percentile(batches.seconds, share), Unit::kSeconds);
  };
  // A handful of rows has no speed.
  bool many = store.counts.sent >= 1000 && store.seconds > 0;
  double rate = many ? static_cast<double>(store.counts.sent) / store.seconds : NAN;
  return fmt::format(R"(<tr><td class="text"><b>{}</b><br><span class="soft small">{}</span></td>)",
                     Escape(store.name), Escape(store.guarantee)) +
         Cell(FormatCount(store.batches.seen)) +
         Cell(batches.rows.empty() ? "–" : FormatCount(std::llround(Percentile(batches.rows, 0.5)))) +
         Cell(commit(0.5)) + Cell(commit(0.99)) + Cell(store.bytes > 0 ? FormatBytes(store.bytes) : "–") +
         Cell(Short(rate, Unit::kNumber)) + Cell(FormatCount(store.retries)) + "</tr>";
}

// Of a row, by the size of its batch: what the size was chosen by.
std::string CostFigure(const ReportData::Store& store, const std::string& label) {
  if (store.chosen_rows == 0) return "";
  std::map<int64_t, std::vector<double>> costs;
  for (const auto& batch : store.batches.items) {
    if (batch.rows > 0) costs[batch.rows].push_back(batch.seconds / static_cast<double>(batch.rows));
  }
  Series series;
  for (const auto& [rows, seconds] : costs) {
    if (seconds.size() >= 3) series.points.emplace_back(static_cast<double>(rows), Percentile(seconds, 0.5));
  }
  if (series.points.size() < 2) return "";
  return Figure(fmt::format("what a row costs, by the rows in its batch; {} are chosen",
                            FormatCount(store.chosen_rows)),
                Draw(LineChart{"cost of a row, " + label, Unit::kNumber, Unit::kSeconds, {series}}));
}

std::string SpeedCharts(const ReportData::Store& store) {
  Batches batches(store);
  if (batches.rows.size() < 3) return "";
  std::string label = "store " + store.name;
  auto lines = [&](std::string_view what, Unit unit, int64_t ReportData::Progress::* field) {
    Series series = Rates(store.progress.items, field);
    if (series.points.size() < 3) return std::string();
    return Draw(LineChart{fmt::format("{} a second, {}", what, label), Unit::kSeconds, unit, {series}});
  };
  std::string body =
      fmt::format(R"(<div class="head"><h3>{}</h3></div><div class="pair">)", Escape(store.name));
  body += Figure("rows a second, since the start", lines("rows", Unit::kNumber, &ReportData::Progress::rows));
  body += Figure("bytes a second", lines("bytes", Unit::kBytes, &ReportData::Progress::bytes));
  body += Figure("how long a commit took",
                 Draw(Histogram{"commit times, " + label, Unit::kSeconds, batches.seconds}));
  body += Figure("rows in a batch", Draw(Histogram{"batch sizes, " + label, Unit::kNumber, batches.rows}));
  body += CostFigure(store, label);
  return CardOf(body + "</div>");
}

std::string Speed(const ReportData& data) {
  if (data.stores.empty()) return "";
  std::string rows, charts;
  for (const auto& store : data.stores) {
    rows += SpeedRow(store);
    charts += SpeedCharts(store);
  }
  std::string head;
  for (std::string_view name :
       {"Batches", "Rows a batch", "Commit p50", "p99", "Bytes", "Rows/s", "Retries"}) {
    head += fmt::format(R"(<th class="number">{}</th>)", name);
  }
  return CardOf(R"(<div class="scroll"><table><thead><tr><th>Store</th>)" + head + "</tr></thead><tbody>" +
                rows + "</tbody></table></div>") +
         charts;
}

std::string Plan(const ReportData& data) {
  std::string out;
  for (const auto& input : data.inputs) {
    out += fmt::format("<dt>{}</dt><dd>{}</dd>", Escape(input.name),
                       Escape(input.connector + ": " + input.description));
  }
  if (!out.empty()) out = CardOf("<dl>" + out + "</dl>");
  for (const auto& stage : data.stages) {
    std::string facts = stage.kind;
    if (stage.bytes > 0) facts += ", " + FormatBytes(stage.bytes);
    if (stage.seconds > 0) facts += ", " + Seconds(stage.seconds);
    out += fmt::format(R"(<details class="card"><summary><b>{}</b> – {}</summary>)", Escape(stage.name),
                       Escape(facts));
    if (!stage.steps.empty()) {
      out += "<ol>";
      for (const std::string& step : stage.steps) out += fmt::format("<li>{}</li>", Escape(step));
      out += "</ol>";
    }
    if (!stage.sql.empty()) out += fmt::format("<pre>{}</pre>", Escape(stage.sql));
    out += "</details>";
  }
  return out;
}

std::string Pairs(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::string out;
  for (const auto& [name, value] : pairs)
    out += fmt::format("<dt>{}</dt><dd>{}</dd>", Escape(name), Escape(value));
  return out;
}

std::string Circumstances(const ReportData& data) {
  std::vector<std::pair<std::string, std::string>> run = {{"job file", data.job_file}, {"run", data.run_id}};
  std::string out = R"(<div class="pair">)";
  if (!data.parameters.empty())
    out += "<div><h4>Parameters</h4><dl>" + Pairs(data.parameters) + "</dl></div>";
  out += "<div><h4>Environment</h4><dl>" + Pairs(run) + Pairs(data.environment) + "</dl></div>";
  return CardOf(out + "</div>");
}

}  // namespace

std::string RenderReport(const ReportData& data) {
  std::string out;
  out += Header(data);
  out += Section("Where the rows went", Balance(data));
  out += Section("What came out", Results(data));
  out += Section("Rejected rows", Rejects(data));
  out += Section("How it was stored", Speed(data));
  out += Section("The plan", Plan(data));
  out += Section("Parameters and environment", Circumstances(data));
  return Page(fmt::format("{} · run {} · {}", data.job, data.run_number, data.outcome), out);
}

}  // namespace tranche

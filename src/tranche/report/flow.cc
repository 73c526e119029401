#include "tranche/report/flow.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include <fmt/format.h>

#include "tranche/base/units.h"
#include "tranche/report/html.h"

namespace tranche::html {

namespace {

constexpr double kCardWidth = 178;
constexpr double kLeastGap = 72;  // between columns: room for the bands
constexpr double kLeastWidth = 1040;
constexpr double kRowGap = 16;
constexpr double kThickest = 36;
constexpr size_t kTitleLength = 19;

// Not a card, but a place in a column that a band passes on its way to a later one.
constexpr std::string_view kWay = "way";

struct Chip {
  std::string text;
  std::string kind;  // class of the style: "warn", "mute", "bad"
};

struct Card {
  std::string title;
  std::string subtitle;
  std::string kind;  // class of the style: "input", "stage", "store", "bad"; kWay
  std::string number = {};
  std::vector<Chip> chips = {};
  int column = 0;
  double y = 0;
  double height = 0;
  double Middle() const { return y + height / 2; }
};

struct Band {
  size_t from;
  size_t to;
  int64_t rows;
  bool joined;
  double from_y = 0, from_width = 0, to_y = 0, to_width = 0;
};

struct Flow {
  std::vector<Card> cards;
  std::vector<Band> bands;
  int columns = 0;
  double height = 0;
};

void AddChip(Card& card, int64_t count, std::string_view what, std::string_view kind) {
  if (count != 0) card.chips.push_back({fmt::format("{} {}", FormatCount(count), what), std::string(kind)});
}

Card InputCard(const ReportData::Input& input) {
  Card card{.title = input.name, .subtitle = input.connector, .kind = "input"};
  if (input.splits > 0) card.subtitle += " · " + Plural(input.splits, "file", "files");
  if (input.bytes > 0) card.subtitle += ", " + FormatBytes(input.bytes);
  card.number = Plural(input.read, "row", "rows") + (input.exact ? "" : " or more");
  AddChip(card, input.rejected, "rejected", "warn");
  return card;
}

Card StageCard(const ReportData::Stage& stage) {
  Card card{.title = stage.name, .subtitle = stage.kind, .kind = Holds(stage) ? "stage" : "bad"};
  int64_t in = RowsInto(stage);
  card.number = in == stage.rows ? Plural(in, "row", "rows")
                                 : fmt::format("{} → {}", FormatCount(in), FormatCount(stage.rows));
  AddChip(card, stage.filtered, "filtered", "mute");
  AddChip(card, stage.rejected, "rejected", "warn");
  return card;
}

Card StoreCard(const ReportData& data, const ReportData::Store& store) {
  Card card{.title = store.name, .subtitle = store.connector, .kind = "store"};
  card.number = FormatCount(store.counts.stored) + " stored";
  AddChip(card, store.counts.superseded, "superseded", "mute");
  AddChip(card, store.counts.unmatched, "unmatched", "mute");
  AddChip(card, store.counts.rejected, "rejected", "warn");
  int64_t left = RowsFor(data, store) - store.counts.sent;
  AddChip(card, std::abs(left), left > 0 ? "not stored yet" : "too many", "bad");
  if (!Holds(data, store) && RowsFor(data, store) == store.counts.sent) card.kind = "bad";
  return card;
}

// Cards and bands in the order of the data, each card in its column.
Flow Collect(const ReportData& data) {
  Flow flow;
  std::map<std::string, size_t> inputs, stages;
  for (const auto& input : data.inputs) {
    inputs[input.name] = flow.cards.size();
    flow.cards.push_back(InputCard(input));
  }
  int last = 0;
  for (const auto& stage : data.stages) {
    Card card = StageCard(stage);
    size_t self = flow.cards.size();
    for (const auto& from : stage.from) {
      const auto& known = from.kind == ReportData::Flow::Kind::kInput ? inputs : stages;
      auto found = known.find(from.name);
      if (found == known.end()) continue;
      flow.bands.push_back({found->second, self, from.rows, from.joined});
      card.column = std::max(card.column, flow.cards[found->second].column + 1);
    }
    card.column = std::max(card.column, 1);
    last = std::max(last, card.column);
    stages[stage.name] = self;
    flow.cards.push_back(std::move(card));
  }
  for (const auto& store : data.stores) {
    Card card = StoreCard(data, store);
    card.column = last + 1;
    if (auto found = stages.find(store.stage); found != stages.end()) {
      flow.bands.push_back({found->second, flow.cards.size(), store.counts.sent, false});
    }
    flow.cards.push_back(std::move(card));
  }
  flow.columns = last + 2;
  return flow;
}

// Bands that pass over a column get a place in it, so that no card hides them.
void AddWays(Flow& flow) {
  for (size_t i = 0; i < flow.bands.size(); ++i) {  // grows meanwhile
    Band band = flow.bands[i];
    int column = flow.cards[band.from].column + 1;
    if (column >= flow.cards[band.to].column) continue;
    size_t way = flow.cards.size();
    flow.cards.push_back({.title = "", .subtitle = "", .kind = std::string(kWay), .column = column});
    flow.bands[i].to = way;
    flow.bands.push_back({way, band.to, band.rows, band.joined});
  }
}

// Thickness grows with the square root: a band of ten rows can still be seen beside one of a million.
double Thickness(int64_t rows, int64_t most) {
  if (rows <= 0) return 1;
  return 2.5 + (kThickest - 2.5) *
                   std::sqrt(static_cast<double>(rows) / static_cast<double>(std::max<int64_t>(most, 1)));
}

// From top to bottom in the order of where their rows come from, as near to that height as the others allow.
void PlaceColumn(Flow& flow, int column, double height) {
  std::vector<size_t> order;
  std::vector<double> wish(flow.cards.size(), 0);
  for (size_t i = 0; i < flow.cards.size(); ++i) {
    if (flow.cards[i].column != column) continue;
    order.push_back(i);
    double sum = 0, count = 0;
    for (const Band& band : flow.bands) {
      if (band.to == i) sum += flow.cards[band.from].Middle(), ++count;
    }
    if (count > 0) wish[i] = sum / count;
  }
  std::ranges::stable_sort(order, {}, [&](size_t i) { return wish[i]; });
  double total = -kRowGap;
  for (size_t i : order) total += flow.cards[i].height + kRowGap;
  double y = (height - total) / 2;  // no wishes: around the middle
  for (size_t i : order) {
    flow.cards[i].y = y;
    y += flow.cards[i].height + kRowGap;
  }
  if (column == 0 || order.size() != 1) return;
  Card& alone = flow.cards[order[0]];
  alone.y = std::clamp(wish[order[0]] - alone.height / 2, 0.0, height - alone.height);
}

void Place(Flow& flow) {
  int64_t most = 1;
  for (const Band& band : flow.bands) most = std::max(most, band.rows);
  for (size_t i = 0; i < flow.cards.size(); ++i) {
    double incoming = 0, widest = 0;
    for (Band& band : flow.bands) {
      if (band.to == i) incoming += Thickness(band.rows, most);
      if (band.from == i) widest = std::max(widest, Thickness(band.rows, most));
    }
    Card& card = flow.cards[i];
    card.height =
        card.kind == kWay
            ? incoming
            : std::max({68.0 + 20 * static_cast<double>(card.chips.size()), incoming + 12, widest + 12});
  }
  std::vector<double> heights(static_cast<size_t>(flow.columns), -kRowGap);
  for (const Card& card : flow.cards) heights[static_cast<size_t>(card.column)] += card.height + kRowGap;
  flow.height = std::ranges::max(heights);
  for (int column = 0; column < flow.columns; ++column) PlaceColumn(flow, column, flow.height);

  for (size_t i = 0; i < flow.cards.size(); ++i) {
    std::vector<Band*> in, out;
    for (Band& band : flow.bands) {
      if (band.to == i) in.push_back(&band);
      if (band.from == i) out.push_back(&band);
    }
    std::ranges::stable_sort(in, {}, [&](Band* band) { return flow.cards[band->from].Middle(); });
    std::ranges::stable_sort(out, {}, [&](Band* band) { return flow.cards[band->to].Middle(); });
    auto spread = [&](std::vector<Band*>& bands, double Band::* place, double Band::* width) {
      double sum = 0;
      for (Band* band : bands) sum += Thickness(band->rows, most);
      bool way = flow.cards[i].kind == kWay;
      double share = way ? 1 : std::min(1.0, (flow.cards[i].height - 10) / std::max(sum, 1.0));
      double y = flow.cards[i].Middle() - sum * share / 2;
      for (Band* band : bands) {
        band->*width = Thickness(band->rows, most) * share;
        band->*place = y;
        y += band->*width;
      }
    };
    spread(in, &Band::to_y, &Band::to_width);
    spread(out, &Band::from_y, &Band::from_width);
  }
}

// From `start` straight on to `from_x`, then with a bend to `to_x`.
std::string DrawBand(const Band& band, double start, double from_x, double to_x) {
  double middle = (from_x + to_x) / 2;
  double from_end = band.from_y + band.from_width, to_end = band.to_y + band.to_width;
  std::string path =
      fmt::format("M{:.1f} {:.1f}H{:.1f}C{:.1f} {:.1f} {:.1f} {:.1f} {:.1f} {:.1f}", start, band.from_y,
                  from_x, middle, band.from_y, middle, band.to_y, to_x, band.to_y);
  path += fmt::format("V{:.1f}C{:.1f} {:.1f} {:.1f} {:.1f} {:.1f} {:.1f}H{:.1f}Z", to_end, middle, to_end,
                      middle, from_end, from_x, from_end, start);
  return fmt::format(R"(<path class="band{}" d="{}"><title>{}{}</title></path>)",
                     band.joined ? " joined" : "", path, Plural(band.rows, "row", "rows"),
                     band.joined ? ", looked up" : "");
}

std::string DrawCard(const Card& card, double x) {
  std::string out = fmt::format(R"(<g class="card {}"><title>{}, {}: {}</title>)", card.kind,
                                Escape(card.title), Escape(card.subtitle), Escape(card.number));
  out += fmt::format(R"(<rect x="{:.1f}" y="{:.1f}" width="{:g}" height="{:.1f}" rx="8"/>)", x, card.y,
                     kCardWidth, card.height);
  double text_height = 56 + 20 * static_cast<double>(card.chips.size());
  double y = card.y + (card.height - text_height) / 2 + 15;
  auto line = [&](std::string_view style, const std::string& text, size_t most) {
    out += fmt::format(R"(<text class="{}" x="{:.1f}" y="{:.1f}">{}</text>)", style, x + 14, y,
                       Escape(Cut(text, most)));
  };
  line("title", card.title, kTitleLength);
  y += 17;
  line("subtitle", card.subtitle, kTitleLength + 8);
  y += 21;
  line("number", card.number, kTitleLength + 4);
  for (const Chip& chip : card.chips) {
    y += 20;
    out +=
        fmt::format(R"(<circle class="chip {}" cx="{:.1f}" cy="{:.1f}" r="4"/>)", chip.kind, x + 18, y - 4);
    out += fmt::format(R"(<text class="chip {}" x="{:.1f}" y="{:.1f}">{}</text>)", chip.kind, x + 28, y,
                       Escape(chip.text));
  }
  return out + "</g>";
}

}  // namespace

int64_t RowsInto(const ReportData::Stage& stage) {
  int64_t rows = 0;
  for (const auto& from : stage.from) rows += from.joined ? 0 : from.rows;
  return rows;
}

bool Holds(const ReportData::Stage& stage) {
  return !stage.equation ||
         RowsInto(stage) == stage.filtered + stage.rejected + (stage.folds ? stage.folded : stage.rows);
}

int64_t RowsFor(const ReportData& data, const ReportData::Store& store) {
  auto stage = std::ranges::find(data.stages, store.stage, &ReportData::Stage::name);
  return stage == data.stages.end() ? store.counts.sent : stage->rows;
}

bool Holds(const ReportData& data, const ReportData::Store& store) {
  return store.counts.balanced() && store.counts.sent == RowsFor(data, store);
}

std::string DrawFlow(const ReportData& data) {
  Flow flow = Collect(data);
  if (flow.cards.empty()) return "";
  AddWays(flow);
  Place(flow);
  double columns = flow.columns;
  double width = std::max(kLeastWidth, columns * kCardWidth + (columns - 1) * kLeastGap);
  double step = (width - kCardWidth - 4) / (columns - 1);
  auto left = [&](const Card& card) { return 2 + step * card.column; };

  std::string out = fmt::format(
      R"(<svg class="flow" viewBox="0 0 {:g} {:.0f}" style="min-width:{:.0f}px" role="img" aria-label="The rows on their way from the inputs to the stores">)",
      width, flow.height + 34, width * 0.62);
  for (int column = 0; column < flow.columns; ++column) {
    std::string_view name = column == 0                  ? "Inputs"
                            : column + 1 == flow.columns ? "Stores"
                            : column == 1                ? "Stages"
                                                         : "";
    out += fmt::format(R"(<text class="column" x="{:.1f}" y="12">{}</text>)", 2 + step * column, name);
  }
  out += R"svg(<g transform="translate(0 28)">)svg";
  for (const Band& band : flow.bands) {
    const Card& from = flow.cards[band.from];
    double end = left(from) + kCardWidth;
    out += DrawBand(band, from.kind == kWay ? left(from) : end, end, left(flow.cards[band.to]));
  }
  for (const Card& card : flow.cards) {
    if (card.kind != kWay) out += DrawCard(card, left(card));
  }
  return out + "</g></svg>";
}

}  // namespace tranche::html

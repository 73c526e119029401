#include "tranche/report/chart.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

#include "tranche/base/units.h"

namespace tranche::html {

namespace {

constexpr double kWidth = 500;
constexpr double kHeight = 190;
constexpr double kLeft = 52;
constexpr double kRight = 14;
constexpr double kTop = 12;
constexpr double kBottom = 24;
constexpr double kPlotWidth = kWidth - kLeft - kRight;
constexpr double kPlotHeight = kHeight - kTop - kBottom;
constexpr double kBase = kTop + kPlotHeight;
constexpr size_t kMostSeries = 6;

// From values to places in the drawing.
struct Scale {
  double least;
  double most;
  double from;
  double to;
  bool logarithmic = false;

  double At(double value) const {
    if (logarithmic)
      return from + (to - from) * (std::log(value) - std::log(least)) / (std::log(most) - std::log(least));
    return from + (to - from) * (value - least) / (most - least);
  }
};

std::string Begin(std::string_view label, double height = kHeight) {
  return fmt::format(R"(<svg class="chart" viewBox="0 0 {:g} {:g}" role="img" aria-label="{}">)", kWidth,
                     height, Escape(label));
}

// What was measured is exact; where a line ends on the page is not.
std::string Number(double value, Unit unit) {
  if (unit == Unit::kNumber && value == std::floor(value) && std::fabs(value) < 1e15)
    return FormatCount(std::llround(value));
  if (unit == Unit::kNumber && std::fabs(value) < 1e6) return fmt::format("{:.6g}", value);
  return Short(value, unit);
}

std::string YAxis(const Scale& y, Unit unit) {
  // Bytes are round in KiB, MiB …, not in thousands.
  double one =
      unit == Unit::kBytes ? std::pow(1024, std::floor(std::log(std::max(y.most, 1.0)) / std::log(1024))) : 1;
  std::string out;
  for (double round : Ticks(y.least / one, y.most / one, 5)) {
    double tick = round * one;
    out += fmt::format(R"(<line class="grid" x1="{:g}" x2="{:g}" y1="{:.1f}" y2="{:.1f}"/>)", kLeft,
                       kWidth - kRight, y.At(tick), y.At(tick));
    out += fmt::format(R"(<text class="tick" x="{:g}" y="{:.1f}" text-anchor="end">{}</text>)", kLeft - 6,
                       y.At(tick) + 4, Escape(Short(tick, unit)));
  }
  return out;
}

std::string XTick(double x, std::string_view text) {
  std::string_view anchor = x < kLeft + 20 ? "start" : x > kWidth - kRight - 20 ? "end" : "middle";
  return fmt::format(R"(<text class="tick" x="{:.1f}" y="{:g}" text-anchor="{}">{}</text>)", x, kBase + 17,
                     anchor, Escape(text));
}

std::string XAxis(const Scale& x, Unit unit) {
  std::string out = fmt::format(R"(<line class="axis" x1="{:g}" x2="{:g}" y1="{:g}" y2="{:g}"/>)", kLeft,
                                kWidth - kRight, kBase, kBase);
  if (unit == Unit::kTime) {
    for (const auto& [value, text] : TimeTicks(x.least, x.most)) out += XTick(x.At(value), text);
  } else {
    for (double value : Ticks(x.least, x.most, 6)) out += XTick(x.At(value), Short(value, unit));
  }
  return out;
}

std::string Line(const Series& series, size_t colour, const Scale& x, const Scale& y, bool area) {
  std::string path;
  for (const auto& [px, py] : series.points) {
    path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? "M" : "L", x.At(px), y.At(py));
  }
  std::string out;
  if (area) {
    out += fmt::format(R"(<path class="area c{}" d="{}L{:.1f} {:.1f}L{:.1f} {:.1f}Z"/>)", colour, path,
                       x.At(series.points.back().first), kBase, x.At(series.points.front().first), kBase);
  }
  return out + fmt::format(R"(<path class="line c{}" d="{}"/>)", colour, path);
}

// Few points are marked; many have invisible marks, for their tooltips.
std::string Points(const Series& series, size_t colour, const Scale& x, const Scale& y,
                   const LineChart& chart) {
  std::string out;
  bool few = series.points.size() <= 40;
  if (series.points.size() > 400) return out;
  for (const auto& [px, py] : series.points) {
    out += fmt::format(
        R"(<circle class="{} c{}" cx="{:.1f}" cy="{:.1f}" r="{}"><title>{}{}: {}</title></circle>)",
        few ? "dot" : "ghost", colour, x.At(px), y.At(py), few ? "2.6" : "5",
        series.name.empty() ? "" : Escape(series.name) + ", ", Escape(Number(px, chart.x)),
        Escape(Number(py, chart.y)));
  }
  return out;
}

std::string Legend(const std::vector<Series>& series) {
  if (series.size() < 2) return "";
  std::string out = R"(<p class="legend">)";
  for (size_t i = 0; i < series.size(); ++i) {
    out += fmt::format(R"(<span class="key c{}">{}</span>)", i + 1, Escape(Cut(series[i].name, 24)));
  }
  return out + "</p>";
}

struct Mark {
  double value;
  std::string_view name;
};

std::string Marks(const std::vector<Mark>& marks, const Scale& x, Unit unit) {
  std::string out;
  double last = -100;
  double row = kTop + 8;
  for (const Mark& mark : marks) {
    double at = x.At(mark.value);
    row = at - last < 96 ? row + 13 : kTop + 8;
    last = at;
    bool left = at > kWidth - 130;
    out += fmt::format(R"(<line class="mark" x1="{:.1f}" x2="{:.1f}" y1="{:g}" y2="{:g}"/>)", at, at, kTop,
                       kBase);
    out += fmt::format(R"(<text class="note" x="{:.1f}" y="{:g}" text-anchor="{}">{} {}</text>)",
                       at + (left ? -5 : 5), row, left ? "end" : "start", mark.name,
                       Escape(Short(mark.value, unit)));
  }
  return out;
}

}  // namespace

double Percentile(std::vector<double> values, double share) {
  if (values.empty()) return 0;
  auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(values.size())));
  auto at = values.begin() + static_cast<std::ptrdiff_t>(std::clamp<size_t>(rank, 1, values.size()) - 1);
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

std::string Draw(const LineChart& chart) {
  double left = INFINITY, right = -INFINITY, least = INFINITY, most = -INFINITY;
  for (const Series& series : chart.series) {
    for (const auto& [x, y] : series.points) {
      left = std::min(left, x), right = std::max(right, x);
      least = std::min(least, y), most = std::max(most, y);
    }
  }
  if (!(right > left)) return "";
  if (chart.from_zero) least = std::min(least, 0.0), most = std::max(most, 0.0);
  if (!(most > least)) most = least + 1;
  if (!chart.from_zero && least != 0) least -= (most - least) * 0.06;
  Scale x{left, right, kLeft, kWidth - kRight};
  Scale y{least, most + (most - least) * 0.06, kBase, kTop};

  std::string out = Begin(chart.label) + YAxis(y, chart.y) + XAxis(x, chart.x);
  size_t count = std::min(chart.series.size(), kMostSeries);
  for (size_t i = 0; i < count; ++i) {
    if (!chart.series[i].points.empty())
      out += Line(chart.series[i], i + 1, x, y, count == 1 && chart.from_zero && least == 0);
  }
  for (size_t i = 0; i < count; ++i) out += Points(chart.series[i], i + 1, x, y, chart);
  return out + "</svg>" + Legend(chart.series);
}

std::string Draw(const BarChart& chart) {
  if (chart.bars.empty()) return "";
  constexpr double kLabel = 168, kRow = 24, kValue = 64;
  double least = 0, most = 0;
  for (const auto& bar : chart.bars) least = std::min(least, bar.second), most = std::max(most, bar.second);
  if (most == least) most = least + 1;
  double height = kRow * static_cast<double>(chart.bars.size()) + 4;
  Scale x{least, most, kLabel + (least < 0 ? kValue : 0), kWidth - kValue};
  std::string out = Begin(chart.label, height);
  double y = 2;
  for (const auto& [name, value] : chart.bars) {
    double from = x.At(std::min(value, 0.0)), to = x.At(std::max(value, 0.0));
    bool negative = value < 0;
    out += fmt::format(R"(<g><title>{}: {}</title>)", Escape(name), Escape(Number(value, chart.unit)));
    out += fmt::format(R"(<text class="name" x="{:g}" y="{:.1f}" text-anchor="end">{}</text>)", kLabel - 8,
                       y + 16, Escape(Cut(name, 22)));
    out += fmt::format(R"(<rect class="bar c{}" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:g}" rx="2"/>)",
                       chart.colour, from, y + 3, std::max(to - from, 1.5), kRow - 6);
    out += fmt::format(R"(<text class="value" x="{:.1f}" y="{:.1f}" text-anchor="{}">{}</text></g>)",
                       negative ? from - 6 : to + 6, y + 16, negative ? "end" : "start",
                       Escape(Number(value, chart.unit)));
    y += kRow;
  }
  return out + "</svg>";
}

std::string Draw(const Histogram& chart) {
  if (chart.values.empty()) return "";
  constexpr int kBuckets = 28;
  auto [low, high] = std::ranges::minmax(chart.values);
  double least = low, most = high;
  bool logarithmic = least > 0 && most / least > 20;
  if (!(most > least)) least = std::max(0.0, least * 0.5), most = most > 0 ? most * 1.5 : 1;
  Scale x{least, most, kLeft, kWidth - kRight, logarithmic};
  std::vector<int64_t> counts(kBuckets);
  for (double value : chart.values) {
    auto bucket = static_cast<int>((x.At(value) - kLeft) / kPlotWidth * kBuckets);
    ++counts[static_cast<size_t>(std::clamp(bucket, 0, kBuckets - 1))];
  }
  Scale y{0, static_cast<double>(std::ranges::max(counts)) * 1.3, kBase, kTop};

  std::string out = Begin(chart.label);
  double width = kPlotWidth / kBuckets;
  for (int i = 0; i < kBuckets; ++i) {
    double count = static_cast<double>(counts[static_cast<size_t>(i)]);
    if (count == 0) continue;
    out += fmt::format(
        R"(<rect class="bar c1" x="{:.1f}" y="{:.1f}" width="{:.1f}" height="{:.1f}"><title>{}</title></rect>)",
        kLeft + i * width + 0.5, y.At(count), width - 1, kBase - y.At(count),
        Plural(static_cast<int64_t>(count), "batch", "batches"));
  }
  if (logarithmic) {
    out += fmt::format(R"(<line class="axis" x1="{:g}" x2="{:g}" y1="{:g}" y2="{:g}"/>)", kLeft,
                       kWidth - kRight, kBase, kBase);
    for (double decade = std::pow(10, std::ceil(std::log10(least))); decade <= most; decade *= 10) {
      out += XTick(x.At(decade), Short(decade, chart.unit));
    }
  } else {
    out += XAxis(x, chart.unit);
  }
  return out +
         Marks({{Percentile(chart.values, 0.5), "p50"}, {Percentile(chart.values, 0.99), "p99"}}, x,
               chart.unit) +
         "</svg>";
}

}  // namespace tranche::html

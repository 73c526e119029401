#include "tranche/report/sample.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cmath>
#include <map>
#include <optional>
#include <set>

#include <fmt/format.h>

#include "tranche/report/chart.h"

namespace tranche::html {

namespace {

constexpr size_t kMostBars = 16;
constexpr size_t kMostLines = 6;
constexpr size_t kMostPoints = 160;  // of one line; more are averaged
constexpr size_t kMostPictures = 2;

enum class Kind { kTime, kFraction, kInteger, kText, kOther };

Kind KindOf(std::string_view type) {
  if (type.starts_with("TIMESTAMP") || type == "DATE") return Kind::kTime;
  if (type == "DOUBLE" || type == "FLOAT" || (type.starts_with("DECIMAL") && !type.ends_with(",0)")))
    return Kind::kFraction;
  if (type.ends_with("INT") || type == "INTEGER" || type == "UINTEGER" || type.starts_with("DECIMAL"))
    return Kind::kInteger;
  if (type == "VARCHAR" || type.starts_with("ENUM")) return Kind::kText;
  return Kind::kOther;
}

struct Field {
  std::string name;
  Kind kind;
  std::vector<double> values = {};  // NaN where NULL, and for text
  std::vector<std::string> texts = {};
  std::set<std::string> distinct = {};
  bool ascending = true;  // never falls, NULLs passed over
  bool descending = true;

  bool numeric() const { return kind == Kind::kFraction || kind == Kind::kInteger; }
  bool unique() const { return distinct.size() == texts.size(); }
};

Field ReadField(const ReportData::Sample& sample, size_t column) {
  Field field{.name = sample.columns[column].name, .kind = KindOf(sample.columns[column].type)};
  double last = NAN;
  for (const TextRow& row : sample.rows) {
    std::optional<std::string> text = column < row.size() ? row[column] : std::nullopt;
    field.texts.push_back(text.value_or("NULL"));
    if (text) field.distinct.insert(*text);
    double value = NAN;
    if (text && field.kind == Kind::kTime) value = ParseMoment(*text);
    if (text && field.numeric()) std::from_chars(text->data(), text->data() + text->size(), value);
    if (value < last) field.ascending = false;
    if (value > last) field.descending = false;
    if (!std::isnan(value)) last = value;
    field.values.push_back(value);
  }
  return field;
}

// Numbers that name a thing or a moment are no measures.
bool NamesSomething(std::string_view name) {
  std::string word(name.substr(name.find_last_of("_ ") + 1));
  std::ranges::transform(word, word.begin(), [](unsigned char c) { return std::tolower(c); });
  constexpr std::array kWords = {"id",      "key",   "code",     "number",    "no",     "zip",    "year",
                                 "quarter", "month", "week",     "day",       "hour",   "minute", "second",
                                 "lat",     "lon",   "latitude", "longitude", "version"};
  return std::ranges::find(kWords, word) != kWords.end();
}

// The numbers worth drawing, best first: what the rows are ranked by, then fractions, then whole numbers.
std::vector<const Field*> Measures(const std::vector<Field>& fields, const Field* x, bool ranked) {
  std::vector<std::pair<int, const Field*>> found;
  for (const Field& field : fields) {
    if (!field.numeric() || &field == x || field.distinct.size() < 2 || NamesSomething(field.name)) continue;
    int rank = ranked && field.descending ? 0 : field.kind == Kind::kFraction ? 1 : 2;
    found.emplace_back(rank, &field);
  }
  std::ranges::stable_sort(found, {}, [](const auto& entry) { return entry.first; });
  std::vector<const Field*> measures;
  for (const auto& [rank, field] : found) measures.push_back(field);
  if (measures.size() > kMostPictures) measures.resize(kMostPictures);
  return measures;
}

// The mean of what shares a key.
struct Mean {
  double sum = 0;
  int64_t count = 0;
  void Add(double value) {
    if (std::isnan(value)) return;
    sum += value;
    ++count;
  }
};

struct Lines {
  std::vector<Series> series;
  bool averaged = false;  // some points are the mean of several rows
};

// One line a value of `by`, or one line; x values that are many are put into buckets.
Lines MakeLines(const Field& x, const Field& y, const Field* by) {
  double least = INFINITY, most = -INFINITY;
  std::set<double> places;
  for (double value : x.values) {
    if (std::isnan(value)) continue;
    least = std::min(least, value), most = std::max(most, value);
    places.insert(value);
  }
  double bucket = places.size() > kMostPoints ? (most - least) / kMostPoints : 0;
  std::map<std::string, std::map<double, Mean>> groups;
  for (size_t i = 0; i < x.values.size(); ++i) {
    double at = x.values[i];
    if (std::isnan(at)) continue;
    if (bucket > 0) at = least + (std::floor((at - least) / bucket) + 0.5) * bucket;
    groups[by ? by->texts[i] : ""][std::min(at, most)].Add(y.values[i]);
  }
  Lines lines;
  for (const auto& [name, means] : groups) {
    Series series{name, {}};
    for (const auto& [at, mean] : means) {
      if (mean.count > 0) series.points.emplace_back(at, mean.sum / static_cast<double>(mean.count));
      lines.averaged |= mean.count > 1;
    }
    if (series.points.size() > 1) lines.series.push_back(std::move(series));
  }
  return lines;
}

std::vector<Picture> DrawLines(const std::vector<Field>& fields, const Field& x) {
  const Field* by = nullptr;
  for (const Field& field : fields) {
    if (field.kind == Kind::kText && field.distinct.size() >= 2 && field.distinct.size() <= kMostLines) {
      by = &field;
      break;
    }
  }
  std::vector<Picture> pictures;
  for (const Field* y : Measures(fields, &x, false)) {
    Lines lines = MakeLines(x, *y, by);
    if (lines.series.empty()) continue;
    std::string caption = fmt::format("{}{} by {}", lines.averaged ? "mean " : "", y->name, x.name);
    if (lines.series.size() > 1) caption += fmt::format(", a line for each {}", by->name);
    LineChart chart{
        .label = caption, .x = x.kind == Kind::kTime ? Unit::kTime : Unit::kNumber, .series = lines.series};
    auto [least, most] =
        std::ranges::minmax(y->values, [](double a, double b) { return std::isnan(b) || a < b; });
    chart.from_zero = least < 0 || least < most / 2;
    pictures.push_back({caption, Draw(chart)});
  }
  return pictures;
}

std::vector<Picture> DrawBars(const std::vector<Field>& fields, const Field& x) {
  std::vector<Picture> pictures;
  for (const Field* y : Measures(fields, &x, true)) {
    std::vector<std::string> order;
    std::map<std::string, Mean> means;
    for (size_t i = 0; i < x.texts.size(); ++i) {
      if (!means.contains(x.texts[i])) order.push_back(x.texts[i]);
      means[x.texts[i]].Add(y->values[i]);
    }
    BarChart chart{.label = fmt::format("{}{} by {}", x.unique() ? "" : "mean ", y->name, x.name),
                   .colour = static_cast<int>(pictures.size()) + 1};
    for (const std::string& name : order) {
      const Mean& mean = means[name];
      if (mean.count > 0 && chart.bars.size() < kMostBars) {
        chart.bars.emplace_back(name, mean.sum / static_cast<double>(mean.count));
      }
    }
    std::string caption =
        chart.label + (order.size() > kMostBars ? fmt::format(", the first {}", kMostBars) : "");
    pictures.push_back({caption, Draw(chart)});
  }
  return pictures;
}

// What tells the rows apart in words: the longest text of those with the most distinct values.
const Field* Category(const std::vector<Field>& fields) {
  auto length = [](const Field& field) {
    size_t sum = 0;
    for (const std::string& text : field.distinct) sum += std::min<size_t>(text.size(), 30);
    return sum;
  };
  const Field* best = nullptr;
  for (const Field& field : fields) {
    if (field.kind != Kind::kText || field.distinct.size() < 2) continue;
    if (!field.unique() && field.distinct.size() > 2 * kMostBars) continue;
    if (!best ||
        std::pair(field.distinct.size(), length(field)) > std::pair(best->distinct.size(), length(*best)))
      best = &field;
  }
  return best;
}

}  // namespace

double ParseMoment(std::string_view text) {
  auto number = [&](size_t at, size_t length, int& value) {
    if (at + length > text.size()) return false;
    auto [end, error] = std::from_chars(text.data() + at, text.data() + at + length, value);
    return error == std::errc() && end == text.data() + at + length;
  };
  int year, month, day, hour = 0, minute = 0, second = 0;
  if (!number(0, 4, year) || !number(5, 2, month) || !number(8, 2, day) || text[4] != '-' || text[7] != '-')
    return NAN;
  std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                   std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) return NAN;
  double seconds = static_cast<double>(std::chrono::sys_days(date).time_since_epoch().count()) * 86400;
  if (text.size() == 10) return seconds;
  if (!number(11, 2, hour) || !number(14, 2, minute)) return NAN;
  if (text.size() >= 19 && !number(17, 2, second)) return NAN;
  double offset = 0;
  size_t sign = text.find_first_of("+-", 16);
  int offset_hours = 0;
  if (sign != std::string_view::npos && number(sign + 1, 2, offset_hours)) {
    offset = (text[sign] == '-' ? -1 : 1) * offset_hours * 3600.0;
  }
  return seconds + hour * 3600 + minute * 60 + second - offset;
}

std::vector<Picture> DrawSample(const ReportData::Sample& sample) {
  if (sample.rows.size() < 2) return {};
  std::vector<Field> fields;
  for (size_t i = 0; i < sample.columns.size(); ++i) fields.push_back(ReadField(sample, i));

  for (const Field& field : fields) {  // a list of single days in another order than time is a ranking
    if (field.kind != Kind::kTime || field.distinct.size() < 2) continue;
    bool ranking =
        !field.ascending && !field.descending && field.unique() && field.texts.size() <= 2 * kMostBars;
    return ranking ? DrawBars(fields, field) : DrawLines(fields, field);
  }
  if (!fields.empty() && fields[0].kind == Kind::kInteger && fields[0].unique() && fields[0].ascending &&
      sample.rows.size() > 4) {
    return DrawLines(fields, fields[0]);
  }
  if (const Field* category = Category(fields)) return DrawBars(fields, *category);
  return {};
}

}  // namespace tranche::html

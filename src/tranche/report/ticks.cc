// Where the ticks of an axis stand.

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>

#include <fmt/format.h>

#include "tranche/report/chart.h"

namespace tranche::html {

namespace {

constexpr double kMinute = 60;
constexpr double kHour = 3600;
constexpr double kDay = 86400;
constexpr int kMostTimeTicks = 6;
constexpr std::array kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

using TimeTick = std::pair<double, std::string>;

double ToSeconds(std::chrono::sys_days day) {
  return static_cast<double>(day.time_since_epoch().count()) * kDay;
}

std::string TimeLabel(double value, double step) {
  std::chrono::sys_seconds moment{std::chrono::seconds(std::llround(value))};
  auto day = std::chrono::floor<std::chrono::days>(moment);
  std::chrono::year_month_day date(day);
  std::chrono::hh_mm_ss time(moment - day);
  if (step >= kDay || value == ToSeconds(day)) {
    return fmt::format("{} {}", static_cast<unsigned>(date.day()),
                       kMonths[static_cast<unsigned>(date.month()) - 1]);
  }
  if (step >= kMinute) return fmt::format("{:02}:{:02}", time.hours().count(), time.minutes().count());
  return fmt::format("{:02}:{:02}:{:02}", time.hours().count(), time.minutes().count(),
                     time.seconds().count());
}

// Every `months` months from January on.
std::vector<TimeTick> MonthTicks(double least, double most, int months) {
  using std::chrono::year, std::chrono::month, std::chrono::day;
  std::vector<TimeTick> ticks;
  std::chrono::year_month_day first(std::chrono::floor<std::chrono::days>(
      std::chrono::sys_seconds{std::chrono::seconds(static_cast<int64_t>(least))}));
  for (int at = static_cast<int>(first.year()) * 12; ticks.size() < 100; at += months) {
    unsigned number = static_cast<unsigned>(at % 12) + 1;
    double value = ToSeconds(std::chrono::sys_days(year(at / 12) / month(number) / day(1)));
    if (value > most) break;
    if (value < least) continue;
    ticks.emplace_back(value, number == 1 ? fmt::format("{}", at / 12) : std::string(kMonths[number - 1]));
  }
  return ticks;
}

}  // namespace

std::vector<double> Ticks(double least, double most, int count) {
  double span = most - least;
  if (!(span > 0) || !std::isfinite(span)) return {least};
  double magnitude = std::pow(10, std::floor(std::log10(span / count)));
  double step = magnitude;
  for (double factor : {1.0, 2.0, 5.0, 10.0}) {
    step = factor * magnitude;
    if (span / step <= count) break;
  }
  std::vector<double> ticks;
  for (double at = std::ceil(least / step - 1e-9); at * step <= most + step * 1e-9; ++at)
    ticks.push_back(at * step + 0.0);  // + 0.0: no minus before a zero
  return ticks;
}

std::vector<TimeTick> TimeTicks(double least, double most) {
  double span = most - least;
  for (double step : {1.0, 5.0, 15.0, 30.0, kMinute, 5 * kMinute, 15 * kMinute, 30 * kMinute, kHour,
                      3 * kHour, 6 * kHour, 12 * kHour, kDay, 2 * kDay, 4 * kDay, 7 * kDay, 14 * kDay}) {
    if (span / step > kMostTimeTicks) continue;
    std::vector<TimeTick> ticks;
    for (double at = std::ceil(least / step) * step; at <= most; at += step)
      ticks.emplace_back(at, TimeLabel(at, step));
    return ticks;
  }
  double months = span / (30.4 * kDay);
  for (int step : {1, 2, 3, 6, 12, 24, 60, 120}) {
    if (months / step <= kMostTimeTicks) return MonthTicks(least, most, step);
  }
  return MonthTicks(least, most, std::max(12, static_cast<int>(months / kMostTimeTicks / 12) * 12));
}

}  // namespace tranche::html

#include "tranche/base/units.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>
#include <vector>

namespace tranche {
namespace {

constexpr std::string_view kSizeHint = "write a number and B, kB, MB, GB, KiB, MiB or GiB, as in 8MiB";
constexpr std::string_view kDurationHint = "write numbers with ms, s, m, h, d or w, as in 200ms or 1h30m";

struct Unit {
  std::string_view name;
  int64_t factor;
};
constexpr Unit kSizes[] = {{"B", 1},         {"kB", 1000},     {"MB", 1'000'000}, {"GB", 1'000'000'000},
                           {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};
constexpr Unit kTimes[] = {{"ms", 1'000'000},       {"s", 1'000'000'000},     {"m", 60'000'000'000},
                           {"h", 3600'000'000'000}, {"d", 86400'000'000'000}, {"w", 7 * 86400'000'000'000}};

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

std::string_view Trim(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// Takes "12" or "1.5" off the front of `text`: digits, and digits behind a point. False if there are none.
bool TakeDecimal(std::string_view& text, long double& value) {
  size_t end = 0;
  while (end < text.size() && IsDigit(text[end])) ++end;
  if (end == 0) return false;
  if (end + 1 < text.size() && text[end] == '.' && IsDigit(text[end + 1])) {
    ++end;
    while (end < text.size() && IsDigit(text[end])) ++end;
  }
  auto [stop, error] = std::from_chars(text.data(), text.data() + end, value, std::chars_format::fixed);
  if (error != std::errc() || stop != text.data() + end) return false;
  text.remove_prefix(end);
  return true;
}

std::string_view TakeWord(std::string_view& text) {
  size_t end = 0;
  while (end < text.size() && IsLetter(text[end])) ++end;
  std::string_view word = text.substr(0, end);
  text.remove_prefix(end);
  return word;
}

template <size_t N>
std::optional<int64_t> Factor(const Unit (&units)[N], std::string_view name) {
  for (const Unit& unit : units) {
    if (unit.name == name) return unit.factor;
  }
  return std::nullopt;
}

constexpr long double kLargest = static_cast<long double>(std::numeric_limits<int64_t>::max());

}  // namespace

Result<int64_t> ParseSize(std::string_view text) {
  auto refuse = [&] { return Fail(Code::kJob, "not a size: '{}'; {}", text, kSizeHint); };
  std::string_view rest = Trim(text);
  long double value = 0;
  if (!TakeDecimal(rest, value)) return refuse();
  rest = Trim(rest);
  std::optional<int64_t> factor = Factor(kSizes, rest);
  if (!factor) return refuse();
  value *= static_cast<long double>(*factor);
  if (value >= kLargest) return Fail(Code::kJob, "size is too large: '{}'", text);
  return static_cast<int64_t>(value);
}

Result<Duration> ParseDuration(std::string_view text) {
  auto refuse = [&] { return Fail(Code::kJob, "not a duration: '{}'; {}", text, kDurationHint); };
  std::string_view rest = Trim(text);
  long double total = 0;
  int64_t last = std::numeric_limits<int64_t>::max();
  do {
    long double value = 0;
    if (!TakeDecimal(rest, value)) return refuse();
    std::optional<int64_t> factor = Factor(kTimes, TakeWord(rest));
    if (!factor || *factor >= last) return refuse();  // 30m1h and 1s1s are slips
    last = *factor;
    total += value * static_cast<long double>(*factor);
    if (total >= kLargest) return Fail(Code::kJob, "duration is too long: '{}'", text);
  } while (!rest.empty());
  return Duration(static_cast<int64_t>(std::roundl(total)));
}

Result<int64_t> ParseInteger(std::string_view text) {
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::result_out_of_range) {
    return Fail(Code::kJob, "whole number is too large: '{}'", text);
  }
  if (error != std::errc() || end != text.data() + text.size()) {
    return Fail(Code::kJob, "not a whole number: '{}'", text);
  }
  return value;
}

Result<double> ParseNumber(std::string_view text) {
  double value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || !std::isfinite(value)) {
    return Fail(Code::kJob, "not a number: '{}'", text);
  }
  return value;
}

Result<bool> ParseBoolean(std::string_view text) {
  if (text == "true") return true;
  if (text == "false") return false;
  return Fail(Code::kJob, "not true or false: '{}'", text);
}

bool RejectLimit::Exceeded(int64_t rejected, int64_t seen, bool end) const {
  if (!percent) return rejected > count.value_or(0);
  // The factor forgives the rounding of a percentage that is not a binary fraction, far below one row.
  return end && static_cast<double>(rejected) * 100 > *percent * static_cast<double>(seen) * (1 + 1e-12);
}

std::string RejectLimit::ToString() const {
  return percent ? fmt::format("{}%", *percent) : fmt::format("{}", count.value_or(0));
}

Result<RejectLimit> ParseRejectLimit(std::string_view text) {
  std::string_view rest = Trim(text);
  RejectLimit limit;
  if (rest.ends_with('%')) {
    auto percent = ParseNumber(Trim(rest.substr(0, rest.size() - 1)));
    if (percent && *percent >= 0 && *percent <= 100) {
      limit.percent = *percent;
      return limit;
    }
  } else if (auto count = ParseInteger(rest); count && *count >= 0) {
    limit.count = *count;
    return limit;
  }
  return Fail(Code::kJob, "not a number of rejects: '{}'; write how many are allowed, as in 10 or 0.1%",
              text);
}

std::string FormatCount(int64_t value) {
  std::string digits = fmt::format("{}", value);
  size_t first = value < 0 ? 1 : 0;
  for (size_t at = digits.size(); at > first + 3;) {
    at -= 3;
    digits.insert(at, 1, ',');
  }
  return digits;
}

std::string FormatBytes(int64_t bytes) {
  if (bytes > -1024 && bytes < 1024) return fmt::format("{} B", bytes);
  constexpr std::string_view kNames[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = static_cast<double>(bytes) / 1024;
  size_t unit = 0;
  while (std::abs(value) >= 1023.95 && unit + 1 < std::size(kNames)) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kNames[unit]);
}

std::string FormatDuration(Duration duration) {
  using std::chrono::duration_cast;
  int64_t millis = duration_cast<std::chrono::milliseconds>(duration).count();
  if (millis < 1000) return fmt::format("{}ms", millis);
  if (millis < 59'995) return fmt::format("{:.2f}s", static_cast<double>(millis) / 1000);
  int64_t seconds = (millis + 500) / 1000;
  if (seconds < 3600) return fmt::format("{}m {:02}s", seconds / 60, seconds % 60);
  int64_t minutes = seconds / 60;
  return fmt::format("{}h {:02}m", minutes / 60, minutes % 60);
}

int EditDistance(std::string_view a, std::string_view b) {
  // Three rows of the table of distances between prefixes of `a` and of `b`.
  std::vector<int> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = static_cast<int>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      int change = last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        row[j] = std::min(row[j], before[j - 2] + 1);
      }
    }
    before.swap(last);
    last.swap(row);
  }
  return last[b.size()];
}

}  // namespace tranche

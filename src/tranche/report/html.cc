#include "tranche/report/html.h"

#include <array>
#include <chrono>
#include <cmath>

#include <fmt/format.h>

#include "tranche/base/units.h"
#include "tranche/report/style.h"

namespace tranche::html {

namespace {

constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
constexpr std::array kMonthNames = {"January", "February", "March",     "April",   "May",      "June",
                                    "July",    "August",   "September", "October", "November", "December"};
constexpr std::array kDays = {"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"};

// Length of the UTF-8 character that begins at `at`, or 0 if there is none.
size_t CharacterAt(std::string_view text, size_t at) {
  auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  auto follows = [&](size_t i) { return (byte(i) & 0xC0U) == 0x80U; };
  unsigned first = byte(at);
  if (first < 0x80) return 1;
  if (first >= 0xC2 && first <= 0xDF) return follows(at + 1) ? 2 : 0;
  if (first >= 0xE0 && first <= 0xEF) {
    bool short_form = first == 0xE0 && byte(at + 1) < 0xA0;
    bool surrogate = first == 0xED && byte(at + 1) > 0x9F;
    return follows(at + 1) && follows(at + 2) && !short_form && !surrogate ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    bool short_form = first == 0xF0 && byte(at + 1) < 0x90;
    bool too_large = first == 0xF4 && byte(at + 1) > 0x8F;
    return follows(at + 1) && follows(at + 2) && follows(at + 3) && !short_form && !too_large ? 4 : 0;
  }
  return 0;
}

std::string OneDecimal(double value, std::string_view unit) {
  std::string text = fmt::format("{:.{}f}", value, std::fabs(value) < 10 ? 1 : 0);
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text + std::string(unit);
}

std::string ShortNumber(double value) {
  double size = std::fabs(value);
  if (size >= 1e9) return OneDecimal(value / 1e9, "G");
  if (size >= 1e6) return OneDecimal(value / 1e6, "M");
  if (size >= 1e4) return OneDecimal(value / 1e3, "k");
  if (size >= 100 || value == std::floor(value)) return FormatCount(std::llround(value));
  return fmt::format("{:.3g}", value);
}

std::string ShortSeconds(double value) {
  if (value == 0) return "0";
  if (value < 1e-3) return OneDecimal(value * 1e6, " µs");
  if (value < 1) return OneDecimal(value * 1e3, " ms");
  if (value < 120) return OneDecimal(value, " s");
  return OneDecimal(value / 60, " min");
}

std::string ShortBytes(double value) {
  constexpr std::array kUnits = {" B", " KiB", " MiB", " GiB", " TiB"};
  size_t unit = 0;
  while (value >= 1000 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  return OneDecimal(value, kUnits[unit]);
}

struct Calendar {
  std::chrono::year_month_day date;
  std::chrono::hh_mm_ss<std::chrono::seconds> time;
  unsigned weekday;
};

Calendar ToCalendar(int64_t seconds) {
  std::chrono::sys_seconds moment{std::chrono::seconds(seconds)};
  auto day = std::chrono::floor<std::chrono::days>(moment);
  return {std::chrono::year_month_day(day), std::chrono::hh_mm_ss(moment - day),
          std::chrono::weekday(day).c_encoding()};
}

std::string ShortTime(double value) {
  Calendar at = ToCalendar(static_cast<int64_t>(value));
  return fmt::format("{} {:.3} {:02}:{:02}", static_cast<unsigned>(at.date.day()),
                     kMonthNames[static_cast<unsigned>(at.date.month()) - 1], at.time.hours().count(),
                     at.time.minutes().count());
}

}  // namespace

std::string Escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size();) {
    char c = text[i];
    size_t length = CharacterAt(text, i);
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else if (c == '\'')
      out += "&#39;";
    else if (length == 0 || (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t') || c == 0x7F)
      out += kReplacement;
    else
      out += text.substr(i, length);
    i += std::max<size_t>(length, 1);
  }
  return out;
}

std::string Cut(std::string_view text, size_t most) {
  size_t characters = 0;
  size_t keep = 0;  // bytes of the first most - 1 characters
  for (size_t i = 0; i < text.size(); i += std::max<size_t>(CharacterAt(text, i), 1)) {
    if (characters == most - 1) keep = i;
    if (++characters > most) return std::string(text.substr(0, keep)) + "…";
  }
  return std::string(text);
}

std::string Short(double value, Unit unit) {
  if (!std::isfinite(value)) return "–";
  switch (unit) {
    case Unit::kBytes:
      return ShortBytes(value);
    case Unit::kSeconds:
      return ShortSeconds(value);
    case Unit::kTime:
      return ShortTime(value);
    case Unit::kNumber:
      break;
  }
  return ShortNumber(value);
}

std::string Plural(int64_t count, std::string_view one, std::string_view many) {
  return fmt::format("{} {}", FormatCount(count), count == 1 ? one : many);
}

std::string Moment(int64_t micros) {
  Calendar at = ToCalendar(micros / 1'000'000);
  return fmt::format(
      "{} {} {} {}, {:02}:{:02}:{:02} UTC", kDays[at.weekday], static_cast<unsigned>(at.date.day()),
      kMonthNames[static_cast<unsigned>(at.date.month()) - 1], static_cast<int>(at.date.year()),
      at.time.hours().count(), at.time.minutes().count(), at.time.seconds().count());
}

std::string Seconds(double seconds) { return FormatDuration(Duration(static_cast<int64_t>(seconds * 1e9))); }

std::string Page(std::string_view title, const std::string& body) {
  std::string out = "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
  out +=
      R"(<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">)";
  out += R"(<meta name="viewport" content="width=device-width, initial-scale=1">)";
  out += fmt::format("<title>{}</title>\n<style>", Escape(title));
  out += kStyle;
  out += "</style>\n</head>\n<body><main>\n" + body;
  return out +
         "<footer>Made by Tranche. This page loads nothing and runs no "
         "script.</footer>\n</main></body>\n</html>\n";
}

std::string Section(std::string_view title, const std::string& body) {
  return body.empty() ? "" : fmt::format("<section><h2>{}</h2>{}</section>\n", title, body);
}

std::string CardOf(const std::string& body) { return fmt::format(R"(<div class="card">{}</div>)", body); }

std::string Tile(const std::string& number, std::string_view name) {
  return fmt::format(R"(<div class="tile"><b>{}</b><span>{}</span></div>)", Escape(number), name);
}

}  // namespace tranche::html

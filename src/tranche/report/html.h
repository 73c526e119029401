// Text for reports: escaped, numbers as people read them, and the frame of a page.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tranche::html {

// For element content and for attribute values in double quotes. Control characters and invalid UTF-8 become
// U+FFFD.
std::string Escape(std::string_view text);

// At most `most` characters (not bytes), the last one "…" if something was cut; not escaped.
std::string Cut(std::string_view text, size_t most);

enum class Unit { kNumber, kBytes, kSeconds, kTime };  // kTime: seconds since 1970, UTC

// "1.2k", "35.0 MiB", "4.2 ms": for the axis of a chart. kTime: "3 Feb 14:05".
std::string Short(double value, Unit unit);
std::string Plural(int64_t count, std::string_view one, std::string_view many);  // "1 row", "1,234 rows"
std::string Moment(int64_t micros);   // "Friday 20 November 2026, 14:03:07 UTC"
std::string Seconds(double seconds);  // "1.24s", "2m 05s"

// A page that loads nothing and runs nothing, whatever stands in it. `body` is HTML, the title is text.
std::string Page(std::string_view title, const std::string& body);
std::string Section(std::string_view title, const std::string& body);  // nothing where the body is empty
std::string CardOf(const std::string& body);
std::string Tile(const std::string& number, std::string_view name);

}  // namespace tranche::html

#include "tranche/base/result.h"

#include <system_error>

namespace tranche {

int ExitCode(Code code) {
  switch (code) {
    case Code::kOutside:
      return 1;
    case Code::kJob:
      return 2;
    case Code::kData:
      return 3;
    case Code::kBusy:
      return 4;
    case Code::kInternal:
      return 70;
  }
  return 70;
}

std::string Place::ToString() const {
  if (!known()) return "";
  if (line == 0) return file;
  if (column == 0) return fmt::format("{}:{}", file, line);
  return fmt::format("{}:{}:{}", file, line, column);
}

std::string Error::ToString() const {
  std::string text = place.known() ? fmt::format("{}: {}", place.ToString(), message) : message;
  if (!hint.empty()) text += "; " + hint;
  return text;
}

Error FailErrno(std::string_view action, std::string_view path, int error_number) {
  return Fail(Code::kOutside, "cannot {} {}: {}", action, path,
              std::generic_category().message(error_number));
}

}  // namespace tranche

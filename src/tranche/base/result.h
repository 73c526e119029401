// Errors are values. Result<T> holds a T or an Error; it can't be ignored.
//
//   Result<int> Half(int n) {
//     if (n % 2) return Fail(Code::kData, "odd number: {}", n);
//     return n / 2;
//   }
//   Result<int> Quarter(int n) {
//     TRANCHE_ASSIGN(int half, Half(n));
//     return Half(half);
//   }
#pragma once

#include <expected>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace tranche {

// Whose fault it is; this decides the exit code (docs: "Exit codes").
enum class Code {
  kOutside,   // disk, file, server: stopped, run it again to resume   exit 1
  kJob,       // the job file or the command line is wrong; nothing ran   exit 2
  kData,      // the data need a person: too many rejects, a failed check, no balance   exit 3
  kBusy,      // another run holds the job   exit 4
  kInternal,  // our bug   exit 70
};

int ExitCode(Code code);

// A place in a file of the user's. Lines and columns count from 1; 0 means unknown.
struct Place {
  std::string file;
  int line = 0;
  int column = 0;

  bool known() const { return !file.empty(); }
  std::string ToString() const;  // "sales.yaml:14:9", or "" where nothing is known
  bool operator==(const Place&) const = default;
};

struct Error {
  Code code = Code::kInternal;
  std::string message;  // fixed text first, values last; one sentence, no final full stop
  Place place = {};
  std::string hint = {};  // what to do next; may be empty

  // "sales.yaml:14:9: unknown field 'windw' in 'group'; did you mean 'window'?"
  std::string ToString() const;

  Error At(Place where) && {
    if (!place.known()) place = std::move(where);
    return std::move(*this);
  }
  Error Hint(std::string text) && {
    hint = std::move(text);
    return std::move(*this);
  }
  // Puts "context: " before the message.
  Error In(std::string_view context) && {
    message = fmt::format("{}: {}", context, message);
    return std::move(*this);
  }
};

template <typename T>
class [[nodiscard]] Result : public std::expected<T, Error> {
 public:
  using std::expected<T, Error>::expected;
  Result(Error error) : std::expected<T, Error>(std::unexpected(std::move(error))) {}
};

template <>
class [[nodiscard]] Result<void> : public std::expected<void, Error> {
 public:
  using std::expected<void, Error>::expected;
  Result(Error error) : std::expected<void, Error>(std::unexpected(std::move(error))) {}
};

using Status = Result<void>;

template <typename... Args>
Error Fail(Code code, fmt::format_string<Args...> format, Args&&... args) {
  return Error{code, fmt::format(format, std::forward<Args>(args)...)};
}

// An Error of Code::kOutside that names the file and errno. FailErrno("open", "/x", ENOENT) says
// "cannot open /x: No such file or directory".
Error FailErrno(std::string_view action, std::string_view path, int error_number);

#define TRANCHE_JOIN2(a, b) a##b
#define TRANCHE_JOIN(a, b) TRANCHE_JOIN2(a, b)

// Returns the error of `expression`, if it has one.
#define TRANCHE_TRY(expression)                                             \
  do {                                                                      \
    if (auto tried = (expression); !tried) return std::move(tried).error(); \
  } while (false)

// `declaration` = the value of `expression`, or returns its error.
#define TRANCHE_ASSIGN(declaration, expression) \
  TRANCHE_ASSIGN_AS(TRANCHE_JOIN(assigned_, __LINE__), declaration, expression)
#define TRANCHE_ASSIGN_AS(name, declaration, expression) \
  auto name = (expression);                              \
  if (!name) return std::move(name).error();             \
  declaration = *std::move(name)

}  // namespace tranche

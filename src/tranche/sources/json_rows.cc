#include "tranche/sources/json_rows.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <map>
#include <optional>
#include <span>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <rapidjson/reader.h>
#include <rapidjson/stringbuffer.h>
#include <rapidjson/writer.h>

#include "tranche/sources/place_rows.h"
#include "tranche/sources/text_cursor.h"

namespace tranche {
namespace {

// A number as the engine writes it as text, and as it writes it within JSON: shortest digits, ".0" for a
// whole fraction. What has neither point nor exponent stays as it stands.
std::string NumberText(std::string_view token, bool in_json) {
  if (token.find_first_of(".eE") == std::string_view::npos) return std::string(token);
  double number = 0;
  if (std::from_chars(token.data(), token.data() + token.size(), number).ec != std::errc()) {
    return std::string(token);
  }
  std::string text = fmt::format("{}", number);  // 1e+25, 1e-07
  if (in_json) {
    const double size = std::abs(number);
    if (size == 0 || (size >= 1e-6 && size < 1e21)) {
      std::array<char, 64> fixed;
      const auto [end, problem] =
          std::to_chars(fixed.data(), fixed.data() + fixed.size(), number, std::chars_format::fixed);
      text.assign(fixed.data(), end);
    } else if (const size_t exponent = text.find('e') + 1; exponent > 0) {  // 1e25, 1e-7
      const bool negative = text[exponent] == '-';
      text.replace(exponent, text.find_first_of("123456789", exponent) - exponent, negative ? "-" : "");
    }
  }
  return text.find_first_of(".e") == std::string::npos ? text + ".0" : text;
}

// Takes the values of some keys out of an object.
class ObjectReader : public rapidjson::BaseReaderHandler<rapidjson::UTF8<>, ObjectReader> {
 public:
  explicit ObjectReader(std::vector<JsonKey> keys)
      : keys_(std::move(keys)), values_(keys_.size()), found_(keys_.size()) {
    for (size_t i = 0; i < keys_.size(); ++i) by_name_.emplace(keys_[i].name, i);
  }

  // Why the line is no row, or nothing. The values may point into it.
  std::string_view Parse(std::string_view line) {
    Begin();
    if (ReadFlat(line)) return "";
    Begin();
    line_.assign(line);
    rapidjson::InsituStringStream stream(line_.data());
    constexpr unsigned kFlags = rapidjson::kParseIterativeFlag | rapidjson::kParseNumbersAsStringsFlag |
                                rapidjson::kParseTrailingCommasFlag | rapidjson::kParseNanAndInfFlag |
                                rapidjson::kParseInsituFlag;
    const bool read = !reader_.Parse<kFlags>(stream, *this).IsError() && stream.Tell() == line_.size();
    if (!read) return "is malformed JSON";
    if (!is_object_) return "is not an object";
    return twice_ ? "has a key twice" : "";
  }

  // One for each key; nullopt where it is absent or null. Until the next Parse.
  std::span<const std::optional<std::string_view>> values() {
    for (size_t i = 0; i < found_.size(); ++i) {
      const Found& found = found_[i];
      values_[i].reset();
      if (found.given) values_[i] = {found.in_line ? found.in_line : texts_.data() + found.from, found.size};
    }
    return values_;
  }
  // Whether each of them is of its column's type for sure.
  bool castable() const { return castable_; }

  // What RapidJSON calls.
  bool Null() {
    return depth_ == 1 || Inner([](auto& writer) { return writer.Null(); });
  }
  bool Bool(bool value) {
    return Scalar(value ? "true" : "false", [value](auto& writer) { return writer.Bool(value); });
  }
  bool RawNumber(const char* text, rapidjson::SizeType size, bool) {
    if (!wanted()) return true;
    if (depth_ == 1 && as() == JsonKey::As::kToken) {
      GiveNumber({text, size});
      return true;
    }
    const bool in_json = depth_ > 1 || as() == JsonKey::As::kJson;
    const std::string number = NumberText({text, size}, in_json);
    return Scalar(number, [&](auto& writer) {
      return writer.RawValue(number.data(), number.size(), rapidjson::kNumberType);
    });
  }
  bool String(const char* text, rapidjson::SizeType size, bool) {
    if (depth_ == 1 && wanted() && as() != JsonKey::As::kJson) {
      GiveText({text, size});
      return true;
    }
    return Scalar({text, size}, [&](auto& writer) { return writer.String(text, size); });
  }
  bool Key(const char* text, rapidjson::SizeType size, bool) {
    if (depth_ > 1) return Inner([&](auto& writer) { return writer.Key(text, size); });
    const std::string_view name(text, size);
    key_ = Find(name);
    if (key_ < 0) {
      twice_ = twice_ || std::ranges::find(others_, name) != others_.end();
      others_.emplace_back(name);
      return true;
    }
    twice_ = twice_ || found_[static_cast<size_t>(key_)].seen;
    found_[static_cast<size_t>(key_)].seen = true;
    return true;
  }
  bool StartObject() {
    is_object_ = is_object_ || depth_ == 0;
    return Start([](auto& writer) { return writer.StartObject(); });
  }
  bool StartArray() {
    return Start([](auto& writer) { return writer.StartArray(); });
  }
  bool EndObject(rapidjson::SizeType) {
    return End([](auto& writer) { return writer.EndObject(); });
  }
  bool EndArray(rapidjson::SizeType) {
    return End([](auto& writer) { return writer.EndArray(); });
  }

 private:
  struct Found {
    bool seen = false;
    bool given = false;
    const char* in_line = nullptr;  // else from `from` in `texts_`
    size_t from = 0;
    size_t size = 0;
  };

  // Objects of a file mostly have their keys in one order.
  int Find(std::string_view name) {
    if (next_ < keys_.size() && keys_[next_].name == name) return static_cast<int>(next_++);
    const auto found = by_name_.find(name);
    if (found == by_name_.end()) return -1;
    next_ = found->second + 1;
    return static_cast<int>(found->second);
  }

  bool wanted() const { return is_object_ && depth_ >= 1 && key_ >= 0; }
  const JsonKey& key() const { return keys_[static_cast<size_t>(key_)]; }
  JsonKey::As as() const { return key().as; }

  bool IsPlain(std::string_view number) const {
    if (number.starts_with('-')) number.remove_prefix(1);
    return number.size() <= key().digits && std::ranges::all_of(number, [this](char c) {
             return (c >= '0' && c <= '9') || (c == '.' && key().fractions);
           });
  }

  // To the engine a whole -0 is 0.
  void GiveNumber(std::string_view number) {
    castable_ = castable_ && (key().takes_all || IsPlain(number));
    GiveFromLine(number == "-0" ? number.substr(1) : number);
  }
  void GiveText(std::string_view text) {
    castable_ = castable_ && key().takes_all;
    GiveFromLine(text);
  }
  void GiveFromLine(std::string_view text) {
    Found& found = found_[static_cast<size_t>(key_)];
    found.given = true;
    found.in_line = text.data();
    found.size = text.size();
  }
  void Give(std::string_view text) {
    Found& found = found_[static_cast<size_t>(key_)];
    found = {.seen = found.seen, .given = true, .from = texts_.size(), .size = text.size()};
    texts_ += text;
    castable_ = castable_ && key().takes_all;
  }

  void Begin() {
    texts_.clear();
    others_.clear();
    std::ranges::fill(found_, Found{});
    depth_ = 0;
    next_ = 0;
    is_object_ = twice_ = false;
    castable_ = true;
  }

  // Most lines are an object of some of the keys, with values that stand there as they are handed on: those
  // it reads in one go. false: it is more than that, or nothing.
  bool ReadFlat(std::string_view line) {
    const char* at = line.data();
    const char* const end = at + line.size();
    auto blank = [&] {
      while (at != end && (*at == ' ' || *at == '\t')) ++at;
    };
    auto take = [&](char c) {
      if (at == end || *at != c) return false;
      ++at;
      return true;
    };
    // A text without an escape, up to its closing quote.
    auto text = [&](std::string_view& found) {
      const char* const begin = at;
      while (at != end && *at != '"' && *at != '\\' && static_cast<unsigned char>(*at) >= 0x20) ++at;
      found = {begin, at};
      return take('"');
    };
    auto digits = [&] {
      const char* const begin = at;
      while (at != end && *at >= '0' && *at <= '9') ++at;
      return at - begin;
    };
    auto word = [&](std::string_view expected) {
      if (!std::string_view(at, end).starts_with(expected)) return false;
      at += expected.size();
      return true;
    };
    auto value = [&] {
      if (as() == JsonKey::As::kJson) return word("null");
      const char* const begin = at;
      if (take('"')) {
        std::string_view found;
        if (!text(found)) return false;
        GiveText(found);
        return true;
      }
      for (std::string_view truth : {"true", "false"}) {
        if (!word(truth)) continue;
        GiveText(truth);
        return true;
      }
      if (word("null")) return true;
      take('-');
      if (at == end || (*at == '0' && at + 1 != end && at[1] >= '0' && at[1] <= '9') || digits() == 0)
        return false;
      if (take('.') && (as() == JsonKey::As::kText || digits() == 0)) return false;
      GiveNumber({begin, at});
      return true;
    };
    blank();
    if (!take('{')) return false;
    while (true) {
      blank();
      std::string_view name;
      if (!take('"') || !text(name)) return false;
      key_ = Find(name);
      if (key_ < 0 || std::exchange(found_[static_cast<size_t>(key_)].seen, true)) return false;
      blank();
      if (!take(':')) return false;
      blank();
      if (!value()) return false;
      blank();
      if (take(',')) continue;
      if (!take('}')) return false;
      blank();
      return at == end;
    }
  }

  template <typename Write>
  bool Inner(Write write) {
    return !wanted() || write(writer_);
  }

  void BeginJson() {
    json_.Clear();
    writer_.Reset(json_);
  }
  void Take() { Give({json_.GetString(), json_.GetSize()}); }

  template <typename Write>
  bool Scalar(std::string_view text, Write write) {
    if (!wanted()) return true;
    if (depth_ > 1) return write(writer_);
    if (as() != JsonKey::As::kJson) {
      Give(text);
      return true;
    }
    BeginJson();
    const bool written = write(writer_);
    Take();
    return written;
  }

  template <typename Write>
  bool Start(Write write) {
    if (depth_ == 1 && wanted()) BeginJson();
    const bool written = depth_ == 0 || Inner(write);
    ++depth_;
    return written;
  }

  template <typename Write>
  bool End(Write write) {
    --depth_;
    const bool written = depth_ == 0 || Inner(write);
    if (depth_ == 1 && wanted()) Take();
    return written;
  }

  std::vector<JsonKey> keys_;
  std::map<std::string, size_t, std::less<>> by_name_;
  rapidjson::Reader reader_;
  std::string line_;   // ends in NUL, as the parser wants it, which writes into it
  std::string texts_;  // of the values that do not stand in the line, one after the other
  std::vector<std::optional<std::string_view>> values_;
  std::vector<Found> found_;
  std::vector<std::string> others_;  // keys that nobody asks for
  rapidjson::StringBuffer json_;
  rapidjson::Writer<rapidjson::StringBuffer> writer_{json_};
  int64_t depth_ = 0;
  int key_ = -1;
  size_t next_ = 0;
  bool is_object_ = false;
  bool twice_ = false;
  bool castable_ = true;
};

}  // namespace

ReaderFactory JsonRows(std::vector<std::string> paths, std::vector<JsonKey> keys,
                       std::shared_ptr<ReadCount> count) {
  return [=]() -> Result<std::unique_ptr<Reader>> {
    auto object = std::make_shared<ObjectReader>(keys);
    auto open = [=](size_t file) -> Result<AddRow> {
      TRANCHE_ASSIGN(LineReader opened, LineReader::Open(paths[file], Encoding::kUtf8));
      auto lines = std::make_shared<LineReader>(std::move(opened));
      return [=, path = paths[file]](PlaceRows& rows) -> Result<bool> {
        TRANCHE_ASSIGN(bool more, lines->Next());
        if (!more) return false;
        const Line& line = lines->line();
        if (line.text.find_first_not_of(" \t") == std::string_view::npos) return true;
        const std::string_view problem = line.too_long ? "is longer than 16 MiB" : object->Parse(line.text);
        TRANCHE_TRY(rows.Add(object->values(), path, line.number, line.byte, line.text, problem,
                             /*castable=*/object->castable()));
        return true;
      };
    };
    return ReadFiles(keys.size(), paths, std::move(open), count, /*text=*/true);
  };
}

}  // namespace tranche

#include "tranche/job/yaml.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <sstream>
#include <utility>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include "tranche/job/source_text.h"
#include "tranche/job/yaml_hints.h"

namespace tranche {
namespace {

constexpr int kMostOpenBrackets = 10'000;

// Thrown through yaml-cpp to stop it; caught below.
struct Stop {
  Error error;
};

struct Size {
  size_t nodes = 1;
  size_t text = 0;
};

Size SizeOf(const Node& node) {
  Size size{1, node.text.size()};
  auto add = [&](const Node& part) {
    Size of_part = SizeOf(part);
    size.nodes += of_part.nodes;
    size.text += of_part.text;
  };
  for (const Node& item : node.items) add(item);
  for (const auto& [key, value] : node.entries) {
    size.text += key.name.size();
    add(value);
  }
  return size;
}

// More opening than closing brackets, or an odd number of quotes: a piece of an expression.
bool IsTorn(const Node& node) {
  if (!node.is_scalar() || node.style != Node::Style::kPlain) return false;
  auto count = [&](char c) { return std::ranges::count(node.text, c); };
  return count('(') != count(')') || count('\'') % 2 != 0 || count('"') % 2 != 0;
}

class Builder : public YAML::EventHandler {
 public:
  Builder(const SourceText& source, const YamlLimits& limits, std::vector<Error>& errors)
      : source_(source), limits_(limits), errors_(errors), in_text_(source.lines() + 1) {}

  std::optional<Node> root;

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (++documents_ > 1) {
      throw Stop{Fail(Code::kJob, "a second document begins here")
                     .Hint("one file has one job: take the '---' out")
                     .At(At(mark))};
    }
  }
  void OnDocumentEnd() override {}

  void OnNull(const YAML::Mark& mark, YAML::anchor_t) override {
    Frame* frame = stack_.empty() ? nullptr : &stack_.back();
    if (frame && frame->node.is_map() && !frame->key) {
      throw Stop{Fail(Code::kJob, "a key is missing before ':'").At(At(mark))};
    }
    Place place = frame && frame->key ? frame->key->place : At(mark);
    bool implied = WrittenNull(mark).empty();
    if (implied && frame && frame->flow && frame->node.is_map() && !frame->node.entries.empty()) {
      TornByComma(*frame, place);
      frame->key.reset();
      return;
    }
    Report(NullError(frame, mark).At(place));
    Add(Refused(place));
  }

  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    auto found = anchors_.find(anchor);
    if (found == anchors_.end()) {
      throw Stop{Fail(Code::kJob, "an alias stands inside the value that it names")
                     .Hint("write the value out")
                     .At(At(mark))};
    }
    Count(SizeOf(found->second), At(mark));
    Add(Node(found->second));
  }

  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    RefuseTag(mark, tag);
    SourceText::Scalar scalar = source_.Locate(mark.pos, value);
    if (!scalar.closed) {
      throw Stop{Fail(Code::kJob, "a quote is not closed")
                     .Hint("close it where the text ends")
                     .At(scalar.node.place)};
    }
    if (value.find('\0') != std::string::npos) {
      throw Stop{Fail(Code::kJob, "a text cannot hold the character 0").At(scalar.node.place)};
    }
    for (int line = scalar.node.place.line, last = source_.At(scalar.end).line; line < last; ++line)
      in_text_[line] = true;
    Count({1, value.size()}, scalar.node.place);
    Remember(anchor, scalar.node);
    Add(std::move(scalar.node));
  }

  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value style) override {
    Open(Node::Kind::kList, mark, tag, anchor, style);
  }
  void OnSequenceEnd() override { Close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value style) override {
    Open(Node::Kind::kMap, mark, tag, anchor, style);
  }
  void OnMapEnd() override { Close(); }

  // Lines that begin with a tab, outside of texts.
  void CheckTabs() {
    for (size_t line = 1; line <= source_.lines(); ++line) {
      std::string_view text = source_.Line(line);
      size_t content = text.find_first_not_of(" \t");
      if (content == std::string_view::npos || text[content] == '#') continue;
      if (text.substr(0, content).find('\t') == std::string_view::npos) continue;
      if (in_text_[line - 1]) continue;
      Report(Fail(Code::kJob, "a tab in the indentation")
                 .Hint("indent with spaces")
                 .At({source_.file(), static_cast<int>(line), 1}));
      return;
    }
  }

 private:
  struct Frame {
    Node node;
    bool flow = false;
    YAML::anchor_t anchor = 0;
    std::optional<Node::Key> key;
    std::set<std::string> names;
  };

  Place At(const YAML::Mark& mark) const { return source_.At(mark.pos); }
  void Report(Error error) { errors_.push_back(std::move(error)); }

  void Count(Size size, const Place& place) {
    size_.nodes += size.nodes;
    size_.text += size.text;
    if (size_.nodes > limits_.nodes || size_.text > limits_.text) {
      throw Stop{Fail(Code::kJob, "too large: more than {} values or {} bytes, aliases put in", limits_.nodes,
                      limits_.text)
                     .Hint("use fewer aliases (*name), or split the job")
                     .At(place)};
    }
  }

  void RefuseTag(const YAML::Mark& mark, const std::string& tag) {
    if (tag.empty() || tag == "?" || (tag == "!" && source_.text()[mark.pos] != '!')) return;
    Report(Fail(Code::kJob, "a value cannot begin with '!' (a YAML tag)")
               .Hint("put it in quotes if the text is meant")
               .At(At(mark)));
  }

  // "~", "null" and the like, or nothing where a value is absent.
  std::string_view WrittenNull(const YAML::Mark& mark) const {
    std::string_view rest = std::string_view(source_.text()).substr(mark.pos);
    rest = rest.substr(0, rest.find_first_of("\n ,]}"));
    static constexpr std::string_view kNulls[] = {"~", "null", "Null", "NULL"};
    return std::ranges::find(kNulls, rest) == std::end(kNulls) ? std::string_view() : rest;
  }

  Error NullError(const Frame* frame, const YAML::Mark& mark) {
    std::string name = frame && frame->key ? fmt::format("'{}'", frame->key->name) : "this item";
    if (!WrittenNull(mark).empty()) {
      return Fail(Code::kJob, "{} is null", name)
          .Hint("leave it out; \"\" is an empty text, \"null\" the word");
    }
    if (frame && frame->key) {
      std::string_view line = source_.Line(frame->key->place.line);
      if (frame->flow) {
        return Fail(Code::kJob, "{} has no value", name).Hint("a text that begins with '{' stands in quotes");
      }
      if (line.find(":") == std::string_view::npos) {
        return Fail(Code::kJob, "{} has no ':' and no value", name)
            .Hint(fmt::format("write {}: and a value", frame->key->name));
      }
      if (line.find(" #") != std::string_view::npos) {
        return Fail(Code::kJob, "{} has no value: '#' begins a comment", name)
            .Hint("put the value in quotes: \"#\"");
      }
    }
    return Fail(Code::kJob, "{} has no value", name)
        .Hint("write one, or leave it out; \"\" is an empty text");
  }

  // `{r: round(a, 2)}` is two entries for YAML; the second without a value gives it away.
  void TornByComma(Frame& frame, const Place& place) {
    auto& [key, value] = frame.node.entries.back();
    if (!IsRefused(value)) {
      Report(Fail(Code::kJob, "a comma inside {{ }} splits the value of '{}'", key.name)
                 .Hint("put the value in quotes, or give each key its own line")
                 .At(value.is_scalar() ? value.place : place));
    }
    value = Refused(value.place);
  }

  // `[sum(a, b)]`
  void CheckTornItems(Frame& frame) {
    auto& items = frame.node.items;
    for (size_t i = 0; i + 1 < items.size(); ++i) {
      const Node& item = items[i];
      const Node& piece = item.is_map() && item.entries.size() == 1 ? item.entries[0].second : item;
      if (!IsTorn(piece) || !IsTorn(items[i + 1])) continue;
      Report(Fail(Code::kJob, "a comma inside [ ] splits '{}'", piece.text)
                 .Hint("put the item in quotes, or give each item its own line")
                 .At(piece.place));
      for (Node& torn : items) torn = Refused(torn.place);
      return;
    }
  }

  void Open(Node::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
            YAML::EmitterStyle::value style) {
    RefuseTag(mark, tag);
    if (stack_.size() >= limits_.depth)
      throw Stop{Fail(Code::kJob, "nested deeper than {} levels", limits_.depth).At(At(mark))};
    Count({}, At(mark));
    Frame frame;
    frame.node.kind = kind;
    frame.node.place = At(mark);
    frame.flow = style == YAML::EmitterStyle::Flow;
    frame.anchor = anchor;
    stack_.push_back(std::move(frame));
  }

  void Close() {
    Frame frame = std::move(stack_.back());
    stack_.pop_back();
    if (frame.flow && frame.node.is_list()) CheckTornItems(frame);
    if (frame.anchor != 0) {
      Count(SizeOf(frame.node), frame.node.place);  // what an alias may copy is a copy itself
      Remember(frame.anchor, frame.node);
    }
    Add(std::move(frame.node));
  }

  void Remember(YAML::anchor_t anchor, const Node& node) {
    if (anchor != 0) anchors_[anchor] = node;
  }

  void Add(Node node) {
    if (stack_.empty()) {
      root = std::move(node);
      return;
    }
    Frame& frame = stack_.back();
    if (frame.node.is_list()) {
      frame.node.items.push_back(std::move(node));
    } else if (!frame.key) {
      AddKey(frame, std::move(node));
    } else {
      AddEntry(frame, std::move(node));
    }
  }

  void AddKey(Frame& frame, Node node) {
    if (!node.is_scalar() || IsRefused(node)) {
      throw Stop{Fail(Code::kJob, "a key must be a text")
                     .Hint("put it in quotes if it begins with a bracket")
                     .At(node.place)};
    }
    frame.key = Node::Key{std::move(node.text), std::move(node.place)};
  }

  void AddEntry(Frame& frame, Node node) {
    Node::Key key = *std::exchange(frame.key, std::nullopt);
    if (key.name == "<<") {
      Report(Fail(Code::kJob, "'<<' does not merge in YAML 1.2")
                 .Hint("use 'include', or write the keys out")
                 .At(key.place));
    } else if (!frame.names.insert(key.name).second) {
      Report(Fail(Code::kJob, "'{}' stands here twice", key.name)
                 .Hint(fmt::format("the first is in line {}", LineOf(frame, key.name)))
                 .At(key.place));
    } else {
      frame.node.entries.emplace_back(std::move(key), std::move(node));
    }
  }

  static int LineOf(const Frame& frame, const std::string& name) {
    for (const auto& [key, value] : frame.node.entries) {
      if (key.name == name) return key.place.line;
    }
    return 0;
  }

  const SourceText& source_;
  const YamlLimits& limits_;
  std::vector<Error>& errors_;
  std::vector<Frame> stack_;
  std::map<YAML::anchor_t, Node> anchors_;
  std::vector<bool> in_text_;  // [n]: line n + 1 goes on with a text
  Size size_ = {0, 0};
  int documents_ = 0;
};

}  // namespace

Node Refused(Place place) { return Node::Scalar(std::string(1, '\0'), std::move(place)); }
bool IsRefused(const Node& node) { return node.is_scalar() && node.text.size() == 1 && node.text[0] == '\0'; }

Yaml ParseYaml(std::string text, const std::string& file, const YamlLimits& limits) {
  Yaml yaml;
  if (text.size() > limits.bytes) {
    yaml.errors.push_back(
        Fail(Code::kJob, "larger than {} bytes", limits.bytes).Hint("is this a job file?").At({file, 1, 1}));
    return yaml;
  }
  // yaml-cpp holds all that stands between brackets before it says a word.
  int open = 0;
  for (char c : text) {
    open += (c == '[' || c == '{') - (c == ']' || c == '}');
    if (open <= kMostOpenBrackets) continue;
    yaml.errors.push_back(Fail(Code::kJob, "more than {} brackets are open", kMostOpenBrackets)
                              .Hint("is this a job file?")
                              .At({file, 1, 1}));
    return yaml;
  }
  auto source = SourceText::Make(std::move(text), file);
  if (!source) {
    yaml.errors.push_back(std::move(source).error());
    return yaml;
  }
  Builder builder(*source, limits, yaml.errors);
  try {
    std::istringstream stream(source->text());
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {
    }
    builder.CheckTabs();
  } catch (const Stop& stop) {
    yaml.errors.push_back(stop.error);
    return yaml;
  } catch (const YAML::Exception& exception) {
    size_t offset = exception.mark.pos < 0 ? 0 : exception.mark.pos;
    Error error = ExplainYamlError(*source, offset, exception.msg);
    std::erase_if(yaml.errors, [&](const Error& earlier) { return earlier.place.line == error.place.line; });
    yaml.errors.push_back(std::move(error));
    return yaml;
  }
  if (!builder.root) {
    yaml.errors.push_back(Fail(Code::kJob, "the file is empty").At({file, 1, 1}));
    return yaml;
  }
  yaml.root = *std::move(builder.root);
  yaml.readable = true;
  return yaml;
}

}  // namespace tranche

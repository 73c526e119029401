#include "tranche/job/describe.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <fmt/ranges.h>

#include "tranche/job/words.h"

namespace tranche {
namespace {

using Kind = Shape::Kind;

// A cell of a Markdown table.
std::string Cell(std::string_view text) {
  std::string cell;
  for (char c : text) {
    if (c == '|') cell += '\\';
    cell += c == '\n' ? ' ' : c;
  }
  return cell;
}

std::string Code(std::string_view text) { return fmt::format("`{}`", text.empty() ? "\"\"" : text); }

// The object inside a shape whose fields deserve rows of their own, and how one gets there: "", "[]" or
// ".NAME".
std::pair<const Shape*, std::string> ObjectWithin(const Shape& shape) {
  switch (shape.kind) {
    case Kind::kObject:
      return {&shape, ""};
    case Kind::kList:
    case Kind::kMap: {
      auto [object, path] = ObjectWithin(*shape.item);
      return {object, (shape.kind == Kind::kList ? "[]" : ".NAME") + path};
    }
    case Kind::kOneOf:
      for (const Shape& option : shape.options) {
        if (auto [object, path] = ObjectWithin(option); object) return {object, path};
      }
      return {nullptr, ""};
    default:
      return {nullptr, ""};
  }
}

void AddRows(const Shape& object, const std::string& prefix, std::string& rows) {
  for (const Field& field : object.fields) {
    std::string value = field.required ? "required" : field.default_value ? Code(*field.default_value) : "";
    rows += fmt::format("| `{}{}` | {} | {} | {} |\n", prefix, field.name, Cell(ShapeWords(field.shape)),
                        Cell(value), Cell(field.doc));
    auto [inner, path] = ObjectWithin(field.shape);
    if (inner) AddRows(*inner, prefix + field.name + path + ".", rows);
  }
}

std::string OptionTable(const Shape& shape) {
  std::string text;
  auto [object, path] = ObjectWithin(shape);
  if (shape.kind != Kind::kObject) text += fmt::format("Value: {}.\n\n", ShapeWords(shape));
  if (!object || object->fields.empty()) return text;
  if (!path.empty()) path = path.substr(path[0] == '.' ? 1 : 0) + ".";
  text += "| Option | Type | Default | Meaning |\n|---|---|---|---|\n";
  AddRows(*object, path, text);
  return text + "\n";
}

std::string Example(std::string_view example) {
  if (example.empty()) return "";
  return fmt::format("```yaml\n{}{}```\n", example, example.ends_with('\n') ? "" : "\n");
}

std::string Describe(const ComponentSpec& spec, std::string_view kind, const std::string& extra) {
  std::string text = fmt::format("# {} ({})\n\n{}\n\n", spec.name, kind, spec.summary);
  if (!spec.doc.empty()) text += spec.doc + (spec.doc.ends_with('\n') ? "\n" : "\n\n");
  return text + OptionTable(spec.shape) + extra + Example(spec.example);
}

std::string Describe(const SourceSpec& spec) { return Describe(spec, "input", ""); }
std::string Describe(const StepSpec& spec) { return Describe(spec, "step", ""); }

std::string Describe(const SinkSpec& spec) {
  std::string extra;
  if (!spec.modes.empty())
    extra += fmt::format("Modes: {} (default `{}`).\n\n", fmt::join(spec.modes, ", "), spec.modes[0]);
  if (!spec.guarantee.empty()) extra += fmt::format("Guarantee: {}.\n\n", spec.guarantee);
  extra += fmt::format(
      "Batches: {} rows{} or {} by default; {} at a time.\n\n", FormatCount(spec.policy.rows),
      spec.policy.automatic ? " or as many more as make a row cheaper," : "", FormatBytes(spec.policy.bytes),
      spec.parallel == 1          ? "one"
      : spec.policy.parallel == 0 ? "as many as `threads`"
                                  : fmt::format("up to {}", spec.parallel));
  return Describe(spec, "store", extra);
}

template <typename Spec>
std::string List(std::string_view title, const std::vector<Spec>& specs, std::string_view kind, bool links) {
  std::string text = links ? fmt::format("## {}\n\n", title) : fmt::format("{}\n", title);
  size_t width = 0;
  for (const Spec& spec : specs) width = std::max(width, spec.name.size());
  for (const Spec& spec : specs) {
    text += links ? fmt::format("- [{}]({}-{}.md): {}\n", spec.name, kind, spec.name, spec.summary)
                  : fmt::format("  {:<{}}  {}\n", spec.name, width, spec.summary);
  }
  return text + "\n";
}

std::string Lists(const Registry& registry, bool links) {
  return List("Inputs", registry.sources(), "input", links) + List("Steps", registry.steps(), "step", links) +
         List("Stores", registry.sinks(), "store", links);
}

constexpr std::string_view kGenerated = "<!-- Generated from the specs by `tranche docs`; do not edit. -->\n";

}  // namespace

std::string DescribeAll(const Registry& registry) {
  return Lists(registry, false) + "tranche docs NAME shows one with its options.\n";
}

std::string DescribeComponent(const Registry& registry, std::string_view name) {
  std::vector<std::string> parts;
  if (const SourceSpec* spec = registry.FindSource(name)) parts.push_back(Describe(*spec));
  if (const StepSpec* spec = registry.FindStep(name)) parts.push_back(Describe(*spec));
  if (const SinkSpec* spec = registry.FindSink(name)) parts.push_back(Describe(*spec));
  return fmt::format("{}", fmt::join(parts, "\n"));
}

std::map<std::string, std::string> Reference(const Registry& registry) {
  std::map<std::string, std::string> files;
  auto add = [&](std::string_view kind, const auto& specs) {
    for (const auto& spec : specs)
      files[fmt::format("{}-{}.md", kind, spec.name)] = fmt::format("{}{}", kGenerated, Describe(spec));
  };
  add("input", registry.sources());
  add("step", registry.steps());
  add("store", registry.sinks());
  std::string lists = Lists(registry, true);
  lists.pop_back();
  files["README.md"] = fmt::format(
      "{}# Reference\n\nWhat a job file can be made of; [the guide](../job-file.md) says how.\n\n{}",
      kGenerated, lists);
  return files;
}

}  // namespace tranche

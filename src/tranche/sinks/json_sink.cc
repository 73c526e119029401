#include "tranche/sinks/file_sink.h"
#include "tranche/sinks/sinks.h"
#include "tranche/sinks/text_file.h"

namespace tranche {
namespace {

class JsonFormat : public EngineFormat {
 public:
  using EngineFormat::EngineFormat;

 protected:
  // JSON has no NaN and no infinity; the engine would write the bare words, at which strict readers stop.
  Result<Query> Prepare(Engine& engine, const Query& query) const override {
    return Replace(engine, query, [](const Column& column) {
      if (column.type != "DOUBLE" && column.type != "FLOAT") return std::string();
      return fmt::format("CASE WHEN isfinite({0}) THEN to_json({0}) ELSE to_json(CAST({0} AS VARCHAR)) END",
                         QuoteName(column.name));
    });
  }
};

}  // namespace

SinkSpec JsonSink() {
  SinkSpec spec = FileSpec("json");
  spec.summary = "Writes JSON, one object a row.";
  spec.doc =
      "One object a line (`lines`), or one array of objects (`array`): by default an array where `path` ends "
      "in `.json` "
      "or `.json.gz`, else lines. With a `/` at the end of `path` a folder with a file for each batch. "
      "Compressed by its "
      "ending (`.gz`, `.zst`). The result appears under its name in one step when the run is done; what "
      "Tranche did not "
      "write is never replaced. `path: stdout` prints the rows at the end of the run.\n\n"
      "Dates, times and decimals are written as DuckDB writes them; binary values as text with `\\xHH` "
      "escapes.";
  std::vector<Field> fields = FileFields("out.ndjson", /*partitions=*/false);
  fields.push_back(
      {"format", Shape::Choice({"lines", "array"}),
       "`lines` for one object a line, `array` for one array; by default as the ending of `path` says."});
  fields.push_back(CompressionField());
  spec.shape = Shape::Object(std::move(fields));
  spec.example = "json: {path: out/events.ndjson.gz}";
  spec.make = [](const Options& options) -> Result<std::unique_ptr<Sink>> {
    TRANCHE_ASSIGN(FileOptions file, FileOptions::Parse(options, false));
    TRANCHE_ASSIGN(Compression compression, Compression::Parse(options, file.target.path));
    bool array = options.Has("format")
                     ? options.Text("format") == "array"
                     : !file.target.folder && file.target.path.ends_with(".json" + compression.ending);
    EngineFormat::CopyOptions copy = {{"ARRAY", array ? "true" : "false"}, {"COMPRESSION", compression.name}};
    std::string ending = (array ? ".json" : ".ndjson") + compression.ending;
    auto format = std::make_unique<JsonFormat>("json", ending, std::move(copy));
    return std::make_unique<FileSink>(std::move(file), std::move(format));
  };
  return spec;
}

}  // namespace tranche

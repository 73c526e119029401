#include "tranche/sinks/file_sink.h"
#include "tranche/sinks/sinks.h"
#include "tranche/sinks/text_file.h"

namespace tranche {

SinkSpec CsvSink() {
  SinkSpec spec = FileSpec("csv");
  spec.summary = "Writes comma-separated files.";
  spec.doc =
      "One file, or with a `/` at the end of `path` a folder with a file for each batch. Compressed by its "
      "ending "
      "(`.gz`, `.zst`). The result appears under its name in one step when the run is done; what Tranche did "
      "not write "
      "is never replaced. `path: stdout` prints the rows at the end of the run.\n\n"
      "A text that could be taken for a NULL, a delimiter or a quote is quoted, so that what is read back is "
      "what was "
      "written.";
  std::vector<Field> fields = FileFields("out.csv or out.csv.gz", /*partitions=*/true);
  fields.push_back({"delimiter", Shape::Character(), "What separates the fields.", "comma"});
  fields.push_back({"quote", Shape::Character(), "What encloses a field that needs it.", "\""});
  fields.push_back(
      {"header", Shape::Boolean(), "Whether the first line has the names of the columns.", "true"});
  fields.push_back({"null", Shape::Text(), "What is written for NULL.", "\"\""});
  fields.push_back(CompressionField());
  spec.shape = Shape::Object(std::move(fields));
  spec.example = "csv: {path: out/by-month.csv}";
  spec.make = [](const Options& options) -> Result<std::unique_ptr<Sink>> {
    TRANCHE_ASSIGN(FileOptions file, FileOptions::Parse(options, true));
    TRANCHE_ASSIGN(Compression compression, Compression::Parse(options, file.target.path));
    EngineFormat::CopyOptions copy = {{"HEADER", options.Boolean("header") ? "true" : "false"},
                                      {"DELIMITER", QuoteText(options.Text("delimiter"))},
                                      {"QUOTE", QuoteText(options.Text("quote"))},
                                      {"ESCAPE", QuoteText(options.Text("quote"))},
                                      {"NULLSTR", QuoteText(options.Text("null"))},
                                      {"COMPRESSION", compression.name}};
    auto format = std::make_unique<EngineFormat>("csv", ".csv" + compression.ending, std::move(copy));
    return std::make_unique<FileSink>(std::move(file), std::move(format));
  };
  return spec;
}

}  // namespace tranche

#include <optional>

#include <parquet/exception.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>

#include "tranche/sinks/file_sink.h"
#include "tranche/sinks/sinks.h"

namespace tranche {
namespace {

class ParquetFormat : public EngineFormat {
 public:
  ParquetFormat(const std::string& compression, std::optional<int64_t> row_group)
      : EngineFormat("parquet", ".parquet",
                     {{"COMPRESSION", compression == "none" ? "uncompressed" : compression}}),
        row_group_(row_group) {}

  Result<int64_t> CountRows(const std::string& path) const override {
    try {
      return parquet::ParquetFileReader::OpenFile(path, /*memory_map=*/false)->metadata()->num_rows();
    } catch (const parquet::ParquetException& error) {
      return Fail(Code::kOutside, "cannot read {}: {}", path, error.what());
    }
  }

 protected:
  // Parquet has no integers of 128 bits, and the engine would make them floats.
  Result<Query> Prepare(Engine& engine, const Query& query) const override {
    return Replace(engine, query, [](const Column& column) {
      bool wide = column.type == "HUGEINT" || column.type == "UHUGEINT";
      return wide ? fmt::format("CAST({} AS DECIMAL(38, 0))", QuoteName(column.name)) : std::string();
    });
  }

  // A row group is held as a whole: in an eighth of the engine's memory, if its rows are of 2 KiB.
  Result<CopyOptions> OptionsFor(Engine& engine) const override {
    if (row_group_) return CopyOptions{{"ROW_GROUP_SIZE", std::to_string(*row_group_)}};
    TRANCHE_ASSIGN(auto rows,
                   engine.Select({SqlText(fmt::format(
                       "SELECT least({}, parse_formatted_bytes(current_setting('memory_limit')) // {})",
                       kRowGroup, 16 << 10))}));
    return CopyOptions{{"ROW_GROUP_SIZE", rows.at(0).at(0).value_or(std::to_string(kRowGroup))}};
  }

 private:
  static constexpr int64_t kRowGroup = 122'880;
  std::optional<int64_t> row_group_;
};

}  // namespace

SinkSpec ParquetSink() {
  SinkSpec spec = FileSpec("parquet");
  spec.summary = "Writes Parquet files.";
  spec.doc =
      "One file, or with a `/` at the end of `path` a folder with a file for each batch; with `partition` in "
      "folders "
      "`column=value/`, as Hive names them. The result appears under its name in one step when the run is "
      "done; what "
      "Tranche did not write is never replaced. `append` adds files to a folder, of which a reader sees each "
      "one whole, "
      "but some before the others.\n\n"
      "The rows are counted again from the footers of the files before they are published. HUGEINT (what a "
      "sum of "
      "integers is) is written as DECIMAL(38, 0).";
  std::vector<Field> fields = FileFields("out.parquet", /*partitions=*/true);
  fields.push_back(
      {"compression", Shape::Choice({"zstd", "snappy", "none"}), "How pages are compressed.", "zstd"});
  fields.push_back({"row_group", Shape::Integer(2048),
                    "Rows of a row group. Default: 122880, and fewer where `memory` is below 2.5GiB."});
  spec.shape = Shape::Object(std::move(fields));
  spec.example = "parquet: {path: out/hourly/, partition: [day]}";
  spec.make = [](const Options& options) -> Result<std::unique_ptr<Sink>> {
    TRANCHE_ASSIGN(FileOptions file, FileOptions::Parse(options, true));
    if (file.standard_output) {
      return Fail(Code::kJob, "parquet is not written to standard output").At(options.PlaceOf("path"));
    }
    std::optional<int64_t> row_group;
    if (options.Has("row_group")) row_group = options.Integer("row_group");
    auto format = std::make_unique<ParquetFormat>(options.Text("compression"), row_group);
    return std::make_unique<FileSink>(std::move(file), std::move(format));
  };
  return spec;
}

}  // namespace tranche

#include "tranche/sinks/text_file.h"

namespace tranche {

Field CompressionField() {
  return {"compression", Shape::Choice({"none", "gzip", "zstd"}),
          "How files are compressed; by default what the ending of `path` says, and in a folder not at all."};
}

Result<Compression> Compression::Parse(const Options& options, const std::string& path) {
  std::string by_ending = path.ends_with(".gz") ? "gzip" : path.ends_with(".zst") ? "zstd" : "";
  std::string chosen = options.Has("compression") ? options.Text("compression") : by_ending;
  if (chosen.empty()) chosen = "none";
  if (!by_ending.empty() && chosen != by_ending) {
    return Fail(Code::kJob, "'compression' is {}, but the file ends as {} does", chosen, by_ending)
        .At(options.PlaceOf("compression"))
        .Hint("leave out 'compression', or change the ending");
  }
  return Compression{chosen, chosen == "gzip" ? ".gz" : chosen == "zstd" ? ".zst" : ""};
}

}  // namespace tranche

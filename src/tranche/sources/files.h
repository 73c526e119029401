// What the sources that read files share: which files, in which order, and that they stay as they were.
#pragma once

#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tranche/base/byte_stream.h"
#include "tranche/connector/options.h"
#include "tranche/connector/shape.h"
#include "tranche/connector/source.h"

namespace tranche {

// The field `path` of a source of files.
Field PathField(bool stdin_too);

// The files that `path` means: names, patterns, in byte order, each once. `stdin` is copied to
// `context.scratch`, so that it can be read again, where `stdin_too`. An error of Code::kJob for no match, a
// folder, a file that cannot be read.
Result<std::vector<Split>> FindFiles(const Options& options, const SourceContext& context, bool stdin_too);
// The one file of a source that reads one.
Result<Split> FindFile(const std::string& path, const Place& place);

// An error of Code::kData where a file is not any more what it was when the run began.
Status CheckUnchanged(const std::vector<Split>& splits);

// ['a.csv', 'b.csv'] for the engine's functions, which would take * ? [ in a name for a pattern.
std::string FileList(const std::vector<std::string>& paths);
std::vector<std::string> Paths(const std::vector<Split>& splits);

// Of one input. Types are guessed for each, and the engine takes a multiple of that.
inline constexpr size_t kMostColumns = 16'384;

// "3 files, 48.1 MiB" or "a.csv, 1.2 kB"
std::string DescribeFiles(const std::vector<Split>& splits);

// Whether `error` speaks of one of these files.
bool Concerns(const Error& error, const std::vector<Split>& splits);

// What readers of ours say of one scan when they end, from any thread. A query may scan its input twice; both
// count the same rows.
struct ReadCount {
  std::atomic<int64_t> rows = 0;
  std::atomic<bool> ended = false;  // one of them came to the end

  void Say(int64_t read, bool to_the_end) {
    if (ended && !to_the_end) return;
    rows = read;
    if (to_the_end) ended = true;
  }
  Source::ScanTotal total() const { return {rows, ended}; }
};

// Adds up the engine's own counts of `function` over each of the files that begin a scan.
Source::ScanTotal CountScans(const Engine& engine, std::string_view function,
                             const std::vector<std::string>& firsts);

// The part of a source that is the same for all kinds of files.
class FileSource : public Source {
 public:
  const std::vector<Split>& splits() const override { return splits_; }
  const Columns& columns() const override { return columns_; }
  Status TakeRejects(SourceContext&, const std::function<Status(Reject)>&) override;

 protected:
  // Looks meanwhile whether those that are compressed are whole; TakeRejects has the answer.
  void StartIntegrity(const std::vector<std::string>& paths, Integrity::Watch watch = {});

  bool settled_ = false;  // an error of ours, which reading again would not mend
  std::vector<Split> splits_;
  Columns columns_;
  std::unique_ptr<Integrity> integrity_;
};

// Registers a reader for as long as this lives.
class Registration {
 public:
  static Result<Registration> Make(Engine& engine, std::shared_ptr<arrow::Schema> schema,
                                   ReaderFactory factory);
  Registration() = default;
  Registration(Registration&& other) noexcept;
  Registration& operator=(Registration&& other) noexcept;
  ~Registration();
  const std::string& text() const { return text_; }  // for FROM

 private:
  Engine* engine_ = nullptr;
  std::string text_;
};

}  // namespace tranche

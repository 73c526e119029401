// What the sources share that read twice where a row is bad: first strictly, without marks, so that clean
// input costs nothing; after an error again from the start, with marks (see Source::Recover). Which of the
// two it is stands in the splits' details, beside the columns.
#pragma once

#include <string>
#include <vector>

#include "tranche/base/byte_stream.h"
#include "tranche/sources/files.h"
#include "tranche/sources/place_rows.h"
#include "tranche/sources/typed.h"

namespace tranche {

class CarefulSource : public FileSource {
 public:
  Status Open(std::vector<Split> splits, SourceContext& context) override;
  bool marks() const override { return careful_; }
  bool Recover(const Error& error) override;

 protected:
  // Stores what Plan found out in the splits. `more` is the source's own.
  static void StoreIn(std::vector<Split>& splits, const std::vector<TypedColumn>& columns,
                      std::string_view more = "");

  // The scan over `from`, which yields what PlaceRows has.
  std::string ScanOver(const std::vector<TypedColumn>& columns, const std::string& from,
                       const SourceContext& context) const;

  std::vector<TypedColumn> typed_;
  std::string more_;
  bool careful_ = false;
  std::string input_;
};

// Reads lines of files: c0 is the line.
ReaderFactory LineRows(std::vector<std::string> paths, Encoding encoding, int64_t most_lines,
                       std::shared_ptr<ReadCount> count, bool skip_blank, bool text);

}  // namespace tranche

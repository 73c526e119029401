// Any bytes as a segment of a spool, and any bytes as a schema in state.db: what stands in them is read, or
// is an error. The first byte is how many rows the segment should have, the rest is the file. (A run reads no
// segment whose checksum is not that in state.db; here it always is.)
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <arrow/api.h>

#include "tranche/base/hash.h"
#include "tranche/batch/segment.h"

namespace tranche {
namespace {

void Require(bool here) {
  if (!here) std::abort();
}

std::shared_ptr<arrow::Schema> TheSchema() {
  return arrow::schema({arrow::field("id", arrow::int64()), arrow::field("text", arrow::utf8()),
                        arrow::field("amount", arrow::decimal128(12, 2)),
                        arrow::field("at", arrow::timestamp(arrow::TimeUnit::MICRO)),
                        arrow::field("list", arrow::list(arrow::utf8())),
                        arrow::field("good", arrow::boolean())});
}

// In memory, where there is one.
std::string MakeFolder() {
  const std::string top =
      std::filesystem::is_directory("/dev/shm") ? "/dev/shm" : std::filesystem::temp_directory_path();
  std::string folder = top + "/tranche-fuzz-XXXXXX";
  Require(mkdtemp(folder.data()) != nullptr);
  return folder;
}

struct Folder {
  std::string path = MakeFolder();
  ~Folder() { std::filesystem::remove_all(path); }
};

void Read(const Spool& spool, Span span) {
  auto reader = spool.Read(span);
  Require(reader.has_value());
  int64_t rows = 0;
  while (true) {
    auto piece = (*reader)->Next();
    if (!piece || *piece == nullptr) {
      Require(!piece || rows == span.rows());
      return;
    }
    Require((*piece)->num_rows() > 0 && (*piece)->schema()->Equals(*spool.schema()));
    rows += (*piece)->num_rows();
    Require(rows <= span.rows());
    if ((*piece)->ValidateFull().ok()) (void)(*piece)->ToString();
  }
}

}  // namespace
}  // namespace tranche

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tranche;
  static const Folder folder;
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (auto schema = ParseSchema(bytes)) Require(SerializeSchema(*PlainSchema(**schema)).has_value());
  std::ofstream(SegmentPath(folder.path, 0), std::ios::binary) << bytes;
  const int64_t rows = data[0];
  const Spool spool(folder.path, TheSchema(),
                    {{.number = 0,
                      .span = {0, rows},
                      .bytes = static_cast<int64_t>(bytes.size()),
                      .checksum = HashHex(bytes)}});
  Require(spool.Verify().has_value());
  Read(spool, {0, rows});
  if (rows > 2) Read(spool, {1, rows - 1});
  return 0;
}

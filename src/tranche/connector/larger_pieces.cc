#include "tranche/connector/larger_pieces.h"

#include <arrow/record_batch.h>
#include <arrow/util/byte_size.h>

#include "tranche/batch/arrow_error.h"

namespace tranche {
namespace {

constexpr int64_t kEnoughRows = 32 << 10;
constexpr int64_t kEnoughBytes = 16 << 20;

class LargerPieces : public Reader {
 public:
  explicit LargerPieces(std::unique_ptr<Reader> reader) : reader_(std::move(reader)) {}

  std::shared_ptr<arrow::Schema> schema() const override { return reader_->schema(); }

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    arrow::RecordBatchVector pieces;
    int64_t rows = 0;
    int64_t bytes = 0;
    while (!ended_ && rows < kEnoughRows && bytes < kEnoughBytes) {
      TRANCHE_ASSIGN(auto piece, reader_->Next());
      ended_ = piece == nullptr;
      if (ended_) break;
      rows += piece->num_rows();
      bytes += arrow::util::TotalBufferSize(*piece);
      pieces.push_back(std::move(piece));
    }
    if (pieces.size() <= 1) return pieces.empty() ? nullptr : std::move(pieces.front());
    TRANCHE_ARROW_ASSIGN(auto joined, "join", "the answer's rows", arrow::ConcatenateRecordBatches(pieces));
    return joined;
  }

 private:
  std::unique_ptr<Reader> reader_;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<Reader> InLargerPieces(std::unique_ptr<Reader> reader) {
  return std::make_unique<LargerPieces>(std::move(reader));
}

}  // namespace tranche

#include "tranche/sql/bisect.h"

#include <algorithm>

namespace tranche::sql {
namespace {

constexpr size_t kMany = 64;       // refused rows, before we ask whether most are
constexpr int64_t kAFew = 16;      // rows
constexpr size_t kAskEvery = 100;  // refused rows

class Sieve {
 public:
  Sieve(const Take& take, const Allow& allow) : take_(take), allow_(allow) {}

  Result<std::vector<RefusedRow>> Run(int64_t rows, int64_t most) && {
    int64_t begun = 0;  // rows before it are settled, or in `left_`
    while (!left_.empty() || begun < rows) {
      if (left_.empty()) {
        const int64_t end = begun + std::min(most, rows - begun);
        Push({begun, end});
        begun = end;
      }
      Piece piece = std::move(left_.back());
      left_.pop_back();
      // Where most rows are bad, what is tried together is refused; then the rows go in a few at a time.
      const int64_t step = named_ ? kAFew : 1;
      if (piece.span.rows() > step && MostAreBad(piece.span.from)) {
        Push({piece.span.from + step, piece.span.to});
        piece = {.span = {piece.span.from, piece.span.from + step}};
      }
      TRANCHE_TRY(Settle(std::move(piece)));
    }
    return std::move(refused_);
  }

 private:
  // Rows that come next. Where it is `known` why they are refused, that holds as long as no row before them
  // is refused that was there when it was heard.
  struct Piece {
    Span span;
    std::optional<Refusal> known = std::nullopt;
    size_t refused = 0;  // when it was heard
  };

  void Push(Span span, std::optional<Refusal> known = std::nullopt) {
    if (span.rows() > 0) left_.push_back({span, std::move(known), refused_.size()});
  }

  // `rows` are settled.
  bool MostAreBad(int64_t rows) const {
    return refused_.size() >= kMany && 2 * static_cast<int64_t>(refused_.size()) >= rows;
  }

  Status Settle(Piece piece) {
    const Span span = piece.span;
    std::optional<Refusal> why;
    if (piece.known && piece.refused == refused_.size()) {
      why = std::move(piece.known);
    } else {
      TRANCHE_ASSIGN(why, take_(span));
    }
    if (!why) return {};
    if (span.rows() == 1) return Refuse(span.from, *std::move(why));
    named_ = why->row && *why->row < span.rows();
    if (named_) {
      const int64_t row = span.from + *why->row;
      why->row.reset();
      Push({row + 1, span.to});
      Push({row, row + 1}, std::move(why));
      Push({span.from, row});
    } else {
      const int64_t middle = span.from + span.rows() / 2;
      Push({middle, span.to}, std::move(why));
      Push({span.from, middle});
    }
    return {};
  }

  Status Refuse(int64_t row, Refusal why) {
    refused_.push_back({row, std::move(why.reason), std::move(why.column)});
    if (allow_ && refused_.size() % kAskEvery == 0) return allow_(static_cast<int64_t>(refused_.size()));
    return {};
  }

  const Take& take_;
  const Allow& allow_;
  std::vector<Piece> left_;  // disjoint, the next one last
  std::vector<RefusedRow> refused_;
  bool named_ = false;  // the last refusal named its row
};

}  // namespace

Result<std::vector<RefusedRow>> Sift(int64_t rows, const Take& take, const Allow& allow, int64_t piece) {
  return Sieve(take, allow).Run(rows, piece);
}

Result<std::vector<RefusedRow>> Bisect(int64_t rows, const Probe& probe) {
  std::vector<Span> accepted;
  return Sift(rows, [&](Span span) -> Result<std::optional<Refusal>> {
    std::vector<Span> tried = accepted;
    if (!tried.empty() && tried.back().to == span.from) {
      tried.back().to = span.to;
    } else {
      tried.push_back(span);
    }
    TRANCHE_ASSIGN(auto reason, probe(tried));
    if (reason) return Refusal{*std::move(reason), "", std::nullopt};
    accepted = std::move(tried);
    return std::nullopt;
  });
}

}  // namespace tranche::sql

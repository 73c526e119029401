#include "tranche/sql/bisect.h"

namespace tranche::sql {
namespace {

class Search {
 public:
  explicit Search(const Probe& probe) : probe_(probe) {}

  // `known`: why `span` is refused, where that is known without a probe.
  Status Run(Span span, std::optional<std::string> known) {
    if (!known) {
      std::vector<Span> rows = accepted_;
      Append(rows, span);
      TRANCHE_ASSIGN(known, probe_(rows));
      if (!known) {
        Append(accepted_, span);
        return {};
      }
    }
    if (span.rows() == 1) {
      refused_.push_back({span.from, *known});
      return {};
    }
    int64_t middle = span.from + span.rows() / 2;
    size_t before = refused_.size();
    TRANCHE_TRY(Run({span.from, middle}, std::nullopt));
    // A clean left half leaves the right one as the culprit; its reason is the one just heard.
    bool left_clean = refused_.size() == before;
    return Run({middle, span.to}, left_clean ? known : std::nullopt);
  }

  std::vector<RefusedRow> Take() && { return std::move(refused_); }

 private:
  static void Append(std::vector<Span>& rows, Span span) {
    if (!rows.empty() && rows.back().to == span.from) {
      rows.back().to = span.to;
    } else {
      rows.push_back(span);
    }
  }

  const Probe& probe_;
  std::vector<Span> accepted_;
  std::vector<RefusedRow> refused_;
};

}  // namespace

Result<std::vector<RefusedRow>> Bisect(int64_t rows, const Probe& probe) {
  Search search(probe);
  if (rows > 0) TRANCHE_TRY(search.Run({0, rows}, std::nullopt));
  return std::move(search).Take();
}

}  // namespace tranche::sql

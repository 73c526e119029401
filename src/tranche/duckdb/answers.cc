#include "tranche/duckdb/answers.h"

namespace tranche::duckdb {

Result<std::vector<TextRow>> TextRows(Session& session, Answer& answer, const Command& command) {
  std::vector<TextRow> rows;
  while (true) {
    Chunk chunk(duckdb_fetch_chunk(*answer.out()));
    if (chunk.get() == nullptr) break;
    idx_t columns = duckdb_data_chunk_get_column_count(chunk.get());
    size_t first = rows.size();
    rows.resize(first + duckdb_data_chunk_get_size(chunk.get()), TextRow(columns));
    for (idx_t column = 0; column < columns; ++column) {
      duckdb_vector vector = duckdb_data_chunk_get_vector(chunk.get(), column);
      auto* texts = static_cast<duckdb_string_t*>(duckdb_vector_get_data(vector));
      uint64_t* valid = duckdb_vector_get_validity(vector);
      for (size_t i = 0; i < rows.size() - first; ++i) {
        if (valid != nullptr && !duckdb_validity_row_is_valid(valid, i)) continue;
        rows[first + i][column].emplace(duckdb_string_t_data(&texts[i]), duckdb_string_t_length(texts[i]));
      }
    }
  }
  if (const char* message = duckdb_result_error(answer.out())) return session.Fail(message, command);
  return rows;
}

}  // namespace tranche::duckdb

// What a segment file holds beside the rows: in the footer's metadata the rows of each record batch, so that
// a reader finds a row without decoding those before it ("2048,2048,117").
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <arrow/type_fwd.h>

namespace tranche {

inline constexpr std::string_view kBlocksKey = "tranche.blocks";

std::string FormatBlocks(const std::vector<int64_t>& rows);
std::optional<std::vector<int64_t>> ParseBlocks(std::string_view text);

// `type` without dictionaries, at any depth.
std::shared_ptr<arrow::DataType> PlainType(const std::shared_ptr<arrow::DataType>& type);

}  // namespace tranche

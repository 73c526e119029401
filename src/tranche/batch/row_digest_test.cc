#include "tranche/batch/row_digest.h"

#include <arrow/api.h>
#include <gtest/gtest.h>

#include "tranche/batch/batch_testing.h"

namespace tranche {
namespace {

std::string DigestOf(const std::vector<std::shared_ptr<arrow::RecordBatch>>& parts) {
  RowDigest digest(*parts.front()->schema());
  for (const auto& part : parts) EXPECT_TRUE(digest.Add(*part));
  return digest.Hex();
}

std::shared_ptr<arrow::RecordBatch> FromScalars(const std::shared_ptr<arrow::DataType>& type,
                                                const std::vector<std::shared_ptr<arrow::Scalar>>& values) {
  auto builder = arrow::MakeBuilder(type).ValueOrDie();
  for (const auto& value : values) EXPECT_TRUE(builder->AppendScalar(*value).ok());
  return arrow::RecordBatch::Make(arrow::schema({arrow::field("a", type)}), std::ssize(values),
                                  {builder->Finish().ValueOrDie()});
}

// Lists of structs, with NULLs at every depth.
std::shared_ptr<arrow::RecordBatch> Nested(int64_t from, int64_t count) {
  const auto fields = {arrow::field("n", arrow::int32()), arrow::field("b", arrow::boolean()),
                       arrow::field("t", arrow::utf8())};
  const auto element = arrow::struct_(fields);
  auto builder = arrow::MakeBuilder(arrow::list(element)).ValueOrDie();
  auto& lists = static_cast<arrow::ListBuilder&>(*builder);
  auto& structs = static_cast<arrow::StructBuilder&>(*lists.value_builder());
  for (int64_t row = from; row < from + count; ++row) {
    if (row % 5 == 0) {
      EXPECT_TRUE(lists.AppendNull().ok());
      continue;
    }
    EXPECT_TRUE(lists.Append().ok());
    for (int64_t i = 0; i < row % 4; ++i) {
      if ((row + i) % 6 == 0) {
        EXPECT_TRUE(structs.AppendNull().ok());
        continue;
      }
      EXPECT_TRUE(structs.Append().ok());
      EXPECT_TRUE(
          static_cast<arrow::Int32Builder*>(structs.field_builder(0))->Append(static_cast<int>(row)).ok());
      EXPECT_TRUE(static_cast<arrow::BooleanBuilder*>(structs.field_builder(1))->Append(i % 2 == 0).ok());
      auto* texts = static_cast<arrow::StringBuilder*>(structs.field_builder(2));
      EXPECT_TRUE((i % 3 == 0 ? texts->AppendNull() : texts->Append(TestName(row))).ok());
    }
  }
  return arrow::RecordBatch::Make(arrow::schema({arrow::field("a", lists.type())}), count,
                                  {builder->Finish().ValueOrDie()});
}

TEST(RowDigest, DoesNotSeeWhereABatchEnds) {
  for (const auto& rows : {TestRows(0, 500), Nested(0, 500)}) {
    const std::string whole = DigestOf({rows});
    for (int64_t cut : {1, 7, 8, 63, 64, 250, 499}) {
      EXPECT_EQ(DigestOf({rows->Slice(0, cut), rows->Slice(cut)}), whole) << cut;
      EXPECT_EQ(DigestOf({rows->Slice(0, cut), rows->Slice(cut, 0), rows->Slice(cut)}), whole) << cut;
    }
  }
  EXPECT_EQ(DigestOf({Nested(0, 300), Nested(300, 200)}), DigestOf({Nested(0, 500)}));
}

TEST(RowDigest, SeesWhatDiffers) {
  const auto rows = TestRows(0, 100);
  const std::string whole = DigestOf({rows});
  EXPECT_NE(DigestOf({rows->Slice(1)}), whole);
  EXPECT_NE(DigestOf({rows->Slice(0, 99)}), whole);
  EXPECT_NE(DigestOf({rows->Slice(50), rows->Slice(0, 50)}), whole);
  EXPECT_NE(DigestOf({Nested(0, 100)}), DigestOf({Nested(1, 100)}));
  auto text = [](const char* value) { return arrow::MakeScalar(value); };
  EXPECT_NE(DigestOf({FromScalars(arrow::utf8(), {text("ab"), text("c")})}),
            DigestOf({FromScalars(arrow::utf8(), {text("a"), text("bc")})}));
  EXPECT_NE(DigestOf({FromScalars(arrow::utf8(), {arrow::MakeNullScalar(arrow::utf8()), text("")})}),
            DigestOf({FromScalars(arrow::utf8(), {text(""), arrow::MakeNullScalar(arrow::utf8())})}));
  EXPECT_NE(DigestOf({FromScalars(arrow::float64(), {arrow::MakeScalar(0.0)})}),
            DigestOf({FromScalars(arrow::float64(), {arrow::MakeScalar(-0.0)})}));
}

// Two arrays that differ only in the bytes under their NULLs.
TEST(RowDigest, DoesNotSeeWhatStandsUnderANull) {
  const auto valid = arrow::Buffer::FromString("\5");  // rows 0 and 2
  auto make = [&](std::vector<int64_t> values) {
    const auto data = arrow::ArrayData::Make(
        arrow::int64(), 3,
        {valid, arrow::Buffer::FromString(std::string(reinterpret_cast<char*>(values.data()), 24))});
    return arrow::RecordBatch::Make(arrow::schema({arrow::field("a", arrow::int64())}), 3,
                                    {arrow::MakeArray(data)});
  };
  EXPECT_EQ(DigestOf({make({1, 2, 3})}), DigestOf({make({1, 9, 3})}));
  EXPECT_NE(DigestOf({make({1, 2, 3})}), DigestOf({make({1, 2, 4})}));
}

}  // namespace
}  // namespace tranche

#include "tranche/connector/engine.h"

#include <gtest/gtest.h>

namespace tranche {
namespace {

TEST(Columns, AreFoundWithoutCase) {
  Columns columns{{"Id", "BIGINT"}, {"naïve", "VARCHAR"}};
  EXPECT_EQ(FindColumn(columns, "iD"), &columns[0]);
  EXPECT_EQ(FindColumn(columns, "NAïVE"), &columns[1]);
  EXPECT_EQ(FindColumn(columns, "i"), nullptr);
}

TEST(Columns, AreStubbed) {
  EXPECT_EQ(Stub({{"a \"b\"", "STRUCT(x INTEGER)"}, {"c", "VARCHAR"}}),
            "(SELECT NULL::STRUCT(x INTEGER) AS \"a \"\"b\"\"\", NULL::VARCHAR AS \"c\" WHERE false)");
}

}  // namespace
}  // namespace tranche

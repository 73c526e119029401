#include "tranche/sql/adbc_target.h"

namespace tranche::sql {
namespace {

// "postgresql://user:password@host/shop?sslmode=…": "host/shop". What has no such form may be a path.
std::string WithoutUser(std::string_view uri) {
  if (const size_t scheme = uri.find("://"); scheme != std::string_view::npos) {
    uri.remove_prefix(scheme + 3);
    uri = uri.substr(0, uri.find('?'));
    const size_t at = uri.rfind('@');
    return std::string(at == std::string_view::npos ? uri : uri.substr(at + 1));
  }
  return uri.contains('=') ? "" : std::string(uri);
}

bool HoldsPassword(const std::string& name, std::string_view value) {
  for (std::string_view word :
       {"password", "token", "secret", "private_key", "passphrase", "authorization", "credentials"}) {
    if (name.contains(word)) return true;
  }
  const size_t scheme = value.find("://");
  const size_t at = value.rfind('@');
  const bool in_uri = scheme != std::string_view::npos && at != std::string_view::npos &&
                      value.substr(0, at).find(':', scheme + 3) != std::string_view::npos;
  return in_uri || (name == "uri" && value.contains("password="));
}

}  // namespace

std::string AdbcTarget::Describe() const {
  const std::string library = driver.substr(driver.rfind('/') + 1);
  for (const AdbcOption& option : options) {
    if (option.name != "uri") continue;
    if (const std::string place = WithoutUser(option.value); !place.empty()) return library + " " + place;
  }
  return library;
}

std::vector<Field> AdbcFields() {
  return {{"driver", Shape::Text(), "The driver's name, or the whole path of its library.", Field::kRequired},
          {"options", Shape::Map(Shape::Text(), Shape::Text()),
           "What the driver is given, in its own words: `uri`, `username`, `password` and others. Passwords "
           "only as secrets."}};
}

Result<AdbcTarget> ParseAdbcTarget(const Options& options) {
  AdbcTarget target{.driver = options.Text("driver")};
  if (target.driver.empty()) return Fail(Code::kJob, "'driver' is empty").At(options.PlaceOf("driver"));
  if (target.driver.contains('/') && !target.driver.starts_with('/')) {
    return Fail(Code::kJob, "the driver's path does not begin with '/'")
        .At(options.PlaceOf("driver"))
        .Hint("write the whole path, or a name that the driver manager of ADBC finds");
  }
  const Node* given = options.Raw("options");
  if (given != nullptr) {
    for (const auto& [key, value] : given->entries) {
      if (key.name == "driver" || key.name == "profile") {
        return Fail(Code::kJob, "'{}' is no option of a driver's", key.name).At(key.place);
      }
      const bool secret = !value.masked.empty();
      if (!secret && HoldsPassword(key.name, value.text)) {
        return Fail(Code::kJob, "a password stands in '{}' as it is", key.name)
            .At(value.place)
            .Hint(fmt::format("put it into a secret: {}: \"${{secret:DATABASE_SECRET}}\"", key.name));
      }
      target.options.push_back({key.name, value.text, secret});
    }
  }
  return target;
}

}  // namespace tranche::sql

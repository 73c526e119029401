#include "tranche/sinks/manifest.h"

#include <algorithm>
#include <filesystem>
#include <map>

#include <nlohmann/json.hpp>

#include "tranche/base/file.h"
#include "tranche/base/hash.h"

namespace tranche {

namespace fs = std::filesystem;

std::string ToJson(const std::vector<FilePart>& files) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const FilePart& file : files) {
    list.push_back({{"name", file.name},
                    {"size", file.size},
                    {"checksum", file.checksum},
                    {"rows", file.rows},
                    {"run", file.run}});
  }
  nlohmann::ordered_json json = {{"tranche", 1}, {"files", std::move(list)}};
  // A name that is not UTF-8 is of no file of ours.
  return json.dump(1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

Result<std::vector<FilePart>> ParseFiles(std::string_view text) {
  auto json = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  Error bad = Fail(Code::kOutside, "a list of files is damaged, or of another version of Tranche");
  if (!json.is_object() || json.value("tranche", nlohmann::json()) != 1 || !json.contains("files"))
    return bad;
  std::vector<FilePart> files;
  try {
    for (const auto& item : json["files"]) {
      files.push_back({item.at("name").get<std::string>(), item.at("size").get<int64_t>(),
                       item.at("checksum").get<std::string>(), item.at("rows").get<int64_t>(),
                       item.at("run").get<std::string>()});
    }
  } catch (const nlohmann::json::exception&) {
    return bad;
  }
  return files;
}

Result<std::vector<FilePart>> ReadManifest(const std::string& path) {
  if (!Exists(path)) return std::vector<FilePart>{};
  TRANCHE_ASSIGN(std::string text, ReadFile(path, 1 << 30));
  auto files = ParseFiles(text);
  if (!files) return std::move(files).error().In(path);
  return files;
}

Result<FilePart> Measure(const std::string& path, std::string name, int64_t rows, std::string run) {
  TRANCHE_ASSIGN(FileIdentity identity, Identify(path));
  TRANCHE_ASSIGN(std::string checksum, HashFile(path));
  return FilePart{std::move(name), identity.size, std::move(checksum), rows, std::move(run)};
}

Result<bool> Intact(const std::string& path, const FilePart& part) {
  if (!Exists(path)) return false;
  TRANCHE_ASSIGN(FileIdentity identity, Identify(path));
  if (identity.size != part.size) return false;
  TRANCHE_ASSIGN(std::string checksum, HashFile(path));
  return checksum == part.checksum;
}

Result<FolderContent> ScanFolder(const std::string& path) {
  FolderContent content;
  std::error_code error;
  fs::recursive_directory_iterator entry(path, error), end;
  for (; !error && entry != end; entry.increment(error)) {
    std::string name = entry->path().lexically_relative(path).string();
    fs::file_status status = entry->symlink_status(error);
    auto& list = fs::is_regular_file(status) ? content.files
                 : fs::is_directory(status)  ? content.folders
                                             : content.others;
    list.push_back(std::move(name));
  }
  if (error) return FailErrno("list", path, error.value());
  for (auto* list : {&content.files, &content.folders, &content.others}) std::ranges::sort(*list);
  return content;
}

Result<std::string> FindForeign(const std::string& path, const std::vector<FilePart>& files) {
  TRANCHE_ASSIGN(FolderContent content, ScanFolder(path));
  if (!content.others.empty()) return content.others.front();
  std::map<std::string_view, int64_t> sizes;
  for (const FilePart& file : files) sizes[file.name] = file.size;
  for (const std::string& name : content.files) {
    if (name == kManifest) continue;
    auto found = sizes.find(name);
    if (found == sizes.end()) return name;
    TRANCHE_ASSIGN(FileIdentity identity, Identify(path + "/" + name));
    if (identity.size != found->second) return name;
  }
  return std::string();
}

}  // namespace tranche

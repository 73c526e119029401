// Manifest: which files Tranche wrote. In an output folder it is `_tranche.json`; beside a single file it is
// the hidden
// `.<name>.tranche.json`. What a manifest names may be replaced; all else is someone else's and stays.
//
// format (docs/format/manifest.md): {"tranche": 1, "files": [{"name", "size", "checksum", "rows", "run"},
// …]}; names are relative to the folder, the checksum is XXH3-128, rows is -1 where a format does not tell.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tranche/base/result.h"

namespace tranche {

struct FilePart {
  std::string name;
  int64_t size = 0;
  std::string checksum;
  int64_t rows = -1;
  std::string run;
};

inline constexpr std::string_view kManifest = "_tranche.json";

std::string ToJson(const std::vector<FilePart>& files);
Result<std::vector<FilePart>> ParseFiles(std::string_view json);

// Nothing where there is no manifest.
Result<std::vector<FilePart>> ReadManifest(const std::string& path);

// Size and checksum of a file, as a part.
Result<FilePart> Measure(const std::string& path, std::string name, int64_t rows, std::string run);
// Whether the file is there as the part says; an error where it cannot be read.
Result<bool> Intact(const std::string& path, const FilePart& part);

// All that lies in a folder, by names relative to it, in byte order; links are not followed.
struct FolderContent {
  std::vector<std::string> files;
  std::vector<std::string> folders;  // parents first
  std::vector<std::string> others;   // links, sockets, devices
};
Result<FolderContent> ScanFolder(const std::string& path);

// The first thing in `path` that `files` does not name (the manifest itself aside), or that was changed
// since; empty = none.
Result<std::string> FindForeign(const std::string& path, const std::vector<FilePart>& files);

}  // namespace tranche

// Publisher: gives finished files their names, so that readers see all or nothing, and so that a crash at any
// moment is mended by calling it again. What the journal's notes "publish" (the intent) and "published" say
// is durable.
#pragma once

#include <string>
#include <vector>

#include "tranche/base/result.h"
#include "tranche/connector/sink.h"
#include "tranche/sinks/manifest.h"

namespace tranche {

struct Target {
  std::string path;  // absolute, without a slash at its end
  bool folder = false;
  bool append = false;  // to a folder
};

class Publisher {
 public:
  Publisher(Target target, std::string run_id);

  // Where the run writes until it is published: a folder or a file, hidden beside the target.
  const std::string& aside() const { return aside_; }

  // Refuses what must not be replaced, and where nothing could be written. Writes nothing.
  Status Check() const;
  // Makes the parent folder, and checks.
  Status Prepare() const;

  // Deletes what earlier runs wrote aside and never published: they were given up.
  Status RemoveGivenUp() const;

  // Whether Finish has begun (the parts may have their final names), and whether it has ended.
  Result<bool> Begun(Journal& journal) const;
  static Result<bool> Done(Journal& journal);

  // Where a part is now.
  std::string Locate(const FilePart& part) const;

  Status Publish(const std::vector<FilePart>& parts, Journal& journal);

 private:
  Status CheckReplaceable() const;
  Status PublishFile(const std::vector<FilePart>& parts, Journal& journal);
  Status PublishFolder(const std::vector<FilePart>& parts, Journal& journal);
  Status Append(const std::vector<FilePart>& parts, Journal& journal);
  Status AppendOne(const FilePart& part);
  // Notes the inode of what is to be published. false: it has been renamed already.
  Result<bool> Intend(Journal& journal);
  Status RemoveReplaced();
  Status Record(Journal& journal);

  Target target_;
  std::string run_, parent_, name_, aside_, sidecar_;
};

}  // namespace tranche

// A disk that fails, or that remembers: a library to be preloaded into the program under test. It stands
// between the program (and libsqlite3, libduckdb, libarrow) and libc, and looks only at files below one
// folder.
//
//   FAULTY_IO_FOLDER=/tmp/x                   the folder; the path must be free of links
//   FAULTY_IO_FAULT=kinds:n[+]:fault[:glob]   the n-th call of these kinds fails; with + all that follow, too
//   FAULTY_IO_LOG=file                        one line for each call that counts
//   FAULTY_IO_RECORD=1                        only what changes files is logged, with the bytes written
//
// Kinds, joined by commas: open read write sync rename unlink mkdir truncate. Faults: EIO, ENOSPC, or
// `short`: half of the bytes are read or written, and the next call goes on. A glob limits the calls that
// count to paths that fit it. When a sync fails, what was written to the file since its last sync is undone,
// as it is on Linux when the kernel gives up the pages that it could not write (Rebello et al., "Can
// Applications Recover from fsync Failures?", ATC'20). A line of the log has: operation, path, offset,
// length, second path; tabs between. An operation that was made to fail begins with "!". In a record the
// bytes of a write follow its line. Lines are in the order in which the operations happened in the process:
// one lock is held over both.
//
// What copies inside the kernel fails as if it were not there, so that callers fall back to read and write.
// What would change files and is not modelled here ends the program with a message.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define PATH_SIZE (2 * PATH_MAX)
#define NEXT(name) ((__typeof__(name##_next))Find((void**)&name##_next, #name))
#define DECLARE(result, name, ...) static result (*name##_next)(__VA_ARGS__)
#define ALSO(name, other) __typeof__(name) other __attribute__((alias(#name)))

DECLARE(int, openat, int, const char*, int, ...);
DECLARE(ssize_t, read, int, void*, size_t);
DECLARE(ssize_t, pread, int, void*, size_t, off_t);
DECLARE(ssize_t, write, int, const void*, size_t);
DECLARE(ssize_t, pwrite, int, const void*, size_t, off_t);
DECLARE(int, fsync, int);
DECLARE(int, fdatasync, int);
DECLARE(int, renameat2, int, const char*, int, const char*, unsigned);
DECLARE(int, unlinkat, int, const char*, int);
DECLARE(int, mkdirat, int, const char*, mode_t);
DECLARE(int, ftruncate, int, off_t);
DECLARE(int, fallocate, int, int, off_t, off_t);
DECLARE(void*, mmap, void*, size_t, int, int, int, off_t);

static void* Find(void** next, const char* name) {
  if (*next == NULL) *next = dlsym(RTLD_NEXT, name);
  return *next;
}

enum { kShort = -1 };

// What a write has covered since the last sync of its file.
struct Unsynced {
  dev_t device;
  ino_t inode;
  off_t offset, size_before;
  ssize_t covered;
  char* before;
};
static struct Unsynced* unsynced;
static size_t unsynced_count, unsynced_room;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const char *folder, *kinds, *glob;
static int log_fd = -1, recording, fault, from_there_on;
static long calls, wanted;

static void Die(const char* what, const char* path) {
  fprintf(stderr, "faulty_io: %s: %s\n", what, path);
  abort();
}

__attribute__((constructor)) static void Begin(void) {
  static char text[1024];
  folder = getenv("FAULTY_IO_FOLDER");
  if (folder == NULL) return;
  recording = getenv("FAULTY_IO_RECORD") != NULL;
  const char* log = getenv("FAULTY_IO_LOG");
  if (log != NULL) log_fd = NEXT(openat)(AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  const char* rule = getenv("FAULTY_IO_FAULT");
  if (rule == NULL) return;
  snprintf(text, sizeof text, "%s", rule);
  char *rest = text, *name;
  kinds = strsep(&rest, ":");
  char* number = strsep(&rest, ":");
  name = strsep(&rest, ":");
  glob = rest;
  if (number == NULL || name == NULL) Die("FAULTY_IO_FAULT is kinds:n[+]:fault[:glob], not", rule);
  wanted = strtol(number, &number, 10);
  from_there_on = *number == '+';
  fault = strcmp(name, "EIO") == 0      ? EIO
          : strcmp(name, "ENOSPC") == 0 ? ENOSPC
          : strcmp(name, "short") == 0  ? kShort
                                        : 0;
  if (fault == 0 || wanted < 1) Die("FAULTY_IO_FAULT is kinds:n[+]:fault[:glob], not", rule);
}

// Both give 0 where the path is none of ours.
static int Ours(const char* path) {
  size_t length = folder == NULL ? 0 : strlen(folder);
  return length > 0 && strncmp(path, folder, length) == 0 && (path[length] == '/' || path[length] == 0);
}

static int PathOf(int fd, char* path) {
  if (folder == NULL) return 0;
  int error = errno;
  char link[64];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = readlink(link, path, PATH_SIZE - 1);
  errno = error;
  path[length < 0 ? 0 : length] = 0;
  return Ours(path);
}

static int Resolve(int at, const char* name, char* path) {
  if (folder == NULL) return 0;
  char start[PATH_SIZE] = "";
  if (name[0] != '/') {
    if (at != AT_FDCWD) PathOf(at, start);
    if (at == AT_FDCWD && getcwd(start, sizeof start) == NULL) return 0;
    strcat(start, "/");
  }
  snprintf(path, PATH_SIZE, "%.*s%s", PATH_MAX, start, name);
  return Ours(path);
}

static int Contains(const char* list, const char* word) {
  size_t length = strlen(word);
  for (const char* at = list; (at = strstr(at, word)) != NULL; at += length) {
    if ((at == list || at[-1] == ',') && (at[length] == 0 || at[length] == ',')) return 1;
  }
  return 0;
}

static void Log(const char* mark, const char* operation, const char* path, long offset, long length,
                const char* second, const void* data) {
  if (log_fd < 0) return;
  int error = errno;
  char line[3 * PATH_SIZE];
  int size =
      snprintf(line, sizeof line, "%s%s\t%s\t%ld\t%ld\t%s\n", mark, operation, path, offset, length, second);
  const char* parts[] = {line, data};
  long sizes[] = {size, data == NULL ? 0 : length};
  for (int i = 0; i < 2; ++i) {
    for (long done = 0; done < sizes[i];) {
      ssize_t written = NEXT(write)(log_fd, parts[i] + done, sizes[i] - done);
      if (written <= 0) Die("cannot log", path);
      done += written;
    }
  }
  errno = error;
}

// What is to happen to this call: 0, an errno, or kShort. Takes the lock, which Leave() gives back.
static int Enter(const char* kind, const char* path, long length) {
  pthread_mutex_lock(&lock);
  int now = 0;
  if (kinds != NULL && Contains(kinds, kind) && (glob == NULL || fnmatch(glob, path, 0) == 0)) {
    ++calls;
    if (calls == wanted || (from_there_on && calls > wanted)) now = fault;
    if (now == kShort && length < 2) now = 0;
  }
  if (!recording || now != 0) Log(now != 0 ? "!" : "", kind, path, now, 0, "", NULL);
  if (now > 0) errno = now;
  return now;
}

static void Leave(void) {
  int error = errno;
  pthread_mutex_unlock(&lock);
  errno = error;
}

static void Record(const char* operation, const char* path, long offset, long length, const char* second,
                   const void* data) {
  if (recording) Log("", operation, path, offset, length, second, data);
}

static int UndoesSyncs(void) { return kinds != NULL && Contains(kinds, "sync"); }

static void Cover(int fd, off_t offset, size_t size) {
  struct stat info;
  if (!UndoesSyncs() || fstat(fd, &info) != 0) return;
  if (unsynced_count == unsynced_room) {
    unsynced_room = 2 * unsynced_room + 64;
    unsynced = realloc(unsynced, unsynced_room * sizeof *unsynced);
  }
  struct Unsynced* entry = &unsynced[unsynced_count++];
  *entry = (struct Unsynced){info.st_dev, info.st_ino, offset, info.st_size, 0, malloc(size + 1)};
  char name[64];  // the descriptor may be for writing only
  snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
  int reader = NEXT(openat)(AT_FDCWD, name, O_RDONLY | O_CLOEXEC, 0);
  if (reader < 0 || (entry->covered = NEXT(pread)(reader, entry->before, size, offset)) < 0)
    Die("cannot look at", name);
  close(reader);
}

// Forgets what was written to a file; undoes it first if its sync has failed.
static void Settle(int fd, int failed) {
  struct stat info;
  if (!UndoesSyncs() || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) return;
  char name[64];  // the descriptor may be for reading only
  snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
  int writer = failed ? NEXT(openat)(AT_FDCWD, name, O_WRONLY | O_CLOEXEC, 0) : -1;
  for (size_t i = unsynced_count; i-- > 0;) {
    struct Unsynced entry = unsynced[i];
    if (entry.inode != info.st_ino || entry.device != info.st_dev) continue;
    if (failed && NEXT(pwrite)(writer, entry.before, entry.covered, entry.offset) != entry.covered)
      Die("cannot undo", name);
    if (failed && info.st_size > entry.size_before && NEXT(ftruncate)(writer, entry.size_before) != 0)
      Die("cannot undo", name);
    free(entry.before);
    memmove(&unsynced[i], &unsynced[i + 1], (--unsynced_count - i) * sizeof *unsynced);
  }
  if (writer >= 0) close(writer);
}

int openat(int at, const char* name, int flags, ...) {
  mode_t mode = 0;
  if (flags & (O_CREAT | O_TMPFILE)) {
    va_list arguments;
    va_start(arguments, flags);
    mode = va_arg(arguments, mode_t);
    va_end(arguments);
  }
  char path[PATH_SIZE];
  if (!Resolve(at, name, path)) return NEXT(openat)(at, name, flags, mode);
  int fd = -1;
  if (Enter("open", path, 0) <= 0) {
    struct stat info;
    int error = errno, there = stat(path, &info) == 0;
    errno = error;
    fd = NEXT(openat)(at, name, flags, mode);
    if (fd >= 0 && !there) Record("create", path, 0, 0, "", NULL);
    if (fd >= 0 && there && (flags & O_TRUNC) && info.st_size > 0) Record("truncate", path, 0, 0, "", NULL);
  }
  Leave();
  return fd;
}
ALSO(openat, openat64);

int open(const char* name, int flags, ...) {
  mode_t mode = 0;
  if (flags & (O_CREAT | O_TMPFILE)) {
    va_list arguments;
    va_start(arguments, flags);
    mode = va_arg(arguments, mode_t);
    va_end(arguments);
  }
  return openat(AT_FDCWD, name, flags, mode);
}
ALSO(open, open64);

int creat(const char* name, mode_t mode) {
  return openat(AT_FDCWD, name, O_CREAT | O_WRONLY | O_TRUNC, mode);
}
ALSO(creat, creat64);

ssize_t read(int fd, void* data, size_t size) {
  char path[PATH_SIZE];
  if (!PathOf(fd, path)) return NEXT(read)(fd, data, size);
  int now = Enter("read", path, size);
  ssize_t got = now > 0 ? -1 : NEXT(read)(fd, data, now == kShort ? size / 2 : size);
  Leave();
  return got;
}

ssize_t pread(int fd, void* data, size_t size, off_t offset) {
  char path[PATH_SIZE];
  if (!PathOf(fd, path)) return NEXT(pread)(fd, data, size, offset);
  int now = Enter("read", path, size);
  ssize_t got = now > 0 ? -1 : NEXT(pread)(fd, data, now == kShort ? size / 2 : size, offset);
  Leave();
  return got;
}
ALSO(pread, pread64);

ssize_t write(int fd, const void* data, size_t size) {
  char path[PATH_SIZE];
  if (!PathOf(fd, path)) return NEXT(write)(fd, data, size);
  int now = Enter("write", path, size);
  if (now <= 0) Cover(fd, lseek(fd, 0, SEEK_CUR), size);
  ssize_t written = now > 0 ? -1 : NEXT(write)(fd, data, now == kShort ? size / 2 : size);
  if (written > 0) Record("write", path, lseek(fd, 0, SEEK_CUR) - written, written, "", data);
  Leave();
  return written;
}

ssize_t pwrite(int fd, const void* data, size_t size, off_t offset) {
  char path[PATH_SIZE];
  if (!PathOf(fd, path)) return NEXT(pwrite)(fd, data, size, offset);
  int now = Enter("write", path, size);
  if (now <= 0) Cover(fd, offset, size);
  ssize_t written = now > 0 ? -1 : NEXT(pwrite)(fd, data, now == kShort ? size / 2 : size, offset);
  if (written > 0) Record("write", path, offset, written, "", data);
  Leave();
  return written;
}
ALSO(pwrite, pwrite64);

static ssize_t Gather(int fd, const struct iovec* parts, int count, const off_t* offset) {
  size_t size = 0;
  for (int i = 0; i < count; ++i) size += parts[i].iov_len;
  char *all = malloc(size + 1), *at = all;
  for (int i = 0; i < count; ++i) at = (char*)mempcpy(at, parts[i].iov_base, parts[i].iov_len);
  ssize_t written = offset != NULL ? pwrite(fd, all, size, *offset) : write(fd, all, size);
  free(all);
  return written;
}

ssize_t writev(int fd, const struct iovec* parts, int count) { return Gather(fd, parts, count, NULL); }
ssize_t pwritev(int fd, const struct iovec* parts, int count, off_t offset) {
  return Gather(fd, parts, count, &offset);
}
ALSO(pwritev, pwritev64);

ssize_t copy_file_range(int from, off64_t* from_at, int to, off64_t* to_at, size_t size, unsigned flags) {
  (void)from, (void)from_at, (void)to, (void)to_at, (void)size, (void)flags;
  errno = ENOSYS;
  return -1;
}

ssize_t sendfile(int to, int from, off_t* offset, size_t size) {
  (void)to, (void)from, (void)offset, (void)size;
  errno = EINVAL;
  return -1;
}
ALSO(sendfile, sendfile64);

static int Sync(int fd, int (*sync)(int)) {
  char path[PATH_SIZE];
  if (!PathOf(fd, path)) return sync(fd);
  int done = Enter("sync", path, 0) > 0 ? -1 : sync(fd);
  int error = errno;
  Settle(fd, done != 0);
  errno = error;
  if (done == 0) Record("sync", path, 0, 0, "", NULL);
  Leave();
  return done;
}

int fsync(int fd) { return Sync(fd, NEXT(fsync)); }
int fdatasync(int fd) { return Sync(fd, NEXT(fdatasync)); }

int renameat2(int from_at, const char* from, int to_at, const char* to, unsigned flags) {
  char path[PATH_SIZE], second[PATH_SIZE];
  if (!Resolve(from_at, from, path) | !Resolve(to_at, to, second))
    return NEXT(renameat2)(from_at, from, to_at, to, flags);
  int done = Enter("rename", path, 0) > 0 ? -1 : NEXT(renameat2)(from_at, from, to_at, to, flags);
  if (done == 0) Record(flags & RENAME_EXCHANGE ? "exchange" : "rename", path, 0, 0, second, NULL);
  Leave();
  return done;
}

int renameat(int from_at, const char* from, int to_at, const char* to) {
  return renameat2(from_at, from, to_at, to, 0);
}
int rename(const char* from, const char* to) { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }

int unlinkat(int at, const char* name, int flags) {
  char path[PATH_SIZE];
  if (!Resolve(at, name, path)) return NEXT(unlinkat)(at, name, flags);
  int done = Enter("unlink", path, 0) > 0 ? -1 : NEXT(unlinkat)(at, name, flags);
  if (done == 0) Record(flags & AT_REMOVEDIR ? "rmdir" : "unlink", path, 0, 0, "", NULL);
  Leave();
  return done;
}

int unlink(const char* name) { return unlinkat(AT_FDCWD, name, 0); }
int rmdir(const char* name) { return unlinkat(AT_FDCWD, name, AT_REMOVEDIR); }

int remove(const char* name) {
  int done = unlink(name);
  return done != 0 && errno == EISDIR ? rmdir(name) : done;
}

int mkdirat(int at, const char* name, mode_t mode) {
  char path[PATH_SIZE];
  if (!Resolve(at, name, path)) return NEXT(mkdirat)(at, name, mode);
  int done = Enter("mkdir", path, 0) > 0 ? -1 : NEXT(mkdirat)(at, name, mode);
  if (done == 0) Record("mkdir", path, 0, 0, "", NULL);
  Leave();
  return done;
}

int mkdir(const char* name, mode_t mode) { return mkdirat(AT_FDCWD, name, mode); }

int ftruncate(int fd, off_t size) {
  char path[PATH_SIZE];
  if (!PathOf(fd, path)) return NEXT(ftruncate)(fd, size);
  int done = Enter("truncate", path, size) > 0 ? -1 : NEXT(ftruncate)(fd, size);
  if (done == 0) Record("truncate", path, size, 0, "", NULL);
  Leave();
  return done;
}
ALSO(ftruncate, ftruncate64);

int fallocate(int fd, int mode, off_t offset, off_t size) {
  char path[PATH_SIZE];
  if (!PathOf(fd, path)) return NEXT(fallocate)(fd, mode, offset, size);
  if (mode != 0) {  // punches holes: an optional service
    errno = EOPNOTSUPP;
    return -1;
  }
  struct stat info;
  int done = Enter("truncate", path, size) > 0 ? -1 : NEXT(fallocate)(fd, mode, offset, size);
  if (done == 0 && fstat(fd, &info) == 0) Record("truncate", path, info.st_size, 0, "", NULL);
  Leave();
  return done;
}
ALSO(fallocate, fallocate64);

void* mmap(void* address, size_t size, int protection, int flags, int fd, off_t offset) {
  char path[PATH_SIZE];
  if (fd >= 0 && (flags & MAP_SHARED) && (protection & PROT_WRITE) && PathOf(fd, path)) {
    // SQLite's index of its log is no durable state: the first to open the file makes it anew.
    if (fnmatch("*-shm", path, 0) != 0)
      Die("a file is written through a mapping, which is not modelled", path);
  }
  return NEXT(mmap)(address, size, protection, flags, fd, offset);
}
ALSO(mmap, mmap64);

static int Unknown(const char* call, const char* name) {
  char path[PATH_SIZE];
  if (Resolve(AT_FDCWD, name, path)) Die(call, path);
  errno = ENOSYS;
  return -1;
}
int link(const char* from, const char* to) { return (void)from, Unknown("link is not modelled", to); }
int linkat(int a, const char* from, int b, const char* to, int flags) {
  return (void)a, (void)from, (void)b, (void)flags, Unknown("linkat is not modelled", to);
}
int symlink(const char* from, const char* to) { return (void)from, Unknown("symlink is not modelled", to); }
int truncate(const char* name, off_t size) { return (void)size, Unknown("truncate is not modelled", name); }
int sync_file_range(int fd, off64_t offset, off64_t size, unsigned flags) {
  (void)fd, (void)offset, (void)size, (void)flags;  // promises nothing about a power cut
  return 0;
}

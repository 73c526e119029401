"""Runs the program, kills it at places and moments, and says what it left behind."""
import collections
import json
import os
import pathlib
import re
import signal
import subprocess

from harness import stores, toolset

SECONDS = 60


class Program:
    def __init__(self, path):
        self.path = pathlib.Path(path).resolve()
        if not self.path.exists():
            raise SystemExit(f"there is no {self.path}: build it first")

    def start(self, folder, *arguments, failpoint=None, stdin=os.devnull, **environment):
        if failpoint:
            environment["TRANCHE_FAILPOINT"] = failpoint
        with open(pathlib.Path(folder) / stdin) as file:
            return subprocess.Popen([self.path, *arguments], cwd=folder, stdin=file, stdout=subprocess.PIPE,
                                    stderr=subprocess.PIPE, text=True, errors="backslashreplace",
                                    env=toolset.environment(self.path, folder, **environment))

    def run(self, folder, *arguments, **more):
        """Exit code (negative: killed by that signal), what it wrote to stdout, and to stderr."""
        process = self.start(folder, *arguments, **more)
        try:
            out, err = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            err += f"\nnot done after {SECONDS} s"
        return process.returncode, out, err

    def kill(self, folder, *arguments, failpoint, **more):
        """Runs until it is killed at the failpoint: `name` or `name@hit`. False: it ended before, well."""
        name, _, hit = failpoint.partition("@")
        code, out, err = self.run(folder, *arguments, failpoint=f"{name}:kill@{hit or 1}", **more)
        if code == -signal.SIGKILL:
            return True
        if code != 0:
            raise AssertionError(f"exit code {code} before {failpoint} was reached; it said\n{err}{out}")
        return False

    def succeed(self, folder, *arguments, **more):
        code, out, err = self.run(folder, *arguments, **more)
        if code != 0:
            raise AssertionError(f"exit code {code} of {' '.join(arguments)}; it said\n{err}{out}")
        return out

    def fail(self, folder, wanted, message, *arguments, **more):
        """Must end with this exit code, and say this."""
        code, out, err = self.run(folder, *arguments, **more)
        if code != wanted or message not in err:
            raise AssertionError(f"exit code {code} of {' '.join(arguments)}, expected {wanted} and '{message}'; "
                                 f"it said\n{err}{out}")

    def failpoints(self):
        return self.succeed("/", "docs", "--failpoints").split()

    def reached(self, folder, *arguments, **more):
        """How often a run that succeeds comes to each failpoint."""
        code, out, err = self.run(folder, *arguments, failpoint="*:tell", **more)
        if code != 0:
            raise AssertionError(f"exit code {code} of {' '.join(arguments)}; it said\n{err}{out}")
        return collections.Counter(re.findall(r"^failpoint (\S+)$", err, re.MULTILINE))

    def rejects(self, folder, job="job.yaml"):
        """The multiset of rejects, without what differs from run to run."""
        lines = self.succeed(folder, "rejects", "list", job, "--json", "--limit", "1000000").splitlines()
        rejects = collections.Counter()
        for line in lines:
            reject = json.loads(line)
            del reject["number"]
            reject["file"] = os.path.basename(reject["file"])  # a copied folder still has the places of the first one
            text = json.dumps(reject, sort_keys=True).replace(os.path.realpath(folder), ".")
            rejects[re.sub(r"\b[0-9a-f]{32}\b", "RUN", text)] += 1
        return rejects


def multiset(path, table=None):
    """Each row as its sorted cells: the order of rows and of columns does not matter."""
    names, rows = stores.read(path, table)
    return collections.Counter(tuple(sorted(zip(names, row))) for row in rows)


def difference(expected, found, most=3):
    """Lines that say what is missing and what is too much; empty: nothing."""
    lines = []
    for title, rows in (("missing", expected - found), ("too many", found - expected)):
        if rows:
            lines.append(f"{title}: {rows.total()} rows, such as")
            lines += [f"  {count} × {row}" for row, count in rows.most_common(most)]
    return lines


def leftovers(folder, job):
    """What a finished run must not leave: parts aside, spools, its own scratch folder."""
    folder = pathlib.Path(folder)
    found = [path for path in folder.rglob(".*.tranche-*")]
    state = folder / ".tranche" / job
    for name in ("spool", "run"):
        if (state / name).is_dir():
            found += list((state / name).iterdir())
    return [str(path.relative_to(folder)) for path in found]

"""The program under a disk that fails or remembers: see tests/faults/faulty_io.c."""
import dataclasses
import os
import pathlib


@dataclasses.dataclass
class Call:
    operation: str
    path: str
    offset: int
    length: int
    second: str       # where a rename goes to
    failed: bool
    data: bytes = b""


class FaultyIo:
    """The log lies in `scratch`, which must not be in the folder that is watched."""

    def __init__(self, library, scratch):
        self.library, self.log = os.path.abspath(library), pathlib.Path(scratch).resolve() / "calls"
        if not os.path.exists(self.library):
            raise FileNotFoundError(f"there is no {self.library}: build it first")

    def environment(self, folder, rule=None, record=False):
        variables = {"LD_PRELOAD": self.library, "FAULTY_IO_FOLDER": os.path.realpath(folder), "FAULTY_IO_LOG": str(self.log)}
        if rule:
            variables["FAULTY_IO_FAULT"] = rule
        if record:
            variables["FAULTY_IO_RECORD"] = "1"
        return variables

    def calls(self):
        """The log, in order."""
        log, at, found = self.log.read_bytes() if self.log.exists() else b"", 0, []
        while at < len(log):
            end = log.index(b"\n", at)
            operation, path, offset, length, second = log[at:end].decode().split("\t")
            at = end + 1
            failed = operation.startswith("!")
            call = Call(operation.lstrip("!"), path, int(offset), int(length), second, failed)
            if operation == "write" and call.length > 0:
                call.data = log[at:at + call.length]
                at += call.length
            found.append(call)
        return found

"""The ADBC drivers of the toolset."""
import pathlib
import sysconfig


def driver(name):
    """The path of a driver's library."""
    return str(pathlib.Path(sysconfig.get_path("purelib"), f"adbc_driver_{name}", f"libadbc_driver_{name}.so"))

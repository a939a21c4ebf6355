"""Whether a folder is on a network file system, where LMDB must not be."""

from __future__ import annotations

import os
import re
from pathlib import Path

from sciu.purification.errors import PurifierError

_NETWORKS = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "gpfs", "beegfs", "fuse.sshfs",
             "fuse.glusterfs", "fuse.s3fs"}  # fmt: skip


def refuse_network(folder: Path) -> None:
    """Refuse a folder on a network file system."""
    kind, mount = _file_system(folder)
    if kind in _NETWORKS:
        raise PurifierError(
            f"'{folder}' must be on a local disk, but '{mount}' is a network file system ({kind}), where LMDB loses"
            " data as soon as two machines open it. Choose a local folder, or `network=True` if only one ever will."
        )


def _file_system(folder: Path) -> tuple[str, str]:
    """Return the type and the folder of the mount that a folder is on."""
    path = os.path.realpath(folder)
    best = ("", "")
    for line in Path("/proc/mounts").read_text().splitlines():
        mount, kind = line.split()[1:3]
        mount = re.sub(r"\\(\d{3})", lambda octal: chr(int(octal[1], 8)), mount)
        if (path == mount or path.startswith(mount.rstrip("/") + "/")) and len(mount) >= len(best[1]):
            best = (kind, mount)
    return best

"""Writing files: whole or not at all, with the mode they shall have from the first byte on."""

import os
from pathlib import Path


def write_atomic(path: Path, content: bytes | str, mode: int = 0o600) -> None:
    """Replace path with content. A reader sees the old file or the new one, and never one with a wider mode."""
    import tempfile  # late: `k3s kubectl` is started often, and seldom writes

    data = content.encode() if isinstance(content, str) else content
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(data)
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def ensure_symlink(link: Path, target: Path) -> None:
    """Make link a symlink to target, replacing a regular file in its place (what K3s does with agent-token)."""
    if link.is_symlink() and link.readlink() == target:
        return
    link.unlink(missing_ok=True)
    link.symlink_to(target)

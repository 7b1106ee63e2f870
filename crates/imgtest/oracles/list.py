"""Lists the tar archive on standard input as Python's tarfile reads it.

One JSON object a line: path and link in hexadecimal, the type flag, size, digest of the content.
"""

import hashlib
import json
import sys
import tarfile


def text(name):
    return name.encode("utf-8", "surrogateescape").hex()


def main():
    with tarfile.open(
        fileobj=sys.stdin.buffer, mode="r|", encoding="utf-8", errors="surrogateescape"
    ) as archive:
        for member in archive:
            content = b""
            if member.isreg():
                content = archive.extractfile(member).read()
            kind = "0" if member.type == tarfile.AREGTYPE else member.type.decode("ascii")
            entry = {
                "path": text(member.name),
                "kind": kind,
                "size": len(content),
                "digest": hashlib.sha256(content).hexdigest(),
                "link": text(member.linkname),
            }
            print(json.dumps(entry))


if __name__ == "__main__":
    main()

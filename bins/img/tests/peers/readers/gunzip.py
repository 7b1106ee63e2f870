"""Prints the SHA-256 of the first member of a gzip file, which must be its only one."""

import hashlib
import sys
import zlib

decoder = zlib.decompressobj(31)
digest = hashlib.sha256()
with open(sys.argv[1], "rb") as file:
    while chunk := file.read(1 << 16):
        digest.update(decoder.decompress(chunk))
digest.update(decoder.flush())
if not decoder.eof or decoder.unused_data:
    sys.exit("the file is not one whole member")
print(digest.hexdigest())

package main

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"

	"github.com/containerd/stargz-snapshotter/estargz"
	"github.com/opencontainers/go-digest"
)

// report is what a good blob holds.
type report struct {
	// Regular files with content, their chunks and the bytes of these.
	Files  int   `json:"files"`
	Chunks int   `json:"chunks"`
	Bytes  int64 `json:"bytes"`
	// Chunks that do not stand at the start of their gzip member.
	Shared int `json:"shared"`
	// Digest and size of all that the blob decompresses to.
	DiffID           string `json:"diffId"`
	UncompressedSize int64  `json:"uncompressedSize"`
	// The landmark, and the names in front of it.
	Landmark    string   `json:"landmark"`
	Prioritized []string `json:"prioritized"`
}

// check reads a blob in both ways: in order, as every unpacker does, and chunk by chunk in the order
// of the tree, as a snapshotter does.
func check(path, tocDigest string) (*report, error) {
	want, err := digest.Parse(tocDigest)
	if err != nil {
		return nil, fmt.Errorf("the expected digest: %w", err)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	stat, err := file.Stat()
	if err != nil {
		return nil, err
	}
	blob := io.NewSectionReader(file, 0, stat.Size())
	reader, err := estargz.Open(blob)
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	if got := reader.TOCDigest(); got != want {
		return nil, fmt.Errorf("the TOC has the digest %s, not %s", got, want)
	}
	report, toc, err := readInOrder(blob, want)
	if err != nil {
		return nil, fmt.Errorf("as a tar: %w", err)
	}
	for _, entry := range toc.Entries {
		if entry.InnerOffset > 0 {
			report.Shared++
		}
	}
	files := fileChecker{reader: reader, report: report, seen: map[*estargz.TOCEntry]bool{}}
	// The library's table of digests has the offset of the member as its key.
	if report.Shared == 0 {
		if files.verifier, err = reader.VerifyTOC(want); err != nil {
			return nil, fmt.Errorf("verify TOC: %w", err)
		}
	}
	root, ok := reader.Lookup("")
	if !ok {
		return nil, errors.New("no root directory")
	}
	if err := files.walk(root); err != nil {
		return nil, err
	}
	return report, nil
}

// fileChecker goes over the tree that the TOC tells of.
type fileChecker struct {
	reader   *estargz.Reader
	verifier estargz.TOCEntryVerifier
	report   *report
	// A file with several names is in the tree several times.
	seen map[*estargz.TOCEntry]bool
}

func (c *fileChecker) walk(entry *estargz.TOCEntry) error {
	if c.seen[entry] {
		return nil
	}
	c.seen[entry] = true
	if entry.Type == "reg" && entry.Size > 0 {
		if err := c.file(entry); err != nil {
			return fmt.Errorf("%q: %w", entry.Name, err)
		}
	}
	var failed error
	entry.ForeachChild(func(_ string, child *estargz.TOCEntry) bool {
		failed = c.walk(child)
		return failed == nil
	})
	return failed
}

// file reads all chunks of a file, which must follow each other without gap up to its size.
func (c *fileChecker) file(entry *estargz.TOCEntry) error {
	content, err := c.reader.OpenFile(entry.Name)
	if err != nil {
		return err
	}
	whole := sha256.New()
	for offset := int64(0); offset < entry.Size; {
		chunk, ok := c.reader.ChunkEntryForOffset(entry.Name, offset)
		if !ok || chunk.ChunkOffset != offset {
			return fmt.Errorf("no chunk at %d", offset)
		}
		if chunk.ChunkSize <= 0 || chunk.ChunkSize > entry.Size-offset {
			return fmt.Errorf("a chunk of %d bytes at %d of %d", chunk.ChunkSize, offset, entry.Size)
		}
		if err := c.chunk(chunk, content, whole); err != nil {
			return fmt.Errorf("chunk at %d: %w", offset, err)
		}
		offset += chunk.ChunkSize
	}
	if got := digest.NewDigest(digest.SHA256, whole); entry.Digest != got.String() {
		return fmt.Errorf("the content has the digest %s, not %s", got, entry.Digest)
	}
	c.report.Files++
	return nil
}

func (c *fileChecker) chunk(chunk *estargz.TOCEntry, content io.ReaderAt, whole hash.Hash) error {
	want, err := digest.Parse(chunk.ChunkDigest)
	if err != nil {
		return fmt.Errorf("its digest %q: %w", chunk.ChunkDigest, err)
	}
	verifiers := []digest.Verifier{want.Verifier()}
	if c.verifier != nil {
		library, err := c.verifier.Verifier(chunk)
		if err != nil {
			return err
		}
		verifiers = append(verifiers, library)
	}
	bytes := make([]byte, chunk.ChunkSize)
	if _, err := content.ReadAt(bytes, chunk.ChunkOffset); err != nil && err != io.EOF {
		return err
	}
	whole.Write(bytes)
	for _, verifier := range verifiers {
		verifier.Write(bytes)
		if !verifier.Verified() {
			return fmt.Errorf("the content has not the digest %s", want)
		}
	}
	c.report.Chunks++
	c.report.Bytes += chunk.ChunkSize
	return nil
}

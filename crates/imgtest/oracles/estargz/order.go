package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"io"
	"path"
	"strings"
	"time"

	"github.com/containerd/stargz-snapshotter/estargz"
	"github.com/opencontainers/go-digest"
)

// More than any TOC of a test has.
const largestTOC = 1 << 30

// readInOrder decompresses a blob from end to end, and compares its headers with its TOC.
func readInOrder(blob io.ReaderAt, tocDigest digest.Digest) (*report, *estargz.JTOC, error) {
	unzipped, err := gzip.NewReader(bufio.NewReaderSize(whole(blob), 1<<20))
	if err != nil {
		return nil, nil, err
	}
	all := &counter{reader: unzipped, hash: sha256.New()}
	archive := tar.NewReader(all)
	var headers []*tar.Header
	var toc *estargz.JTOC
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, nil, err
		}
		if toc != nil {
			return nil, nil, fmt.Errorf("%q stands behind the TOC", header.Name)
		}
		if header.Name != estargz.TOCTarName {
			headers = append(headers, header)
		} else if toc, err = readTOC(archive, tocDigest); err != nil {
			return nil, nil, err
		}
	}
	if toc == nil {
		return nil, nil, errors.New("no entry is the TOC")
	}
	// An archive's reader stops at the zeros at its end; an unpacker hashes them too.
	if _, err := io.Copy(io.Discard, all); err != nil {
		return nil, nil, err
	}
	report := &report{
		DiffID:           digest.NewDigest(digest.SHA256, all.hash).String(),
		UncompressedSize: all.size,
	}
	return report, toc, compare(headers, toc, report)
}

func whole(blob io.ReaderAt) io.Reader {
	return io.NewSectionReader(blob, 0, 1<<62)
}

func readTOC(entry io.Reader, want digest.Digest) (*estargz.JTOC, error) {
	text, err := io.ReadAll(io.LimitReader(entry, largestTOC))
	if err != nil {
		return nil, err
	}
	if got := digest.FromBytes(text); got != want {
		return nil, fmt.Errorf("the entry of the TOC has the digest %s, not %s", got, want)
	}
	toc := new(estargz.JTOC)
	strict := json.NewDecoder(bytes.NewReader(text))
	strict.DisallowUnknownFields()
	if err := strict.Decode(toc); err != nil {
		return nil, fmt.Errorf("the TOC: %w", err)
	}
	if toc.Version != 1 {
		return nil, fmt.Errorf("the TOC has version %d", toc.Version)
	}
	return toc, nil
}

// compare expects one entry of the TOC for each header, in the same order, with the same properties.
func compare(headers []*tar.Header, toc *estargz.JTOC, report *report) error {
	var names []string
	before := map[string]bool{}
	users, groups := map[int]string{}, map[int]string{}
	for _, entry := range toc.Entries {
		if entry.Type == "chunk" {
			continue
		}
		if len(names) == len(headers) {
			return fmt.Errorf("the TOC alone has %q", entry.Name)
		}
		header := headers[len(names)]
		entry.Uname = lasting(users, entry.UID, entry.Uname, header.Uname)
		entry.Gname = lasting(groups, entry.GID, entry.Gname, header.Gname)
		ours, theirs := ofHeader(header), ofEntry(entry)
		if ours != theirs {
			return fmt.Errorf("the header has\n%s, the TOC\n%s", ours, theirs)
		}
		if isLandmark(header.Name) {
			if report.Landmark != "" {
				return errors.New("two landmarks")
			}
			report.Landmark, report.Prioritized = header.Name, names
		}
		// Who unpacks in order makes a link to a file that is there.
		if header.Typeflag == tar.TypeLink && !before[clean(header.Linkname)] {
			return fmt.Errorf("%q is a hard link to %q, which is not before it", header.Name, header.Linkname)
		}
		before[clean(header.Name)] = true
		names = append(names, header.Name)
	}
	if len(names) < len(headers) {
		return fmt.Errorf("the TOC lacks %q", headers[len(names)].Name)
	}
	return nil
}

// lasting is the name of an owner: a TOC tells it where it changes, and cannot take it back.
func lasting(names map[int]string, id int, inEntry, inHeader string) string {
	if inEntry != "" {
		names[id] = inEntry
	}
	if inEntry == "" && inHeader == "" {
		return ""
	}
	return names[id]
}

func isLandmark(name string) bool {
	return name == estargz.PrefetchLandmark || name == estargz.NoPrefetchLandmark
}

var kinds = map[byte]string{
	tar.TypeReg:     "reg",
	tar.TypeLink:    "hardlink",
	tar.TypeSymlink: "symlink",
	tar.TypeDir:     "dir",
	tar.TypeChar:    "char",
	tar.TypeBlock:   "block",
	tar.TypeFifo:    "fifo",
}

func ofHeader(h *tar.Header) string {
	xattrs := map[string][]byte{}
	for key, value := range h.PAXRecords {
		if name, ok := strings.CutPrefix(key, "SCHILY.xattr."); ok {
			xattrs[name] = []byte(value)
		}
	}
	size := int64(0)
	if h.Typeflag == tar.TypeReg {
		size = h.Size
	}
	return properties(h.Name, kinds[h.Typeflag], size, h.Mode, h.Uid, h.Gid, h.Uname, h.Gname,
		h.Linkname, h.ModTime.Round(time.Second).Unix(), h.Devmajor, h.Devminor, xattrs)
}

func ofEntry(e *estargz.TOCEntry) string {
	// No time stands for the epoch.
	var seconds int64
	if e.ModTime3339 != "" {
		time, err := time.Parse(time.RFC3339, e.ModTime3339)
		if err != nil {
			return err.Error()
		}
		seconds = time.Unix()
	}
	xattrs := e.Xattrs
	if xattrs == nil {
		xattrs = map[string][]byte{}
	}
	return properties(e.Name, e.Type, e.Size, e.Mode, e.UID, e.GID, e.Uname, e.Gname,
		e.LinkName, seconds, int64(e.DevMajor), int64(e.DevMinor), xattrs)
}

func properties(name, kind string, size, mode int64, uid, gid int, user, group, link string,
	seconds, major, minor int64, xattrs map[string][]byte) string {
	return fmt.Sprintf("%q %s size=%d mode=%o owner=%d:%d %q:%q link=%q time=%d device=%d,%d xattrs=%q",
		clean(name), kind, size, mode, uid, gid, user, group, link,
		seconds, major, minor, xattrs)
}

func clean(name string) string {
	return strings.TrimPrefix(path.Clean("/"+name), "/")
}

// counter hashes and counts what is read through it.
type counter struct {
	reader io.Reader
	hash   hash.Hash
	size   int64
}

func (c *counter) Read(buffer []byte) (int, error) {
	n, err := c.reader.Read(buffer)
	c.hash.Write(buffer[:n])
	c.size += int64(n)
	return n, err
}

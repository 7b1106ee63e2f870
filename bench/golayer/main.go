// Golayer writes one image layer with the libraries that Go tools use for it.
//
// It stands in for a Go program that cannot be installed everywhere, so that `cargo xtask bench` has something to
// compare with: it does the same work (see the list below), and is not that program. What it does:
//
//   - four goroutines hash the files ahead; the writer reads each once more into the tar (so every file is read twice);
//   - equal contents become hard links, which stand behind all files;
//   - one goroutine feeds the tar through SHA-256 and the compressor, and what comes out through SHA-256 again;
//   - gzip with one job is the standard library's, with more it is pgzip with blocks of 1 MiB; zstd is klauspost's with
//     as many threads as it likes; eStargz is the library of the stargz snapshotter, an entry at a time.
package main

import (
	"archive/tar"
	"bufio"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"flag"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"

	"github.com/containerd/stargz-snapshotter/estargz"
	"github.com/klauspost/compress/zstd"
	"github.com/klauspost/pgzip"
)

const (
	hashers   = 4
	blockSize = 1 << 20
)

type options struct {
	list, tar, format, output string
	level, jobs               int
	estargz                   bool
}

func main() {
	var o options
	flag.StringVar(&o.list, "list", "", "file of lines: path, NUL, `f`, source")
	flag.StringVar(&o.tar, "import-tar", "", "plain tar to take the entries from")
	flag.StringVar(&o.format, "format", "gzip", "gzip, zstd or none")
	flag.StringVar(&o.output, "output", "", "where the layer goes")
	flag.IntVar(&o.level, "level", -1, "level of the codec; -1 is the library's own")
	flag.IntVar(&o.jobs, "jobs", 1, "jobs of gzip")
	flag.BoolVar(&o.estargz, "estargz", false, "write eStargz")
	flag.Parse()
	if err := run(&o); err != nil {
		fmt.Fprintln(os.Stderr, "golayer:", err)
		os.Exit(1)
	}
}

func run(o *options) error {
	out, err := os.Create(o.output)
	if err != nil {
		return err
	}
	digest := sha256.New()
	layer, err := newLayer(o, io.MultiWriter(out, digest))
	if err != nil {
		return err
	}
	if o.list != "" {
		err = addList(layer, o.list)
	} else {
		err = importTar(layer, o.tar)
	}
	if err != nil {
		return err
	}
	if err := layer.close(); err != nil {
		return err
	}
	fmt.Printf("diff_id sha256:%x\ndigest sha256:%x\n", layer.diffID.Sum(nil), digest.Sum(nil))
	return out.Close()
}

// sink takes the entries of the layer in order.
type sink interface {
	entry(header *tar.Header, content io.Reader) error
	close() error
}

// layer knows what was written already, and keeps the links for the end.
type layer struct {
	sink   sink
	diffID hash.Hash
	first  map[[sha256.Size]byte]string
	links  []*tar.Header
}

func newLayer(o *options, out io.Writer) (*layer, error) {
	l := &layer{diffID: sha256.New(), first: map[[sha256.Size]byte]string{}}
	if o.estargz {
		w := estargz.NewWriter(out)
		if o.level != -1 {
			w = estargz.NewWriterLevel(out, o.level)
		}
		l.sink = &seekable{w: w, diffID: l.diffID}
		return l, nil
	}
	codec, err := newCodec(o, out)
	if err != nil {
		return nil, err
	}
	l.sink = &plain{tar: tar.NewWriter(io.MultiWriter(l.diffID, codec)), codec: codec}
	return l, nil
}

func newCodec(o *options, out io.Writer) (io.WriteCloser, error) {
	switch {
	case o.format == "none":
		return nopCloser{out}, nil
	case o.format == "zstd" && o.level == -1:
		return zstd.NewWriter(out)
	case o.format == "zstd":
		return zstd.NewWriter(out, zstd.WithEncoderLevel(zstd.EncoderLevel(o.level)))
	case o.jobs <= 1:
		return gzip.NewWriterLevel(out, o.level)
	}
	w, err := pgzip.NewWriterLevel(out, o.level)
	if err != nil {
		return nil, err
	}
	return w, w.SetConcurrency(blockSize, o.jobs)
}

type nopCloser struct{ io.Writer }

func (nopCloser) Close() error { return nil }

// plain is a tar in a codec, without the two empty blocks at its end.
type plain struct {
	tar   *tar.Writer
	codec io.WriteCloser
}

func (p *plain) entry(header *tar.Header, content io.Reader) error {
	if err := p.tar.WriteHeader(header); err != nil {
		return err
	}
	if content == nil {
		return nil
	}
	_, err := io.Copy(p.tar, content)
	return err
}

func (p *plain) close() error {
	if err := p.tar.Flush(); err != nil {
		return err
	}
	return p.codec.Close()
}

// seekable hands each entry to the eStargz library as a tar of its own.
type seekable struct {
	w      *estargz.Writer
	diffID hash.Hash
}

func (s *seekable) entry(header *tar.Header, content io.Reader) error {
	var block bytes.Buffer
	if err := tar.NewWriter(&block).WriteHeader(header); err != nil {
		return err
	}
	parts := []io.Reader{&block}
	if content != nil {
		padding := (512 - header.Size%512) % 512
		parts = append(parts, content, bytes.NewReader(make([]byte, padding)))
	}
	return s.w.AppendTar(io.TeeReader(io.MultiReader(parts...), s.diffID))
}

func (s *seekable) close() error {
	_, err := s.w.Close()
	return err
}

// add writes a file, or keeps a link to the one of the same content for later.
func (l *layer) add(header *tar.Header, sum [sha256.Size]byte, content io.Reader) error {
	if target, known := l.first[sum]; known {
		link := *header
		link.Typeflag, link.Linkname, link.Size = tar.TypeLink, target, 0
		l.links = append(l.links, &link)
		return nil
	}
	l.first[sum] = header.Name
	return l.sink.entry(header, content)
}

func (l *layer) close() error {
	for _, link := range l.links {
		if err := l.sink.entry(link, nil); err != nil {
			return err
		}
	}
	return l.sink.close()
}

// file is one line of the list; what its hash is comes later.
type file struct {
	path, source string
	sum          chan hashed
}

type hashed struct {
	sum [sha256.Size]byte
	err error
}

func addList(l *layer, list string) error {
	files, err := readList(list)
	if err != nil {
		return err
	}
	work := make(chan *file)
	for range hashers {
		go func() {
			for f := range work {
				f.sum <- hashFile(f.source)
			}
		}()
	}
	go func() {
		for _, f := range files {
			work <- f
		}
		close(work)
	}()
	for _, f := range files {
		if err := addFile(l, f); err != nil {
			return err
		}
	}
	return nil
}

func readList(list string) ([]*file, error) {
	text, err := os.ReadFile(list)
	if err != nil {
		return nil, err
	}
	var files []*file
	lines := bufio.NewScanner(bytes.NewReader(text))
	for lines.Scan() {
		path, source, found := strings.Cut(lines.Text(), "\x00f")
		if !found {
			return nil, fmt.Errorf("%s: a line without a source: %q", list, lines.Text())
		}
		// Room for the sum, so that nobody waits for the writer.
		files = append(files, &file{path, source, make(chan hashed, 1)})
	}
	return files, lines.Err()
}

func hashFile(source string) (result hashed) {
	f, err := os.Open(source)
	if err != nil {
		return hashed{err: err}
	}
	defer f.Close()
	h := sha256.New()
	_, result.err = io.Copy(h, f)
	h.Sum(result.sum[:0])
	return result
}

func addFile(l *layer, f *file) error {
	result := <-f.sum
	if result.err != nil {
		return result.err
	}
	source, err := os.Open(f.source)
	if err != nil {
		return err
	}
	defer source.Close()
	info, err := source.Stat()
	if err != nil {
		return err
	}
	header := &tar.Header{Typeflag: tar.TypeReg, Name: f.path, Mode: 0o755, Size: info.Size()}
	return l.add(header, result.sum, source)
}

// importTar keeps each file in memory until its hash is known.
func importTar(l *layer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	entries := tar.NewReader(f)
	for {
		header, err := entries.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if header.Typeflag != tar.TypeReg {
			if err := l.sink.entry(header, nil); err != nil {
				return err
			}
			continue
		}
		var content bytes.Buffer
		if _, err := io.Copy(&content, entries); err != nil {
			return err
		}
		if err := l.add(header, sha256.Sum256(content.Bytes()), &content); err != nil {
			return err
		}
	}
}

// Lists the tar archive on standard input as Go's archive/tar reads it.
//
// One JSON object a line: path and link in hexadecimal, the type flag, size, digest of the content.
package main

import (
	"archive/tar"
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"os"
)

type entry struct {
	Path   string `json:"path"`
	Kind   string `json:"kind"`
	Size   int64  `json:"size"`
	Digest string `json:"digest"`
	Link   string `json:"link"`
}

func main() {
	out := bufio.NewWriter(os.Stdout)
	if err := list(bufio.NewReader(os.Stdin), out); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	out.Flush()
}

func list(in io.Reader, out io.Writer) error {
	reader := tar.NewReader(in)
	lines := json.NewEncoder(out)
	for {
		header, err := reader.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if header.Typeflag == tar.TypeXGlobalHeader {
			continue
		}
		hash := sha256.New()
		size, err := io.Copy(hash, reader)
		if err != nil {
			return err
		}
		err = lines.Encode(entry{
			Path:   hex.EncodeToString([]byte(header.Name)),
			Kind:   string(rune(header.Typeflag)),
			Size:   size,
			Digest: hex.EncodeToString(hash.Sum(nil)),
			Link:   hex.EncodeToString([]byte(header.Linkname)),
		})
		if err != nil {
			return err
		}
	}
}

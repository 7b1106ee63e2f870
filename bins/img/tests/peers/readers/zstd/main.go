// Prints the SHA-256 of what klauspost's reader, the one in containerd and Docker, makes of a zstd file.
package main

import (
	"crypto/sha256"
	"fmt"
	"io"
	"log"
	"os"

	"github.com/klauspost/compress/zstd"
)

func main() {
	file, err := os.Open(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	reader, err := zstd.NewReader(file)
	if err != nil {
		log.Fatal(err)
	}
	digest := sha256.New()
	if _, err := io.Copy(digest, reader); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%x\n", digest.Sum(nil))
}

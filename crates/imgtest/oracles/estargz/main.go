// Reads eStargz layers with the library that the snapshotters use, and says what is wrong with them.
//
// On standard input stands one JSON object a line: the path of a blob and the digest that its TOC
// should have. One line of the answer belongs to each, in the same order: what was counted, or an
// error. The exit status is 1 when any blob has one.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"sync"
)

type request struct {
	Blob      string `json:"blob"`
	TOCDigest string `json:"tocDigest"`
}

type answer struct {
	Blob  string `json:"blob"`
	Error string `json:"error,omitempty"`
	*report
}

func main() {
	good, err := run(os.Stdin, os.Stdout)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if err != nil || !good {
		os.Exit(1)
	}
}

func run(in io.Reader, out io.Writer) (good bool, err error) {
	requests, err := parse(in)
	if err != nil {
		return false, err
	}
	lines := json.NewEncoder(out)
	good = true
	for _, answer := range all(requests) {
		good = good && answer.Error == ""
		if err := lines.Encode(answer); err != nil {
			return false, err
		}
	}
	return good, nil
}

func parse(in io.Reader) ([]request, error) {
	var requests []request
	lines := json.NewDecoder(bufio.NewReader(in))
	for {
		var next request
		err := lines.Decode(&next)
		if errors.Is(err, io.EOF) {
			return requests, nil
		}
		if err != nil {
			return nil, fmt.Errorf("request %d: %w", len(requests), err)
		}
		requests = append(requests, next)
	}
}

// all looks at as many blobs at once as there are processors.
func all(requests []request) []answer {
	answers := make([]answer, len(requests))
	free := make(chan struct{}, runtime.GOMAXPROCS(0))
	var running sync.WaitGroup
	for i, request := range requests {
		free <- struct{}{}
		running.Add(1)
		go func() {
			defer func() { <-free; running.Done() }()
			answers[i] = one(request)
		}()
	}
	running.Wait()
	return answers
}

func one(request request) answer {
	report, err := check(request.Blob, request.TOCDigest)
	if err != nil {
		return answer{Blob: request.Blob, Error: err.Error()}
	}
	return answer{Blob: request.Blob, report: report}
}

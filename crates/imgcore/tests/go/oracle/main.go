// Reads JSON documents, one in hex on each line, and answers each with a line of JSON: what Go's decoder makes of it.
package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
)

type descriptor struct {
	MediaType string `json:"mediaType"`
	Digest    string `json:"digest"`
	Size      int64  `json:"size"`
}

// Both kinds of document at once, so that a document of two kinds shows.
type document struct {
	MediaType string       `json:"mediaType"`
	Config    *descriptor  `json:"config"`
	Layers    []descriptor `json:"layers"`
	Manifests []descriptor `json:"manifests"`
}

type answer struct {
	Valid    bool   `json:"valid"`
	Compact  string `json:"compact"`
	Indented string `json:"indented"`
	// Empty when the document has another shape.
	Parts string `json:"parts"`
}

func answerFor(text []byte) answer {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value any
	if !json.Valid(text) || decoder.Decode(&value) != nil {
		return answer{}
	}
	compact, _ := json.Marshal(value)
	indented, _ := json.MarshalIndent(value, "", "  ")
	result := answer{Valid: true, Compact: string(compact), Indented: string(indented)}
	var parts document
	if json.Unmarshal(text, &parts) == nil {
		result.Parts = describe(parts)
	}
	return result
}

func describe(parts document) string {
	var out bytes.Buffer
	if parts.Config != nil {
		fmt.Fprintf(&out, "config %s %s %d\n", parts.Config.MediaType, parts.Config.Digest, parts.Config.Size)
	}
	for _, layer := range parts.Layers {
		fmt.Fprintf(&out, "layer %s %s %d\n", layer.MediaType, layer.Digest, layer.Size)
	}
	for _, entry := range parts.Manifests {
		fmt.Fprintf(&out, "manifest %s %s %d\n", entry.MediaType, entry.Digest, entry.Size)
	}
	return out.String()
}

func main() {
	input := bufio.NewScanner(os.Stdin)
	input.Buffer(nil, 1<<20)
	output := bufio.NewWriter(os.Stdout)
	defer output.Flush()
	encoder := json.NewEncoder(output)
	for input.Scan() {
		text, err := hex.DecodeString(input.Text())
		if err != nil {
			panic(err)
		}
		if err := encoder.Encode(answerFor(text)); err != nil {
			panic(err)
		}
	}
}

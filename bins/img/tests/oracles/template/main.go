// This program asks Go's text/template what it makes of each template in templates.txt and writes
// the answers to table.txt, which a test of the img program compares with its own answers.
//
//	go run . < templates.txt > table.txt
//
// In templates.txt a line that starts with "data " sets the data of the templates below it, an
// empty line or one that starts with "# " says nothing, and every other line is a template in
// which "⏎" stands for a newline.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"text/template"
	"time"
)

func main() {
	in := bufio.NewScanner(os.Stdin)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	fmt.Fprintln(out, "# Written by main.go from templates.txt; do not edit.")
	var data any
	for in.Scan() {
		line := in.Text()
		switch {
		case line == "" || strings.HasPrefix(line, "# "):
		case strings.HasPrefix(line, "data "):
			text := strings.TrimPrefix(line, "data ")
			data = nil
			if err := json.Unmarshal([]byte(text), &data); err != nil {
				fmt.Fprintln(os.Stderr, line, err)
				os.Exit(1)
			}
			fmt.Fprintf(out, "\n%s\n", line)
		default:
			fmt.Fprintf(out, "%s\n%s\n", line, answer(strings.ReplaceAll(line, "⏎", "\n"), data))
		}
	}
}

func answer(text string, data any) string {
	parsed, err := template.New("case").Funcs(functions).Parse(text)
	if err != nil {
		return "!! parse"
	}
	var printed strings.Builder
	// A template may run for ever; nobody needs more than this.
	limited := &limitedWriter{out: &printed, left: 1 << 20}
	if err := parsed.Execute(limited, data); err != nil {
		return "!! run"
	}
	quoted := new(strings.Builder)
	encoder := json.NewEncoder(quoted)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(printed.String()); err != nil {
		panic(err)
	}
	return "=> " + strings.TrimSpace(quoted.String())
}

type limitedWriter struct {
	out  io.Writer
	left int
}

func (w *limitedWriter) Write(p []byte) (int, error) {
	w.left -= len(p)
	if w.left < 0 {
		return 0, errors.New("too much output")
	}
	return w.out.Write(p)
}

var functions = template.FuncMap{
	"getkv": func(list any, key string) string {
		value, _ := find(list, key)
		return value
	},
	"appendkv": func(list any, key, suffix string) string {
		value, _ := find(list, key)
		return value + suffix
	},
	"prependkv": func(list any, key, prefix string) string {
		value, _ := find(list, key)
		return prefix + value
	},
	"split":      func(s, sep string) []string { return strings.Split(s, sep) },
	"join":       func(list []string, sep string) string { return strings.Join(list, sep) },
	"hasprefix":  func(s, p string) bool { return strings.HasPrefix(s, p) },
	"hassuffix":  func(s, p string) bool { return strings.HasSuffix(s, p) },
	"trimprefix": func(s, p string) string { return strings.TrimPrefix(s, p) },
	"trimsuffix": func(s, p string) string { return strings.TrimSuffix(s, p) },
	"rfc3339": func(v any) (string, error) {
		var seconds int64
		switch v := v.(type) {
		case nil:
			return "", nil
		case string:
			if v == "" {
				return "", nil
			}
			parsed, err := strconv.ParseInt(v, 10, 64)
			if err != nil {
				return "", err
			}
			seconds = parsed
		case float64:
			seconds = int64(v)
		case int:
			seconds = int64(v)
		default:
			return "", fmt.Errorf("no number: %v", v)
		}
		return time.Unix(seconds, 0).UTC().Format(time.RFC3339), nil
	},
}

func find(list any, key string) (string, bool) {
	switch list := list.(type) {
	case []any:
		for _, item := range list {
			if text, ok := item.(string); ok && strings.HasPrefix(text, key+"=") {
				return text[len(key)+1:], true
			}
		}
	case []string:
		for _, text := range list {
			if strings.HasPrefix(text, key+"=") {
				return text[len(key)+1:], true
			}
		}
	}
	return "", false
}

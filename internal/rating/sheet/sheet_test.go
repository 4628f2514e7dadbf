package sheet_test

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/xuri/excelize/v2"

	"github.com/tollgate/tollgate/internal/rating/sheet"
)

const table = "prefix,rate\n44,0.0123\n"

func zipped(t *testing.T, names ...string) []byte {
	t.Helper()
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	for _, name := range names {
		f, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(f, table)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func gzipped(text string) []byte {
	var out bytes.Buffer
	w := gzip.NewWriter(&out)
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return out.Bytes()
}

func workbook(t *testing.T) []byte {
	t.Helper()
	book := excelize.NewFile()
	for cell, value := range map[string]any{"A1": "prefix", "B1": "rate", "C1": "effective", "A2": 44, "B2": 0.0123,
		"C2": time.Date(2026, 9, 16, 0, 0, 0, 0, time.UTC)} {
		if err := book.SetCellValue("Sheet1", cell, value); err != nil {
			t.Fatal(err)
		}
	}
	out, err := book.WriteToBuffer()
	if err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func TestOpen(t *testing.T) {
	utf16 := []byte("\xff\xfe")
	for _, b := range []byte(table) {
		utf16 = append(utf16, b, 0)
	}
	tests := []struct {
		name string
		data []byte
		want string
	}{
		{"text", []byte(table), table},
		{"byte order mark", []byte("\xef\xbb\xbf" + table), table},
		{"CR", []byte(strings.ReplaceAll(table, "\n", "\r")), table},
		{"UTF-16", utf16, table},
		{"Windows-1252", []byte("C\xf4te"), "C\u00f4te"},
		{"gzip", gzipped(table), table},
		{"zip", zipped(t, "rates/", "rates/a.csv", "__MACOSX/a.csv"), table},
		{"xlsx", workbook(t), "prefix,rate,effective\n44,0.0123,2026-09-16\n"},
	}
	for _, test := range tests {
		r, err := sheet.Open(bytes.NewReader(test.data), 1<<20)
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		got, err := io.ReadAll(r)
		if err != nil || string(got) != test.want {
			t.Errorf("%s: %q, %v; want %q", test.name, got, err, test.want)
		}
	}
}

func TestOpenRefuses(t *testing.T) {
	tests := []struct {
		name string
		data []byte
		is   error
		want string
	}{
		{"xls", []byte("\xd0\xcf\x11\xe0" + strings.Repeat("\x00", 600)), sheet.ErrFormat, "xlsx"},
		{"two files", zipped(t, "a.csv", "b.csv"), sheet.ErrFormat, "2 files"},
		{"web page", []byte("<!DOCTYPE html><html>"), sheet.ErrFormat, "web page"},
		{"bomb", gzipped(strings.Repeat("0", 2<<20)), sheet.ErrTooLarge, ""},
		{"binary", []byte("a\x00\x01\x02bc"), sheet.ErrFormat, "UTF-8"},
		{"torn gzip", gzipped(table)[:20], sheet.ErrFormat, "damaged"},
	}
	for _, test := range tests {
		_, err := sheet.Open(bytes.NewReader(test.data), 1<<20)
		if !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

package bulk_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/bulk"
)

// importAny imports a text and checks what holds for any: sums that add up, no
// filing that cannot be recorded, a place and a reason for each refused row.
func importAny(t *testing.T, text []byte, opts bulk.Options) (bulk.Report, error) {
	t.Helper()
	opts.Stdin, opts.Keep = bytes.NewReader(text), 1<<20
	n := 0
	report, err := bulk.Import(context.Background(), []string{"-"}, opts, func(f registry.Filing) error {
		n++
		if err := f.Check(); err != nil {
			t.Errorf("got %s, which cannot be recorded: %v", show(f), err)
		}
		return nil
	})
	if err != nil {
		if n > 0 {
			t.Errorf("got %d filings and error %v", n, err)
		}
		return report, err
	}
	if report.Rows != report.Refused+report.Merged+report.Filings || report.Filings != n || report.Duplicates > report.Merged {
		t.Errorf("the sums are wrong: %s; %d filings came", report.String(), n)
	}
	for _, p := range report.RefusedRows {
		if p.Line < 1 || p.Reason == "" || p.File != "-" {
			t.Errorf("got %+v; want a place and a reason", p)
		}
	}
	return report, nil
}

var tableHeader = []string{"domain", "number", "site_name", "provider"}

// slowTable reads a table with encoding/csv and its rows as JSON objects. It
// reports false where encoding/csv reads no further than a broken quote.
func slowTable(t *testing.T, text []byte) (accepted, rows int, ok bool) {
	r := csv.NewReader(bytes.NewReader(text))
	r.FieldsPerRecord = -1
	all, err := r.ReadAll()
	if err != nil {
		return 0, 0, false
	}
	for _, fields := range all[1:] {
		if strings.TrimFunc(strings.Join(fields, ""), invisible) == "" {
			continue
		}
		rows++
		for len(fields) > len(tableHeader) && fields[len(fields)-1] == "" {
			fields = fields[:len(fields)-1]
		}
		if len(fields) != len(tableHeader) {
			continue
		}
		object := map[string]string{}
		for i, key := range tableHeader {
			object[key] = fields[i]
		}
		line, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := bulk.ParseFilingJSON(line); err == nil {
			accepted++
		}
	}
	return accepted, rows, true
}

func invisible(r rune) bool {
	return unicode.IsSpace(r) || r == '\u200b' || r == '\ufeff' || r == '\u2060'
}

func FuzzTable(f *testing.F) {
	for _, s := range []string{
		"a.com,京ICP备12345678号-1,x,aliyun\n", "a.com,,,\r\nb.com,,,none\r\n", "\"a.com\",\"\",\"x\n\"\"y\"\"\",-\n", "a.com,,\"x\n",
		"a.com,,x\"y,\n", "a.com,,\"x\"y,\n", ",,,\n\n,,,,,\n", "a.com b.com,,,,,\n", "http://www.a.com/,1,2,3\n", "\xff,\x00,,\n",
		"a.com,京ICP备1号,,\r", "\"\"\"\"\n\"\"\"\n", "com.cn,,,\n*.a.com,,,\n例子.公司,,,",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		text := append([]byte(strings.Join(tableHeader, ",")+"\n"), body...)
		if _, err := importAny(t, text, bulk.Options{}); err != nil && !bytes.ContainsRune(text, 0) {
			t.Fatalf("got error %v", err)
		}
		report, err := importAny(t, text, bulk.Options{Format: bulk.FormatCSV, Encoding: bulk.EncodingUTF8})
		if err != nil {
			if !bytes.ContainsRune(text, 0) {
				t.Fatalf("got error %v", err)
			}
			return
		}
		accepted, rows, ok := slowTable(t, text)
		if ok && (report.Rows != rows || report.Rows-report.Refused != accepted) {
			t.Errorf("got %s; want %d rows, %d accepted: %v", report.String(), rows, accepted, report.RefusedRows)
		}
	})
}

// FuzzHeader looks for headers that make trouble.
func FuzzHeader(f *testing.F) {
	for _, s := range []string{
		"domain\na.com", "域名;网站名称\na.com;x", "\ufeff网站首页地址\tlimitAccess\nwww.a.com\t是", "\xd3\xf2\xc3\xfb\na.com\n", "PK\x03\x04", "\xff\xfed\x00o\x00",
		"domain,kind,address,covers,accesses\n,ip,192.0.2.1,,\na.gov.cn,,,img,\n", "{\"domain\":\"a.com\"}", "[{\"domain\":\"a.com\",\"unitName\":\"x\"}]",
		"domain,filed_at,updated_at,accessed_at,provider,province\na.com b.com,2020/1/1,2020年1月1日,20200101,x,京\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		_, _ = importAny(t, text, bulk.Options{})
	})
}

func FuzzJSONLines(f *testing.F) {
	for _, s := range []string{
		`{"domain":"a.com","accesses":[{"provider":"x","status":"active","accessed_at":"2024-01-01"}]}`, `{"domains":["a.com","b.com"],"covers":["img"]}` + "\n\n{}\n[]\n",
		`{"domain":"a.com","accesses":[],"restricted":true,"entity":"\u4e2d\"","number":null}`, `{"a":{"b":[1,2,{"c":"}"}]},"domain":"a.com"}`, "{\"domain\" : \"192.0.2.1\" ,\"kind\":\"ip\"}\r\n{",
		`{"domain":"a.com","x\u0061":1e9,"y":-0.1,"z":false}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		report, err := importAny(t, text, bulk.Options{Format: bulk.FormatJSONL, Encoding: bulk.EncodingUTF8})
		if err != nil {
			return
		}
		rows, accepted := 0, 0
		for line := range bytes.SplitSeq(bytes.TrimPrefix(text, []byte("\ufeff")), []byte("\n")) {
			if len(bytes.Trim(line, " \t\r\n")) == 0 {
				continue
			}
			rows++
			if _, _, err := bulk.ParseFilingJSON(line); err == nil {
				accepted++
			}
		}
		if report.Rows != rows || report.Rows-report.Refused != accepted {
			t.Errorf("got %s; want %d rows, %d accepted", report.String(), rows, accepted)
		}
	})
}

// FuzzFilingJSON compares the keys that the scanner sees with encoding/json's.
func FuzzFilingJSON(f *testing.F) {
	f.Add([]byte(`{"domain":"a.com","site_name":"x\n\u0041","status":"normal"}`))
	f.Add([]byte(` {"domain" :"a.com", "site_name": "\\\"" } `))
	f.Fuzz(func(t *testing.T, line []byte) {
		got, _, err := bulk.ParseFilingJSON(line)
		if err != nil {
			return
		}
		var want map[string]any
		if err := json.Unmarshal(line, &want); err != nil {
			t.Fatalf("accepted, but encoding/json says %v", err)
		}
		for key := range want {
			if !slices.Contains([]string{"domain", "domains", "accesses", "filed_ip", "cancelled_with_entity", "entity", "nature"}, key) && !slices.Contains(bulk.Columns(), key) {
				t.Errorf("accepted with key %q", key)
			}
		}
		if name, _ := want["site_name"].(string); name != "" && !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r >= 0x7f || r == ' ' }) && got.Site.Name != name {
			t.Errorf("got site name %q; want %q", got.Site.Name, name)
		}
	})
}

func FuzzPublicQuery(f *testing.F) {
	for _, s := range []string{
		record, "[" + record + "," + record + "]", `{"code":200,"params":{"list":[` + record + `]},"success":true}`, `{"success":false,"params":null}`, `[]`, "[{}]\n[{}]", `[[[{"list":[]}]]]`,
		`{"params":{"params":{"params":{"params":{}}}}}`, "{\n\"domain\":\"a.com\"\n}\n{\"domain\":\"b.com\"}", `{"list":[1,"x",null,{"serviceType":6}]}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		report, err := importAny(t, text, bulk.Options{Format: bulk.FormatPublicQuery, Encoding: bulk.EncodingUTF8})
		var list []json.RawMessage
		if err == nil && json.Unmarshal(text, &list) == nil && report.Rows != len(list) {
			t.Errorf("got %d rows; want %d", report.Rows, len(list))
		}
	})
}

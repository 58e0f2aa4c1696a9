package bulk_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/registry/bulk"
)

func TestParseFilingJSON(t *testing.T) {
	tests := []struct{ name, line, want, wantWarnings string }{
		{"least", `{"domain": "example.com"}`, "domains=example.com", ""},
		{"accesses", `{"domain": "a.com", "status": "normal", "accesses": [{"provider": "aliyun", "status": "active"}, {"provider": "tencent", "status": "submitted", "accessed_at": "2024-01-02"}]}`,
			"domains=a.com; accesses=[aliyun:active tencent:submitted:2024-01-02]", ""},
		{"no accesses", `{"domain": "a.com", "accesses": []}`, "domains=a.com; accesses=[]", ""},
		{"accesses unknown", `{"domain": "a.com", "accesses": null}`, "domains=a.com", ""},
		{"flat access", `{"domain": "a.com", "provider": "aliyun", "access_status": "cancelled"}`, "domains=a.com; accesses=[aliyun:cancelled]", ""},
		{"ip", `{"domain": "192.0.2.10", "kind": "ip"}`, "addr=192.0.2.10; kind=ip", ""},
		{"all", `{"domains": ["a.com", "b.com"], "number": "京ICP备00000001号-1", "entity": "某公司", "nature": "enterprise", "site_name": "S",
			"status": "change-pending", "restricted": true, "filed_at": "2010-01-02", "updated_at": "2020-01-02T00:00:00+08:00", "filed_ip": "192.0.2.99"}`,
			"domains=a.com b.com; number=京ICP备00000001号-1; entity=京ICP备00000001号; name=某公司; nature=enterprise; site=S; status=change-pending; restricted=true; filed=2010-01-02; updated=2020-01-02; filed-addr=192.0.2.99", ""},
		{"long names", `{"domain": "a.com", "entity_number": "京ICP备00000001号", "entity_name": "E", "entity_nature": "5", "covers": [], "address": "192.0.2.1", "province": "京"}`,
			"domains=a.com; entity=京ICP备00000001号; name=E; nature=individual; filed-addr=192.0.2.1", ""},
		{"covers", `{"domain": "a.gov.cn", "covers": ["img", "b.a.gov.cn"]}`, "domains=a.gov.cn; covers=b.a.gov.cn img", ""},
		{"cancelled with entity", `{"domain": "a.com", "cancelled_with_entity": true}`, "domains=a.com; status=cancelled", ""},
		{"not cancelled with entity", `{"domain": "a.com", "status": "normal", "cancelled_with_entity": false}`, "domains=a.com", ""},
		{"undated", `{"domains": ["a.com", "b.com"]}`, "domains=a.com b.com", "several-domains"},
		{"escapes", "{\"d\\u006fmain\": \"a\\u002ecom\", \"site_name\": \"\\\"x\\\" \\u4e2d\\/\"}", `domains=a.com; site="x" 中/`, ""},
		{"blanks", " \t{ \"domain\" : \"a.com\" , \"accesses\" : [ ] } \r\n", "domains=a.com; accesses=[]", ""},
		{"nulls", `{"domain": "a.com", "number": null, "covers": null}`, "domains=a.com", ""},

		{"unknown key", `{"domain": "a.com", "colour": 1}`, `refused unknown key "colour"`, ""},
		{"key in another case", `{"Domain": "a.com"}`, `refused unknown key "Domain"`, ""},
		{"key given twice", `{"domain": "a.com", "domain": "b.com"}`, "refused is given twice", ""},
		{"domain beside the others", `{"domain": "a.com", "domains": ["b.com"], "filed_at": "2015-01-01"}`, "domains=a.com b.com; filed=2015-01-01", ""},
		{"domain among all", `{"domains": ["b.com", "a.com"], "domain": "a.com", "filed_at": "2015-01-01"}`, "domains=b.com a.com; filed=2015-01-01", ""},
		{"access key", `{"domain": "a.com", "accesses": [{"provider": "x", "since": 1}]}`, "refused unknown key in an access", ""},
		{"access without provider", `{"domain": "a.com", "accesses": [{"status": "active"}]}`, "refused empty provider", ""},
		{"two accesses", `{"domain": "a.com", "accesses": [{"provider": "x"}, {"provider": "X"}]}`, "refused two accesses", ""},
		{"accesses twice", `{"domain": "a.com", "accesses": [], "accesses": []}`, "refused accesses is given twice", ""},
		{"accesses and provider", `{"domain": "a.com", "accesses": [], "provider": "x"}`, "refused beside a list", ""},
		{"accesses no list", `{"domain": "a.com", "accesses": {"provider": "x"}}`, "refused accesses is no list", ""},
		{"an access no object", `{"domain": "a.com", "accesses": ["x"]}`, "refused is no access", ""},
		{"none in the list", `{"domain": "a.com", "accesses": [{"provider": "none"}]}`, "refused write an empty list", ""},
		{"list for a string", `{"domain": "a.com", "number": []}`, "refused is a list or object", ""},
		{"number in a list", `{"domains": [1]}`, "refused is no string", ""},
		{"suffix", `{"domain": "com.cn"}`, "refused is a public suffix", ""},
		{"lone surrogate", `{"domain": "a.com", "site_name": "\ud800"}`, "refused could not be decoded", ""},
		{"no UTF-8", "{\"domain\": \"a.com\", \"site_name\": \"\xff\"}", "refused is no UTF-8", ""},
		{"no JSON", `{"domain": "a.com"`, "refused is no JSON", ""},
		{"two values", `{"domain": "a.com"} {}`, "refused is no JSON", ""},
		{"list", `[]`, "refused is no JSON object", ""},
		{"nothing", ``, "refused is no JSON", ""},
		{"strange blank", "\u00a0{}", "refused is no JSON", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f, warnings, err := bulk.ParseFilingJSON([]byte(tt.line))
			if reason, ok := strings.CutPrefix(tt.want, "refused "); ok {
				if err == nil || !strings.Contains(err.Error(), reason) {
					t.Fatalf("got %s, error %v; want %q", show(f), err, reason)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := f.Check(); err != nil {
				t.Error(err)
			}
			if s := show(f); s != tt.want {
				t.Errorf("got  %s\nwant %s", s, tt.want)
			}
			got, report, err := load(t, bulk.Options{}, strings.ReplaceAll(tt.line, "\n", " "))
			if err != nil || len(got) != 1 || !reflect.DeepEqual(got[0], f) || kinds(report.WarningList) != tt.wantWarnings {
				t.Errorf("got %v, warnings %v, error %v from a file; want %+v", got, report.WarningList, err, f)
			}
			if w := kinds(warnings); w != tt.wantWarnings {
				t.Errorf("got warnings %q; want %q", w, tt.wantWarnings)
			}
		})
	}
}

func TestJSONLines(t *testing.T) {
	text := `{"domain": "a.com"}` + "\n" +
		`{"domain": "b.com", "x": 1}` + "\n\n" +
		`{"domain": "c.com"` + "\n" +
		`[]` + "\n" +
		`{"domain": "d.com", "site_name": "` + strings.Repeat("x", 2<<20) + `"}` + "\n" +
		`{"domain": "e.com"}`
	for _, broken := range []string{"", "{\"domain\": \n"} {
		got, report, err := load(t, bulk.Options{}, broken+text)
		if err != nil || len(got) != 2 || report.Files[0].Format != bulk.FormatJSONL {
			t.Fatalf("got %d filings of %v, error %v; want 2 of jsonl", len(got), report.Files, err)
		}
		last := report.RefusedRows[len(report.RefusedRows)-1]
		if want := 6 + strings.Count(broken, "\n"); last.Line != want || last.Reason != "is longer than 1 MiB" {
			t.Errorf("got %v; want line %d too long", last, want)
		}
	}
}

// record is a record of the public query as its tools print it.
const record = `{"contentTypeName":"出版","domain":"example.com","domainId":10000000001,"leaderName":"","limitAccess":"是","mainId":1,` +
	`"mainLicence":"粤B2-20090059","natureName":"企业","serviceId":2,"serviceLicence":"粤B2-20090059-5","unitName":"某公司",` +
	`"updateRecordTime":"2023-10-18 10:27:25"}`

const recordShown = "domains=example.com; number=粤B2-20090059-5; entity=粤B2-20090059; name=某公司; nature=enterprise; restricted=true; updated=2023-10-18T10:27:25"

func TestPublicQuery(t *testing.T) {
	app := `{"serviceLicence":"粤B2-20090059-6A","serviceName":"App","serviceType":6,"unitName":"某公司","natureName":"企业","version":"1.0"}`
	envelope := func(list string) string {
		return `{"code":200,"msg":"操作成功","params":{"endRow":1,"list":` + list + `,"pages":1,"total":1},"success":true}`
	}
	pretty := "{\n\t\"code\": 200,\n\t\"params\": {\n\t\t\"list\": [\n" + record + "\n]\n},\n\"success\": true}"
	tests := []struct {
		name, text, want string
		refused          string // lines
	}{
		{"envelope", envelope("[" + record + "]"), recordShown, ""},
		{"pretty envelope", pretty, recordShown, ""},
		{"list", "[" + record + "]", recordShown, ""},
		{"list over lines", "[\n" + record + "\n,\n" + app + "]", recordShown, "4"},
		{"object", record, recordShown, ""},
		{"pretty object", strings.ReplaceAll(record, ",\"", ",\n\""), recordShown, ""},
		{"pretty objects", strings.ReplaceAll(record, ",\"", ",\n\"") + "\n" + strings.ReplaceAll(record, ",\"", ",\n\""), recordShown, ""},
		{"one a line", record + "\n" + app + "\n", recordShown, "2"},
		{"an envelope a line", envelope("[]") + "\n" + envelope("["+app+","+record+"]") + "\n" + envelope("null"), recordShown, "2"},
		{"lists, one behind another", "[" + record + "]\n[\n" + app + "]", recordShown, "3"},
		{"a broken line", record + "\n{\"domain\":\n" + record, recordShown, "2"},
		{"blacklist", `{"domain":"a.com","serviceName":"a.com","blacklistLevel":2}` + "\n" + record, recordShown, "1"},
		{"home page", `{"unitName":"某公司","homeUrl":"www.example.com"}`, "domains=example.com; name=某公司", ""},
		{"numbers and nulls in a list", "[1,null,\"x\"," + record + "]", recordShown, "1 1 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, report, err := load(t, bulk.Options{}, tt.text)
			if err != nil || len(got) != 1 {
				t.Fatalf("got %d filings, refused %v, error %v; want one", len(got), report.RefusedRows, err)
			}
			if s := show(got[0]); s != tt.want {
				t.Errorf("got  %s\nwant %s", s, tt.want)
			}
			if report.Files[0].Format != bulk.FormatPublicQuery {
				t.Errorf("got format %s; want public-query", report.Files[0].Format)
			}
			if s := refusedLines(report); s != tt.refused {
				t.Errorf("got lines %q refused; want %q: %v", s, tt.refused, report.RefusedRows)
			}
		})
	}
}

func refusedLines(r bulk.Report) string {
	var list []string
	for _, p := range r.RefusedRows {
		list = append(list, strings.Split(p.String(), ":")[1])
	}
	return strings.Join(list, " ")
}

func TestPublicQueryFails(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"failed", `{"code":401,"msg":"token expired","params":null,"success":false}`, "token expired"},
		{"failed, pretty", "{\n\"code\":401,\n\"msg\":\"token expired\",\n\"params\":null,\n\"success\":false}", "token expired"},
		{"cut short", "[\n" + record + ",\n" + record, "line 3: the JSON is broken"},
		{"a brace too much", "[\n" + record + "}\n]", "the JSON is broken"},
		{"a number", "[\n" + record + "\n]\n7", "line 4"},
		{"endless element", "[{\"unitName\":\"" + strings.Repeat("x", 3<<20) + "\"}]", "longer than 1 MiB"},
		{"endless object", "{\"unitName\":\n" + strings.Repeat("\"x\",\"y\":\n", 1<<20) + "1}", "longer than 1 MiB"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _, err := load(t, bulk.Options{}, tt.text)
			if err == nil || !strings.Contains(err.Error(), tt.want) || len(got) != 0 {
				t.Errorf("got %d filings, error %v; want none, %q", len(got), err, tt.want)
			}
		})
	}
}

func TestUnknownKeyOfThePublicQuery(t *testing.T) {
	_, report := one(t, `[{"domain":"a.com","unitName":"x","newField":1},{"domain":"a.com","unitName":"x","newField":2}]`)
	if len(report.WarningList) != 1 || !strings.Contains(report.WarningList[0].Reason, "newField") {
		t.Errorf("got %v; want one warning of newField", report.WarningList)
	}
}

func TestFormatTold(t *testing.T) {
	if _, _, err := load(t, bulk.Options{Format: bulk.FormatJSONL}, "domain\na.com\n"); err == nil || !strings.Contains(err.Error(), "no JSON") {
		t.Errorf("got error %v; want one that it is no JSON", err)
	}
	// Told apart by nothing but what the caller says.
	got, _, err := load(t, bulk.Options{Format: bulk.FormatPublicQuery}, `{"domain":"a.com","number":"x"}`)
	if err != nil || len(got) != 1 {
		t.Errorf("got %d filings, error %v; want one", len(got), err)
	}
	got, _, err = load(t, bulk.Options{}, "[\n{\"domain\":\"a.com\",\n\"accesses\":[]},\n{\"domain\":\"b.com\"}]")
	if err != nil || len(got) != 2 {
		t.Errorf("got %d filings of a list, error %v; want 2", len(got), err)
	}
	for _, w := range []string{"auto", "csv", "jsonl", "public-query"} {
		if f, err := bulk.ParseFormat(w); err != nil || f.String() != w {
			t.Errorf("ParseFormat(%q): got %v, %v", w, f, err)
		}
	}
	if _, err := bulk.ParseFormat("xml"); err == nil || !strings.Contains(err.Error(), "csv, jsonl") {
		t.Errorf("got error %v; want one naming the formats", err)
	}
}

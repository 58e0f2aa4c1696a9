package bulk_test

import (
	"strings"
	"testing"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/unicode"

	"github.com/icpgate/icpgate/registry/bulk"
)

func encode(t *testing.T, e encoding.Encoding, s string) string {
	t.Helper()
	out, err := e.NewEncoder().String(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEncodings(t *testing.T) {
	const table = "域名,主办单位,服务许可证号\nexample.com,联通某公司,京ICP备00000001号-1\n"
	const shown = "domains=example.com; number=京ICP备00000001号-1; entity=京ICP备00000001号; name=联通某公司"
	const object = `{"domain":"example.com","number":"京ICP备00000001号-1","entity":"联通某公司"}`
	ascii := "domain,entity_name,number\n" + strings.Repeat("a.com,A,\n", 50_000)
	gb := simplifiedchinese.GB18030
	tests := []struct {
		name, text string
		told, want bulk.Encoding
	}{
		{"UTF-8", table, 0, bulk.EncodingUTF8},
		{"UTF-8 with mark", "\ufeff" + table, 0, bulk.EncodingUTF8},
		{"UTF-8 told", table, bulk.EncodingUTF8, bulk.EncodingUTF8},
		{"GB18030", encode(t, gb, table), 0, bulk.EncodingGB18030},
		{"GB18030 told", encode(t, gb, table), bulk.EncodingGB18030, bulk.EncodingGB18030},
		{"GB18030 with mark", encode(t, gb, "\ufeff"+table), bulk.EncodingGB18030, bulk.EncodingGB18030},
		{"GB18030 far behind", encode(t, gb, ascii+"example.com,联通某公司,京ICP备00000001号-1\n"), 0, bulk.EncodingGB18030},
		{"GB18030 JSON", encode(t, gb, object), 0, bulk.EncodingGB18030},
		{"UTF-16LE", encode(t, unicode.UTF16(unicode.LittleEndian, unicode.UseBOM), table), 0, bulk.EncodingUTF16},
		{"UTF-16BE", encode(t, unicode.UTF16(unicode.BigEndian, unicode.UseBOM), strings.ReplaceAll(table, ",", "\t")), 0, bulk.EncodingUTF16},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, report, err := load(t, bulk.Options{Encoding: tt.told}, tt.text)
			if err != nil || len(got) == 0 {
				t.Fatalf("got %d filings, refused %v, error %v", len(got), report.RefusedRows, err)
			}
			if s := show(got[len(got)-1]); s != shown {
				t.Errorf("got  %s\nwant %s", s, shown)
			}
			if e := report.Files[0].Encoding; e != tt.want {
				t.Errorf("got encoding %s; want %s", e, tt.want)
			}
		})
	}
}

func TestBadBytesDoNotChangeTheEncoding(t *testing.T) {
	got, report, err := load(t, bulk.Options{}, "domain,site_name\na.com,\xff\xfe 中文中文中文\nb.com,中文\n")
	if err != nil || len(got) != 1 || show(got[0]) != "domains=b.com; site=中文" || report.Refused != 1 {
		t.Errorf("got %d filings, refused %v, error %v; want b.com, one refused", len(got), report.RefusedRows, err)
	}
}

// TestBrokenEnds: a character cut in two by a separator is two broken fields,
// though it would be whole without.
func TestBrokenEnds(t *testing.T) {
	text := "domain,site_name,entity_name\na.com,\"中文中\xe4\xb8\",\"\xad文中文\"\nb.com,\"中文\",\"\"\n"
	got, report, err := load(t, bulk.Options{}, text)
	if err != nil || len(got) != 1 || show(got[0]) != "domains=b.com; site=中文" || report.Refused != 1 {
		t.Errorf("got %d filings, refused %v, error %v; want b.com, one refused", len(got), report.RefusedRows, err)
	}
}

func TestParseEncoding(t *testing.T) {
	for in, want := range map[string]bulk.Encoding{"auto": 0, "UTF-8": bulk.EncodingUTF8, "utf8": bulk.EncodingUTF8, "GBK": bulk.EncodingGB18030, "gb2312": bulk.EncodingGB18030, "gb18030": bulk.EncodingGB18030} {
		if got, err := bulk.ParseEncoding(in); err != nil || got != want {
			t.Errorf("ParseEncoding(%q): got %v, %v; want %v", in, got, err, want)
		}
	}
	if _, err := bulk.ParseEncoding("big5"); err == nil {
		t.Error("got no error for big5")
	}
}

func TestReadBlacklist(t *testing.T) {
	text := "# the list\n\nexample.com\n  Bad.Example.ORG  # why\n例子.公司\n"
	got, err := bulk.ReadBlacklist("black", strings.NewReader(text))
	if err != nil || len(got) != 3 || got[1].String() != "bad.example.org" || got[2].String() != "xn--fsqu00a.xn--55qx5d" {
		t.Errorf("got %v, error %v", got, err)
	}
	gb := encode(t, simplifiedchinese.GB18030, text)
	if got, err := bulk.ReadBlacklist("black", strings.NewReader(gb)); err != nil || len(got) != 3 || got[2].String() != "xn--fsqu00a.xn--55qx5d" {
		t.Errorf("GB18030: got %v, error %v", got, err)
	}
	got, err = bulk.ReadBlacklist("black", strings.NewReader("a.com\n*.b.com\nhttp://c.com/\ncom.cn\nx y\n192.0.2.1\nd.com"))
	if len(got) != 2 || err == nil {
		t.Fatalf("got %v, error %v; want two domains and an error", got, err)
	}
	for _, want := range []string{"black:2: ", "black:3: ", "black:4: ", "black:5: ", "black:6: "} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("got error %v; want it to name %s", err, want)
		}
	}
	if _, err = bulk.ReadBlacklist("black", strings.NewReader(strings.Repeat("_x y\n", 100)+strings.Repeat("z", 1<<17))); err == nil || strings.Count(err.Error(), "\n") > 22 || !strings.Contains(err.Error(), "too long") {
		t.Errorf("got error %v; want 20 lines, more, and the line too long", err)
	}
}

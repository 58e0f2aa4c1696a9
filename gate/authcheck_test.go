package gate_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/gate/authz"
	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/index"
)

// startChecked starts a gate whose registry knows numbers; the metrics are its own.
func startChecked(t *testing.T, block string) (addr string, count func(answer string) float64) {
	t.Helper()
	filed := filing("filed.example", registry.Aliyun)
	filed.Site.Number = registry.MustParseNumber("京ICP备00000001号-1")
	cancelled := filing("cancelled.example", registry.Aliyun)
	cancelled.Status = registry.StatusCancelled
	live := new(index.Live)
	live.Swap(newIndex(t, 7, filed, cancelled, filing("elsewhere.example", registry.Tencent)))
	g, reg := startLive(t, "auth://127.0.0.1:0 {\nicp {\nregistry r.snap\n}\n"+block+"\npeers 127.0.0.1\n}", live)
	return only(g), func(answer string) float64 { return metric(t, reg, "icp_gate_checks_total", answer) }
}

// checkedAs is what a program is told, in a line.
func checkedAs(x authz.Checked) string {
	said := fmt.Sprintf("%s %s %s %s", x.Host, x.Answer, x.Verdict, x.Reason)
	if x.Filing != nil {
		said += " by " + strings.Trim(x.Filing.Name+" "+x.Filing.Number, " ")
	}
	return said
}

func TestCheck(t *testing.T) {
	addr, count := startChecked(t, "serves mainland")
	for _, tt := range []struct{ query, want string }{
		{"host=www.filed.example", "www.filed.example pass pass accessed by filed.example 京ICP备00000001号-1"},
		{"host=WWW.Filed.Example.:443", "www.filed.example pass pass accessed by filed.example 京ICP备00000001号-1"},
		{"host=unfiled.example", "unfiled.example block block unfiled"},
		{"host=elsewhere.example", "elsewhere.example block block not-accessed by elsewhere.example"},
		{"host=elsewhere.example&product=cdn", "elsewhere.example pass pass filed by elsewhere.example"},
		{"host=elsewhere.example&addr=8.8.8.8", "elsewhere.example pass pass outside-mainland"},
		{"host=a.cancelled.example", "a.cancelled.example block block cancelled by cancelled.example"},
		{"host=unfiled.example&addr=10.0.0.1", "unfiled.example pass pass not-public"},
		{"host=unfiled.example&addr=223.5.5.5", "unfiled.example block block unfiled"},
		{"host=192.0.2.1", "192.0.2.1 pass pass ip-literal"},
		{"host=", " pass pass no-host"},
		{"host=a..b", "a..b block block malformed"},
		{"host=filed.example@unfiled.example", "filed.example@unfiled.example block block malformed"},
		{"host=filed.example%00.unfiled.example", "filed.example\x00.unfiled.example block block malformed"},
		{"host=%E4%BE%8B%E5%AD%90.example", "xn--fsqu00a.example block block unfiled"},
		{"host=%E4%BE%8B%E5%AD%90..example", "例子..example block block malformed"},
	} {
		said, resp, body := authAsked(t, addr, "GET", "/v1/check?"+tt.query, "Host: icp")
		var x authz.Checked
		if err := json.Unmarshal([]byte(body), &x); err != nil {
			t.Fatalf("%s: %s, %v in %s", tt.query, said, err, body)
		}
		if got := checkedAs(x); got != tt.want || resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "application/json" {
			t.Errorf("%s: %s, %s; want %s", tt.query, resp.Status, got, tt.want)
		}
		if told := strings.Contains(tt.query, "addr="); told != strings.Contains(body, `"addr":"`) {
			t.Errorf("%s: the address that was told %t is in %s", tt.query, told, body)
		}
		if x.Revision.Rev != 7 || x.Title == "" || x.Advisories == nil {
			t.Errorf("%s: no revision, title or advisories in %s", tt.query, body)
		}
	}
	if pass, block := count("pass"), count("block"); pass != 7 || block != 9 {
		t.Errorf("%v passes and %v blocks were counted; want 7 and 9", pass, block)
	}
	if _, resp, body := authAsked(t, addr, "HEAD", "/v1/check?host=filed.example", "Host: icp"); body != "" || resp.ContentLength < 100 {
		t.Errorf("HEAD: %q, length %d", body, resp.ContentLength)
	}
}

// TestCheckCannotTell: where one of several addresses is in no known place, that a name
// passes at the others does not tell that it may be served.
func TestCheckCannotTell(t *testing.T) {
	const nowhere = "4000::1"
	for _, serves := range []string{nowhere + " 223.5.5.5", "223.5.5.5 " + nowhere} {
		addr, _ := startChecked(t, "serves "+serves)
		for host, want := range map[string]string{
			"filed.example":   "filed.example cannot-tell pass location-unknown",
			"unfiled.example": "unfiled.example block block unfiled",
		} {
			_, _, body := authAsked(t, addr, "GET", "/v1/check?host="+host, "Host: icp")
			var x authz.Checked
			if err := json.Unmarshal([]byte(body), &x); err != nil {
				t.Fatalf("%v in %s", err, body)
			}
			if got := checkedAs(x); got != want {
				t.Errorf("serves %s: %s; want %s", serves, got, want)
			}
		}
	}
}

func TestCheckBatch(t *testing.T) {
	addr, _ := startChecked(t, "serves mainland")
	const (
		many = `[{"host": "filed.example"}, {"host": "unfiled.example", "addr": "8.8.8.8"}, {"host": "a..b"}, {"host": "elsewhere.example", "product": "cdn"}]`
		one  = `{"host": "unfiled.example"}`
	)
	want := "filed.example pass pass accessed by filed.example 京ICP备00000001号-1; unfiled.example pass pass outside-mainland; a..b block block malformed; elsewhere.example pass pass filed by elsewhere.example"
	post := func(lines, body string) string {
		return "POST /v1/check HTTP/1.1\r\nHost: icp\r\nContent-Type: application/json\r\n" + lines + "\r\n\r\n" + body
	}
	chunked := fmt.Sprintf("4\r\n%s\r\n%x;a=b\r\n%s\r\n0\r\nX-Trailer: a\r\n\r\n", many[:4], len(many)-4, many[4:])
	for name, tt := range map[string]struct{ text, want string }{
		"length":   {post(fmt.Sprintf("Content-Length: %d", len(many)), many), want},
		"chunks":   {post("Transfer-Encoding: chunked", chunked), want},
		"expected": {post(fmt.Sprintf("Content-Length: %d\r\nExpect: 100-continue", len(many)), many), want},
		"one":      {post(fmt.Sprintf("Content-Length: %d", len(one)), one), "unfiled.example block block unfiled"},
	} {
		// The next question on the same connection is answered as well.
		in := bufio.NewReader(strings.NewReader(talk(t, addr, tt.text+"GET /healthz HTTP/1.1\r\nHost: icp\r\n\r\n")))
		resp, err := http.ReadResponse(in, nil)
		if err == nil && resp.StatusCode == 100 {
			resp, err = http.ReadResponse(in, nil)
		}
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		body, _ := io.ReadAll(resp.Body)
		var list []authz.Checked
		if name == "one" {
			list = make([]authz.Checked, 1)
			err = json.Unmarshal(body, &list[0])
		} else {
			err = json.Unmarshal(body, &list)
		}
		var got []string
		for _, x := range list {
			got = append(got, checkedAs(x))
		}
		if err != nil || strings.Join(got, "; ") != tt.want {
			t.Errorf("%s: %s, %v: %s\nwant %s", name, resp.Status, err, strings.Join(got, "; "), tt.want)
		}
		if next, err := http.ReadResponse(in, nil); err != nil || next.StatusCode != 200 {
			t.Errorf("%s: the next: %v, %v; want 200", name, next, err)
		}
	}
}

// TestCheckProblems: what is wrong with a question is told as RFC 9457 has it.
func TestCheckProblems(t *testing.T) {
	addr, _ := startChecked(t, "serves asked")
	large := strings.Repeat(" ", authz.MaxBody+1)
	typed := "\r\nContent-Type: application/json"
	for _, tt := range []struct {
		text   string
		status int
		says   string
	}{
		{"GET /v1/check HTTP/1.1\r\nHost: icp\r\n\r\n", 400, "host is missing"},
		{"GET /v1/check?host=a HTTP/1.1\r\nHost: icp\r\n\r\n", 400, "addr is missing"},
		{"GET /v1/check?host=a&addr=x HTTP/1.1\r\nHost: icp\r\n\r\n", 400, `addr "x"`},
		{"DELETE /v1/check HTTP/1.1\r\nHost: icp\r\n\r\n", 405, "expect GET"},
		{"POST /v1/check HTTP/1.1\r\nHost: icp\r\nContent-Length: 2\r\n\r\n{}", 415, "expect application/json"},
		{"POST /v1/check HTTP/1.1\r\nHost: icp" + typed + "\r\nContent-Length: 2\r\n\r\n{}", 400, "host is missing"},
		{"POST /v1/check HTTP/1.1\r\nHost: icp" + typed + "\r\n\r\n", 400, "too early"},
		{"POST /v1/check HTTP/1.1\r\nHost: icp" + typed + "\r\nContent-Length: 20\r\n\r\n[{\"host\":\"a\",\"b\":1}]", 400, "is no string"},
		{"POST /v1/check HTTP/1.1\r\nHost: icp" + typed + "\r\nContent-Length: 14\r\n\r\n[{\"host\":\"a\"}]", 400, "addr is missing"},
		{"POST /v1/check HTTP/1.1\r\nHost: icp" + typed + "\r\nContent-Length: 99999999\r\n\r\n", 413, "fewer hosts"},
		{"POST /v1/check HTTP/1.1\r\nHost: icp" + typed + "\r\nTransfer-Encoding: chunked\r\n\r\n" + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(large), large), 413, "fewer hosts"},
		{"POST /v1/check HTTP/1.1\r\nHost: icp" + typed + "\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "framed"},
	} {
		resp, err := http.ReadResponse(bufio.NewReader(strings.NewReader(talk(t, addr, tt.text))), nil)
		if err != nil {
			t.Fatalf("%.60q: %v", tt.text, err)
		}
		var p struct {
			Title, Detail string
			Status        int
		}
		body, _ := io.ReadAll(resp.Body)
		if err := json.Unmarshal(body, &p); err != nil {
			t.Fatalf("%.60q: %v in %s", tt.text, err, body)
		}
		if resp.StatusCode != tt.status || p.Status != tt.status || p.Title != http.StatusText(tt.status) || !strings.Contains(p.Detail, tt.says) {
			t.Errorf("%.60q: %s, %s; want %d that says %q", tt.text, resp.Status, body, tt.status, tt.says)
		}
		if got := resp.Header.Get("Content-Type"); got != "application/problem+json" {
			t.Errorf("%.60q: %s", tt.text, got)
		}
		if allow := resp.Header.Get("Allow"); (allow != "") != (tt.status == 405) {
			t.Errorf("%.60q: Allow %q", tt.text, allow)
		}
	}
}

// TestReadmeCheck: the answer that the documentation shows is the one that comes.
func TestReadmeCheck(t *testing.T) {
	addr, _ := startChecked(t, "serves mainland")
	_, shown, _ := strings.Cut(readme(t), "~~~ json\n")
	shown, _, _ = strings.Cut(shown, "~~~")
	resp, err := http.Get("http://" + addr + "/v1/check?host=www.filed.example")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got, want map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(strings.ReplaceAll(shown, "example.com", "filed.example")), &want); err != nil {
		t.Fatal(err)
	}
	want["revision"] = got["revision"]
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%v\nthe documentation shows\n%v", got, want)
	}
}

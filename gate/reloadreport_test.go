package gate_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/icpgate/icpgate/gate/internal/hello"
	"github.com/icpgate/icpgate/gate/sniff/initial"
)

// TestReloadReports: what cannot be read on a connection that was there before a
// reload is told where the configuration in force says, and not where the one
// before did.
func TestReloadReports(t *testing.T) {
	retry := hello.Records(hello.Retry())
	lax, _ := newLax(t, retry)
	cert := newCertificate(t, "filed.example")
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	admin, web := freePort(t), newOrigin(t, new(seen))
	config := func(log string) string {
		lines := "\ntimeouts head 1m\nlog " + log + "\n}\n"
		return "http://127.0.0.1:0 {\n" + withAdmin(admin) + "\nupstream " + web + lines +
			"tls://127.0.0.1:0 {\nICP\nupstream " + lax + lines +
			"tls://127.0.0.2:0 {\nICP\ntls " + cert.Cert + " " + cert.Key + "\nupstream 127.0.0.1:1" + lines +
			"quic://127.0.0.1:0 {\nICP\nupstream " + server.LocalAddr().String() + lines
	}
	p := start(t, 4, config("before.log"), nil)

	kept := dialTCP(t, p.addr(t, "http:"))
	answers := bufio.NewReader(kept)
	if got := keptAsk(t, kept, answers, "filed.example"); got != "200" {
		t.Fatalf("got %s", got)
	}
	tunnel := dialTCP(t, p.addr(t, "tls://127.0.0.1:"))
	_, _ = tunnel.Write(hello.For("filed.example"))
	if _, err := io.CopyN(io.Discard, tunnel, int64(len(retry))); err != nil {
		t.Fatal(err)
	}
	two := hello.Records(hello.Spec{Extensions: [][]byte{hello.SNI("filed.example"), hello.SNI("www.filed.example")}}.Message())
	begun := dialTCP(t, p.addr(t, "tls://127.0.0.2:"))
	_, _ = begun.Write(two[:10])
	eventually(t, "the third is somebody's", func() bool {
		return scraped(t, admin, `icp_gate_open_connections\{listener="tls://127.0.0.2:0 .*\}`) == "1"
	})
	q := (&quicRaw{t: t, addr: p.addr(t, "quic:"), server: server}).from("127.0.0.1")
	if got := q.sent(quicInitial("filed.example", rawID)); got != "passed 1" {
		t.Fatalf("got %s", got)
	}

	p.write(t, config("after.log"))
	p.signal(t, syscall.SIGHUP)
	p.log.await(t, `msg="configuration read anew"`)
	fmt.Fprint(kept, "GET / HTTP/1.1\r\nHost: a b\r\n\r\n")
	_, _ = tunnel.Write(hello.For("www.filed.example"))
	_, _ = begun.Write(two[10:])
	q.sent(initial.Packet{DCID: rawID, Number: 1, Payload: initial.Crypto(0, quicMessage("unfiled.example")), Size: 1200}.Seal())

	told := func(log string) (list []string) {
		text, _ := os.ReadFile(filepath.Join(p.dir, log))
		for line := range strings.Lines(string(text)) {
			var m map[string]string
			if err := json.Unmarshal([]byte(line), &m); err == nil && m["reason"] == "malformed" {
				scheme, _, _ := strings.Cut(m["listener"], ":0")
				list = append(list, scheme+" "+m["cause"])
			}
		}
		return list
	}
	for _, want := range []string{"http://127.0.0.1 bad-host", "tls://127.0.0.1 name-differs", "tls://127.0.0.2 bad-extensions", "quic://127.0.0.1 crypto-differs"} {
		eventually(t, want+" is told", func() bool { return strings.Contains(strings.Join(told("after.log"), "\n"), want) })
	}
	if got := told("before.log"); len(got) > 0 {
		t.Errorf("told where the configuration before says: %v", got)
	}
}

package sniff_test

import (
	"encoding/hex"
	"os"
	"strings"
	"testing"

	"github.com/icpgate/icpgate/gate/sniff"
	"github.com/icpgate/icpgate/gate/sniff/initial"
)

// vector reads an example packet of RFC 9001 or RFC 9369, Appendix A.
func vector(t testing.TB, name string) []byte {
	text, err := os.ReadFile("testdata/quic/" + name + ".hex")
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.Join(strings.Fields(string(text)), ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// vectorID is the id that the client of all examples chose.
var vectorID = []byte{0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08}

func TestQUICVectors(t *testing.T) {
	for _, tt := range []struct {
		rfc     string
		version uint32
	}{{"rfc9001", sniff.QUICv1}, {"rfc9369", sniff.QUICv2}} {
		b := vector(t, tt.rfc+"-a2-client-initial")
		d, cause := sniff.FirstQUIC(b)
		if cause != sniff.NoCause || d.First.Version != tt.version || string(d.First.DCID) != string(vectorID) {
			t.Fatalf("%s: got %+v, cause %q", tt.rfc, d, cause)
		}
		var q sniff.QUICHello
		var w sniff.QUICWork
		q.Start(d.First.Version, d.First.DCID)
		seen := q.Feed(b, &w)
		if h := seen.Hello; h.Kind != sniff.Name || string(h.Name) != "example.com" || string(h.ALPN) != "\x04alpn" || !seen.Fit() || seen.Opened != 1 {
			t.Errorf("%s: got %+v; want example.com", tt.rfc, seen)
		}
		retry, _, cause := sniff.NextQUIC(vector(t, tt.rfc+"-a4-retry"), 0)
		if cause != sniff.NoCause || retry.Type != sniff.QUICRetry || string(retry.Token) != "token" || !q.Retry(&retry) {
			t.Errorf("%s: got %+v, cause %q; want a Retry that counts", tt.rfc, retry, cause)
		}
		server, _, cause := sniff.NextQUIC(vector(t, tt.rfc+"-a3-server-initial"), 0)
		if cause != sniff.NoCause || server.Type != sniff.QUICInitial || hex.EncodeToString(server.SCID) != "f067a5502a4262b5" {
			t.Errorf("%s: got %+v, cause %q", tt.rfc, server, cause)
		}
	}
}

// TestInitialVectors: what the tests seal and open packets with does it by the
// book.
func TestInitialVectors(t *testing.T) {
	for _, rfc := range []string{"rfc9001", "rfc9369"} {
		for _, name := range []string{"-a2-client-initial", "-a3-server-initial"} {
			b := vector(t, rfc+name)
			p, rest, err := initial.Open(b, vectorID, name == "-a3-server-initial")
			if err != nil || len(rest) != 0 {
				t.Errorf("%s%s: %v, %d bytes left", rfc, name, err, len(rest))
			} else if string(p.Seal()) != string(b) {
				t.Errorf("%s%s: sealed again it is another", rfc, name)
			}
		}
		b := vector(t, rfc+"-a4-retry")
		p, _, _ := sniff.NextQUIC(b, 0)
		if again := initial.Retry(p.Version, p.DCID, p.SCID, p.Token, vectorID); string(again) != string(b) {
			t.Errorf("%s: made again the Retry is another", rfc)
		}
	}
}

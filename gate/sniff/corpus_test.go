package sniff_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/icpgate/icpgate/gate/internal/hello"
	"github.com/icpgate/icpgate/gate/sniff"
)

// caught is a hello as a real client has sent it.
type caught struct {
	client string
	raw    []byte // all its records
	msg    []byte // the handshake message in them
}

// catchHello listens, has a client connect, and returns its first hello.
func catchHello(t *testing.T, client string, connect func(ctx context.Context, port string)) caught {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	done := make(chan struct{})
	defer func() { cancel(); <-done }()
	_, port, _ := net.SplitHostPort(ln.Addr().String())
	go func() { defer close(done); connect(ctx, port) }()
	_ = ln.(*net.TCPListener).SetDeadline(time.Now().Add(time.Minute))
	h, begun := caught{client: client}, make([]byte, 1)
	var c net.Conn
	for n := 0; n == 0; { // a browser may open one, and choose another
		if c, err = ln.Accept(); err != nil {
			t.Fatalf("%s does not connect: %v", client, err)
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		if n, err = c.Read(begun); n == 0 && err != io.EOF {
			t.Fatalf("%s: %v", client, err)
		}
	}
	in := io.MultiReader(bytes.NewReader(begun), c)
	for len(h.msg) < 4 || len(h.msg) < 4+int(binary.BigEndian.Uint32(h.msg)&0xffffff) {
		record := make([]byte, 5)
		if _, err := io.ReadFull(in, record); err != nil {
			t.Fatalf("%s: %v after %d bytes", client, err, len(h.raw))
		}
		body := make([]byte, binary.BigEndian.Uint16(record[3:]))
		if _, err := io.ReadFull(in, body); err != nil {
			t.Fatalf("%s: %v after %d bytes", client, err, len(h.raw))
		}
		h.raw = append(append(h.raw, record...), body...)
		h.msg = append(h.msg, body...)
	}
	return h
}

// run runs a program until it ends or the hello is there.
func run(name string, args ...string) func(context.Context, string) {
	return func(ctx context.Context, port string) {
		with := slices.Clone(args)
		for i := range with {
			with[i] = strings.ReplaceAll(with[i], "PORT", port)
		}
		_ = exec.CommandContext(ctx, name, with...).Run() // it is refused on purpose
	}
}

// goClient is Go's client.
func goClient(cfg *tls.Config) func(context.Context, string) {
	cfg.ServerName, cfg.InsecureSkipVerify = "www.filed.example", true
	return func(ctx context.Context, port string) {
		if c, err := (&tls.Dialer{Config: cfg}).DialContext(ctx, "tcp", "127.0.0.1:"+port); err == nil {
			c.Close()
		}
	}
}

// need reports whether a program is there; where it must be, the test fails.
func need(t *testing.T, name string) bool {
	t.Helper()
	_, err := exec.LookPath(name)
	if err != nil && os.Getenv("REQUIRE_PEERS") != "" {
		t.Fatalf("%s is not installed; it is required", name)
	}
	if err != nil {
		t.Logf("%s is not installed; its hellos are left out", name)
	}
	return err == nil
}

// mlkem tells whether openssl knows the hybrid group: since 3.5.
func mlkem() bool {
	out, _ := exec.Command("openssl", "list", "-tls-groups").CombinedOutput()
	return strings.Contains(string(out), "X25519MLKEM768")
}

// corpus makes hellos of the clients that people use.
func corpus(t *testing.T) (list []caught) {
	catch := func(client string, connect func(context.Context, string)) {
		list = append(list, catchHello(t, client, connect))
	}
	catch("go", goClient(&tls.Config{CurvePreferences: []tls.CurveID{tls.X25519MLKEM768, tls.X25519}}))
	catch("go, classical", goClient(&tls.Config{CurvePreferences: []tls.CurveID{tls.X25519}}))
	catch("go, TLS 1.2", goClient(&tls.Config{MaxVersion: tls.VersionTLS12}))
	_, encrypted, err := hello.ECH("outer.filed.example")
	if err != nil {
		t.Fatal(err)
	}
	catch("go, ECH", goClient(&tls.Config{MinVersion: tls.VersionTLS13, EncryptedClientHelloConfigList: encrypted}))
	if need(t, "openssl") {
		s := []string{"s_client", "-connect", "127.0.0.1:PORT", "-servername", "www.filed.example"}
		catch("openssl", run("openssl", s...))
		catch("openssl, TLS 1.2", run("openssl", append(s[:len(s):len(s)], "-tls1_2")...))
		catch("openssl, TLS 1.3", run("openssl", append(s[:len(s):len(s)], "-tls1_3", "-groups", "X25519")...))
		if mlkem() {
			catch("openssl, ML-KEM", run("openssl", append(s[:len(s):len(s)], "-groups", "X25519MLKEM768")...))
		} else {
			t.Log("openssl is older than 3.5 and knows no ML-KEM; that hello is left out")
		}
	}
	if need(t, "curl") {
		catch("curl", run("curl", "-sk", "--connect-to", "::127.0.0.1:PORT", "https://www.filed.example/"))
		catch("curl, HTTP/1.1", run("curl", "-sk", "--http1.1", "--connect-to", "::127.0.0.1:PORT", "https://www.filed.example/"))
	}
	if need(t, "chromium") {
		for i := range 3 { // it shuffles its extensions
			catch(fmt.Sprintf("chromium %d", i+1), run("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
				"--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server",
				"--user-data-dir="+t.TempDir(), "--host-resolver-rules=MAP www.filed.example 127.0.0.1:PORT",
				"--dump-dom", "https://www.filed.example/"))
		}
	}
	return list
}

// TestCorpus: the name is found in what real clients send, whole, in two records
// wherever they are cut, and as bytes come in one by one; it is never found early.
func TestCorpus(t *testing.T) {
	var join []byte
	for _, c := range corpus(t) {
		want := "www.filed.example"
		if c.client == "go, ECH" {
			want = "outer.filed.example" // whom the inner name belongs to, it does not tell
		}
		whole := sniff.ClientHello(c.raw, &join)
		if whole.Kind != sniff.Name || string(whole.Name) != want {
			t.Errorf("%s: got %s %q (%s); want %s", c.client, whole.Kind, whole.Name, whole.Cause, want)
			continue
		}
		if ech := c.client == "go, ECH" || strings.HasPrefix(c.client, "chromium"); whole.ECH != ech {
			t.Errorf("%s: ECH %t; want %t", c.client, whole.ECH, ech)
		}
		for cut := 1; cut < len(c.msg); cut++ {
			if h := sniff.ClientHello(hello.Records(c.msg, cut), &join); h.Kind != sniff.Name || string(h.Name) != want {
				t.Errorf("%s, cut at %d: got %s %q (%s)", c.client, cut, h.Kind, h.Name, h.Cause)
				break
			}
		}
		for n := 1; n < len(c.raw); n++ {
			if h := sniff.ClientHello(c.raw[:n], &join); h.Kind != sniff.More {
				t.Errorf("%s, %d bytes of %d: got %s %q (%s); want %s", c.client, n, len(c.raw), h.Kind, h.Name, h.Cause, sniff.More)
				break
			}
		}
		t.Logf("%-18s %4d bytes, name at %4d, ECH %t", c.client, len(c.raw), bytes.Index(c.raw, []byte(want)), whole.ECH)
	}
}

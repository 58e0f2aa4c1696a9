package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/icpgate/icpgate/deploy/loopback"
)

// TestRun does what `make run` does and then what it tells the user to try.
func TestRun(t *testing.T) {
	dig := needDig(t)
	t.Chdir("../..")
	said, logs := startRun(t, makeSample(t))

	for host, want := range map[string]string{
		"www.example.com": "203.0.113.10",
		"www.example.net": `EDE: 16 (Censored): (icp: not filed)`,
		"www.example.org": `EDE: 16 (Censored): (icp: not accessed here)`,
	} {
		line := regexp.MustCompile(`(?m)^\s*dig (.*` + regexp.QuoteMeta(host) + ` A)\s+#`).FindStringSubmatch(said)
		if line == nil {
			t.Fatalf("no dig line for %s in:\n%s", host, said)
		}
		out, err := exec.Command(dig, strings.Fields(line[1])...).CombinedOutput()
		if err != nil {
			t.Fatalf("dig %s: %v\n%s", line[1], err, out)
		}
		if !strings.Contains(string(out), want) {
			t.Errorf("dig %s: no %q in\n%s\nlogs:\n%s", line[1], want, out, logs())
		}
		if strings.Contains(want, "EDE") && strings.Contains(string(out), "203.0.113.") {
			t.Errorf("dig %s: an address of the mainland came through:\n%s", line[1], out)
		}
	}
}

// TestRunGate tries what the user is told to try on the gate.
func TestRunGate(t *testing.T) {
	needDig(t)
	t.Chdir("../..")
	said, logs := startRun(t, makeSample(t))
	for _, tt := range []struct{ url, want string }{
		{"http://www.example.com/", "has answered for www.example.com"},
		{"http://www.example.net/", "unfiled"},
		{"https://www.example.com/", "has answered for www.example.com"},
		{"https://www.example.net/", "unrecognized name"},
		{"/v1/check?host=www.example.net", `"reason":"unfiled"`},
	} {
		line := regexp.MustCompile(`(?m)^\s*curl (.*` + regexp.QuoteMeta(tt.url) + `)\s+#`).FindStringSubmatch(said)
		if line == nil {
			t.Fatalf("no curl line for %s in:\n%s", tt.url, said)
		}
		out, _ := exec.Command("curl", append([]string{"-sS"}, strings.Fields(line[1])...)...).CombinedOutput()
		if !strings.Contains(string(out), tt.want) {
			t.Errorf("curl %s: no %q in\n%s\nlogs:\n%s", line[1], tt.want, out, logs())
		}
	}
}

// TestRunAsked tries what the user is told of the questions of proxies, and QUIC by
// a client that has it: Debian's curl has not.
func TestRunAsked(t *testing.T) {
	needDig(t)
	t.Chdir("../..")
	said, logs := startRun(t, makeSample(t))
	for host, want := range map[string]string{"www.example.com": "200", "www.example.net": "403"} {
		line := regexp.MustCompile(`(?m)^\s*curl (-H X-Forwarded-Host:` + regexp.QuoteMeta(host) + ` \S+)\s+#`).FindStringSubmatch(said)
		if line == nil {
			t.Fatalf("no curl line for a question about %s in:\n%s", host, said)
		}
		out, _ := exec.Command("curl", append([]string{"-sS", "-w", " %{http_code}"}, strings.Fields(line[1])...)...).CombinedOutput()
		if !strings.HasSuffix(string(out), " "+want) {
			t.Errorf("curl %s: no %s in\n%s\nlogs:\n%s", line[1], want, out, logs())
		}
	}
	for host, want := range map[string]string{"www.example.com": "has answered for www.example.com", "www.example.net": "0x170"} {
		line := regexp.MustCompile(`--http3-only --connect-to ::(\S+) (https://` + regexp.QuoteMeta(host) + `/)`).FindStringSubmatch(said)
		if line == nil {
			t.Fatalf("no line of HTTP/3 for %s in:\n%s", host, said)
		}
		if got := getHTTP3(t, line[1], line[2]); !strings.Contains(got, want) {
			t.Errorf("%s by HTTP/3: no %q in %s\nlogs:\n%s", host, want, got, logs())
		}
	}
}

// getHTTP3 gets a page from a port of this machine, or what went wrong.
func getHTTP3(t *testing.T, addr, url string) string {
	t.Helper()
	tr := &http3.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true},
		Dial: func(ctx context.Context, _ string, c *tls.Config, q *quic.Config) (*quic.Conn, error) {
			return quic.DialAddr(ctx, addr, c, q)
		},
	}
	defer tr.Close()
	c := &http.Client{Transport: tr}
	resp, err := c.Get(url)
	var late *quic.HandshakeTimeoutError
	for tries := 1; errors.As(err, &late) && tries < 10; tries++ { // the machine stood still for five seconds
		resp, err = c.Get(url)
	}
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// TestRunChange changes a filing as the user is told to, and asks both edges.
func TestRunChange(t *testing.T) {
	needDig(t)
	t.Chdir("../..")
	said, logs := startRun(t, makeSample(t))
	_, said, ok := strings.Cut(said, "Change a filing")
	if !ok {
		t.Fatalf("nobody is told how to change a filing:\n%s", said)
	}
	commands := 0
	for line := range strings.SplitSeq(said, "\n") {
		for _, tt := range []struct{ has, want string }{
			{" set example.org", "REVISION"}, {" cancel example.org", "REVISION"}, {"accessed here now", "203.0.113.10"},
			{"the web server answers", "has answered for www.example.org"}, {"no address any more", "access cancelled here"},
			{" explain ", "Not filed"}, {" history ", "moves away"}, {" edges ", "REPORTED"},
		} {
			command, _, _ := strings.Cut(line, "   # ")
			if !strings.HasPrefix(line, "  ") || !strings.Contains(line, tt.has) {
				continue
			}
			commands++
			if out := until(command, func(out string) bool { return strings.Contains(out, tt.want) }); !strings.Contains(out, tt.want) {
				t.Errorf("%s\ndid not print %q:\n%s\n%s", command, tt.want, out, logs())
			}
		}
	}
	if commands != 8 {
		t.Errorf("of what the user is told %d commands were tried; want 8:\n%s", commands, said)
	}
}

// until runs a command of the shell, again and again where its output is not as
// wanted: a change is on its way to the edges.
func until(command string, wanted func(out string) bool) string {
	for end := time.Now().Add(5 * time.Minute); ; {
		out, _ := exec.Command("sh", "-c", command).CombinedOutput()
		if wanted(string(out)) || time.Now().After(end) {
			return string(out)
		}
	}
}

// needDig finds dig, or skips the test by name; with REQUIRE_PEERS=1 it fails.
func needDig(t *testing.T) string {
	t.Helper()
	dig, err := exec.LookPath("dig")
	if err == nil {
		return dig
	}
	const missing = "dig is missing (Debian: bind9-dnsutils)"
	if os.Getenv("REQUIRE_PEERS") == "1" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

// made is the folder with the programs and the sample registry, which all tests use
// one after the other; every run makes its own registry in it.
var made string

func TestMain(m *testing.M) {
	host = loopback.Host()
	code := m.Run()
	if made != "" {
		os.RemoveAll(made)
	}
	os.Exit(code)
}

// makeSample builds the programs and the sample registry, unless that was done.
func makeSample(t *testing.T) (bin string) {
	t.Helper()
	if made != "" {
		return made
	}
	bin, err := os.MkdirTemp("", "run")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("make", "sample", "BIN="+bin)
	cmd.Env = append(os.Environ(), "MAKEFLAGS=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("make sample: %v\n%s", err, out)
	}
	made = bin
	return bin
}

// startRun runs the command in the background until the test ends, and returns
// what it told the user once it said so.
func startRun(t *testing.T, bin string) (said string, logs func() string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	buf := &lockedBuffer{}
	done := make(chan error, 1)
	go func() { done <- run(ctx, bin, w, buf); w.Close() }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("run: %v\n%s", err, buf.String())
		}
	})
	var text strings.Builder
	chunk := make([]byte, 4096)
	for !strings.Contains(text.String(), "Ctrl-C ends it.") {
		n, err := r.Read(chunk)
		if err != nil {
			t.Fatalf("run said only %q: %v\n%s", text.String(), err, buf.String())
		}
		text.Write(chunk[:n])
	}
	return text.String(), buf.String
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// TestREADME runs the session of the README: what stands below a command there
// must come out of it, in that order.
func TestREADME(t *testing.T) {
	needDig(t)
	t.Chdir("../..")
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, session, ok := strings.Cut(string(readme), "```console\n$ make run &\n")
	session, _, ok2 := strings.Cut(session, "```")
	if !ok || !ok2 {
		t.Fatal("README.md has no console session that begins with `make run`")
	}
	bin := makeSample(t)
	said, logs := startRun(t, bin)
	port := regexp.MustCompile(`-p (\d+)`).FindStringSubmatch(said)[1]
	url := regexp.MustCompile(`--server (\S+)`).FindStringSubmatch(said)[1]
	here := strings.NewReplacer("@"+sampleHost, "@"+host, "-p "+dnsPort, "-p "+port, "bin/", bin+"/", "http://"+net.JoinHostPort(sampleHost, registryPort), url)
	for step := range strings.SplitSeq(strings.TrimPrefix(session, "$ "), "\n$ ") {
		command, want, _ := strings.Cut(step, "\n")
		lines := strings.Split(strings.TrimSpace(want), "\n")
		if out := until(here.Replace(command), func(out string) bool { return inOrder(out, lines) }); !inOrder(out, lines) {
			t.Errorf("%s\ndid not print %q:\n%s\n%s", command, lines, out, logs())
		}
	}
}

// inOrder reports whether a text has lines one after the other.
func inOrder(text string, lines []string) bool {
	for _, line := range lines {
		_, rest, ok := strings.Cut(text, line)
		if !ok {
			return false
		}
		text = rest
	}
	return true
}

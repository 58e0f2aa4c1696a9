package gate_test

import (
	"bufio"
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// browser is a running Chromium, which the test drives by its DevTools protocol
// over a pipe: https://chromedevtools.github.io/devtools-protocol/. Unlike browse
// it stays what it is from one page to the next, and so does what it has learnt.
type browser struct {
	t       *testing.T
	to      *os.File
	from    *bufio.Reader
	session string
	id      int
	events  []devtoolsMessage // that came while an answer was waited for
}

// devtoolsMessage is an answer, which has an ID, or an event.
type devtoolsMessage struct {
	ID     int             `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
	Result json.RawMessage `json:"result"`
	Error  struct {
		Message string `json:"message"`
	} `json:"error"`
}

// browserWait is how long a browser may take for all that a test has it do.
const browserWait = 3 * time.Minute

// newBrowser starts Chromium, which finds names where the rules of its flag
// host-resolver-rules say, and takes certificates with the keys of trusted for good
// ones.
func newBrowser(t *testing.T, rules string, trusted []*x509.Certificate, flags ...string) *browser {
	t.Helper()
	path := needChromium(t)
	var keys []string
	for _, c := range trusted {
		sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
		keys = append(keys, base64.StdEncoding.EncodeToString(sum[:]))
	}
	ctx, cancel := context.WithTimeout(context.Background(), browserWait)
	cmd := exec.CommandContext(ctx, path, append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--enable-quic",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server", "--accept-lang=en-US",
		"--user-data-dir=" + profile(t), "--host-resolver-rules=" + rules,
		"--ignore-certificate-errors-spki-list=" + strings.Join(keys, ","), "--remote-debugging-pipe"}, flags...)...)
	toRead, to, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	from, toWrite, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.ExtraFiles = []*os.File{toRead, toWrite}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	toRead.Close()
	toWrite.Close()
	t.Cleanup(func() { cancel(); _ = cmd.Wait(); to.Close(); from.Close() })
	b := &browser{t: t, to: to, from: bufio.NewReader(from)}
	var target struct{ TargetID string }
	b.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var session struct{ SessionID string }
	b.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &session)
	b.session = session.SessionID
	b.call("Page.enable", nil, nil)
	b.call("Network.enable", nil, nil)
	return b
}

// profile is a directory for Chromium's profile. Processes of it may write there a
// moment longer than the first one lives, so that what cannot be removed is left.
func profile(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "chromium-profile-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// call has the browser do something, and waits for its answer.
func (b *browser) call(method string, params, into any) {
	b.t.Helper()
	b.id++
	message := map[string]any{"id": b.id, "method": method}
	if params != nil {
		message["params"] = params
	}
	if b.session != "" {
		message["sessionId"] = b.session
	}
	text, err := json.Marshal(message)
	if err != nil {
		b.t.Fatal(err)
	}
	if _, err := b.to.Write(append(text, 0)); err != nil {
		b.t.Fatalf("chromium is gone: %v", err)
	}
	for {
		m := b.next()
		switch {
		case m.ID == 0:
			b.events = append(b.events, m)
			continue
		case m.ID != b.id:
			continue
		case m.Error.Message != "":
			b.t.Fatalf("%s: %s", method, m.Error.Message)
		}
		if into != nil {
			b.read(m.Result, into)
		}
		return
	}
}

// next is the next message.
func (b *browser) next() (m devtoolsMessage) {
	b.t.Helper()
	text, err := b.from.ReadBytes(0)
	if err != nil {
		b.t.Fatalf("chromium is gone, or has taken longer than %s: %v", browserWait, err)
	}
	b.read(text[:len(text)-1], &m)
	return m
}

func (b *browser) read(text []byte, into any) {
	b.t.Helper()
	if err := json.Unmarshal(text, into); err != nil {
		b.t.Fatalf("%s: %v", text, err)
	}
}

// visited is what came of a page.
type visited struct {
	protocol string // that the page came by, as ALPN names it
	status   int
	text     string // that is seen
	failed   string // Chromium's name of what went wrong
}

func (v visited) String() string {
	if v.failed != "" {
		return v.failed
	}
	return fmt.Sprintf("%s %d %s", v.protocol, v.status, v.text)
}

// visit goes to a page and waits until it is there.
func (b *browser) visit(url string) (v visited) {
	b.t.Helper()
	b.events = nil
	var page struct{ LoaderID, ErrorText string }
	b.call("Page.navigate", map[string]any{"url": url}, &page)
	for loaded := false; !loaded; {
		var m devtoolsMessage
		if len(b.events) > 0 {
			m, b.events = b.events[0], b.events[1:]
		} else {
			m = b.next()
		}
		switch m.Method {
		case "Network.responseReceived":
			var got struct {
				LoaderID, Type string
				Response       struct {
					Status   int
					Protocol string
				}
			}
			b.read(m.Params, &got)
			if got.LoaderID == page.LoaderID && got.Type == "Document" {
				v.protocol, v.status = got.Response.Protocol, got.Response.Status
			}
		case "Page.loadEventFired":
			loaded = true
		}
	}
	if v.failed = page.ErrorText; v.failed != "" {
		return v
	}
	var seen struct{ Result struct{ Value string } }
	b.call("Runtime.evaluate", map[string]any{"expression": "document.documentElement.innerText"}, &seen)
	v.text = seen.Result.Value
	return v
}

package main

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"

	"github.com/icpgate/icpgate/bench/corpus"
	"github.com/icpgate/icpgate/bench/rig"
	"github.com/icpgate/icpgate/registry"
)

// world is the directory with everything that is measured with.
type world struct {
	dir     string
	filings int
	tuned   bool // nginx has larger buffers than it ships with
}

// hosts is how many names are asked for.
const hosts = 1000

// bulkSize is the file that is fetched to measure bytes.
const bulkSize = 64 << 20

func (w world) path(name string) string { return filepath.Join(w.dir, name) }

func (w world) snapshot() string   { return w.path(fmt.Sprintf("registry-%d.icp", w.filings)) }
func (w world) nginxMap() string   { return w.path(fmt.Sprintf("nginx-%d.map", w.filings)) }
func (w world) haproxyMap() string { return w.path(fmt.Sprintf("haproxy-%d.map", w.filings)) }
func (w world) www() string        { return w.path("www") }

// nginxStreamMap has the upstream as its value.
func (w world) nginxStreamMap() string { return w.path(fmt.Sprintf("nginx-stream-%d.map", w.filings)) }

// prepare writes what is not there yet.
func (w *world) prepare() (err error) {
	if w.dir, err = filepath.Abs(w.dir); err != nil {
		return err
	}
	if err := os.MkdirAll(w.www(), 0o755); err != nil {
		return err
	}
	files := []struct {
		path  string
		write func(*bufio.Writer)
	}{
		{w.nginxMap(), w.writeMap(".%s 1;\n")}, // the name and all below it
		{w.nginxStreamMap(), w.writeMap(".%s tls;\n")},
		{w.haproxyMap(), w.writeMap("%s 1\n")},
		{filepath.Join(w.www(), "index.html"), func(b *bufio.Writer) { fmt.Fprintf(b, "%0*d\n", 1023, 0) }},
		{filepath.Join(w.www(), "bulk"), func(b *bufio.Writer) { writeBulk(b, bulkSize) }},
		{w.keepAliveScript(), func(b *bufio.Writer) { w.writeScript(b, "keep-alive") }},
		{w.closedScript(), func(b *bufio.Writer) { w.writeScript(b, "close") }},
	}
	for _, f := range files {
		if err := rig.WriteOnce(f.path, f.write); err != nil {
			return err
		}
	}
	return rig.WriteSnapshot(w.snapshot(), 0, w.filings)
}

// writeMap writes the names whose filing lets them pass.
func (w world) writeMap(line string) func(*bufio.Writer) {
	return func(b *bufio.Writer) {
		for i := range w.filings {
			if passes(i) {
				fmt.Fprintf(b, line, corpus.Name(i))
			}
		}
	}
}

// passes reports whether the i-th filing lets its name pass.
func passes(i int) bool { return corpus.Filing(i).Status == registry.StatusNormal }

// names are those that are asked for: filed ones that pass. Names below them
// would do as well, but HAProxy's map_str knows none.
func (w world) names() []string {
	r := rand.New(rand.NewPCG(1, uint64(w.filings)))
	list := make([]string, hosts)
	for k := range list {
		i := r.IntN(w.filings)
		for !passes(i) {
			i = r.IntN(w.filings)
		}
		list[k] = corpus.Name(i)
	}
	return list
}

// unfiled are names that must not pass.
func (w world) unfiled() []string {
	list := make([]string, hosts)
	for k := range list {
		list[k] = corpus.Unfiled(k)
	}
	return list
}

func writeBulk(b *bufio.Writer, n int) {
	r := rand.NewChaCha8([32]byte{})
	for ; n > 0; n -= 8 {
		v := r.Uint64()
		b.Write([]byte{byte(v), byte(v >> 8), byte(v >> 16), byte(v >> 24), byte(v >> 32), byte(v >> 40), byte(v >> 48), byte(v >> 56)})
	}
}

func (w world) keepAliveScript() string { return w.path(fmt.Sprintf("keep-alive-%d.lua", w.filings)) }
func (w world) closedScript() string    { return w.path(fmt.Sprintf("close-%d.lua", w.filings)) }

// head is a request as Chromium sends it, for a name.
const head = "GET /index.html HTTP/1.1\r\nHost: %s\r\nConnection: %s\r\nUpgrade-Insecure-Requests: 1\r\n" +
	"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0.0.0 Safari/537.36\r\n" +
	"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8\r\n" +
	"Accept-Encoding: gzip, deflate\r\nAccept-Language: zh-CN,zh;q=0.9,en;q=0.8\r\nCookie: session=0123456789abcdef0123456789abcdef\r\n\r\n"

// writeScript writes for wrk what to send: one name after the other.
func (w world) writeScript(b *bufio.Writer, connection string) {
	fmt.Fprintln(b, "local requests = {}")
	for i, name := range w.names() {
		fmt.Fprintf(b, "requests[%d] = %s\n", i+1, luaQuote(fmt.Sprintf(head, name, connection)))
	}
	fmt.Fprintf(b, "local i = 0\nfunction request()\n  i = i %% %d + 1\n  return requests[i]\nend\n", hosts)
}

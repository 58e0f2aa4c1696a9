//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/icpgate/icpgate/registry"
	"github.com/icpgate/icpgate/registry/api"
	"github.com/icpgate/icpgate/registry/store"
)

// running is a registry service in a process of its own, which does what it is
// told line by line.
type running struct {
	pid  int
	in   io.WriteCloser
	out  *bufio.Scanner
	wait func() error
}

// service starts one and returns its URL.
func (o options) service(dsn string) (*running, string, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, "", err
	}
	cmd := command(self, "-dir", o.dir, "-filings", fmt.Sprint(o.filings), "-part", "serve", "-dsn", dsn)
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, "", err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	r := &running{pid: cmd.Process.Pid, in: in, out: bufio.NewScanner(out), wait: cmd.Wait}
	url, err := r.line()
	return r, url, err
}

func (r *running) line() (string, error) {
	if !r.out.Scan() {
		return "", fmt.Errorf("the service ended: %w", r.wait())
	}
	return r.out.Text(), nil
}

// ask tells it to do something and returns what it answers.
func (r *running) ask(words ...string) (string, error) {
	if _, err := fmt.Fprintln(r.in, strings.Join(words, " ")); err != nil {
		return "", err
	}
	return r.line()
}

func (r *running) end() error {
	r.in.Close()
	return r.wait()
}

// serve is that process: it serves, and for each line of its standard input makes
// a change or begins an import.
func (o options) serve(ctx context.Context) error {
	s, err := store.Open(ctx, o.dsn, store.Options{What: "bench"})
	if err != nil {
		return err
	}
	defer s.Close()
	signer, err := o.signer()
	if err != nil {
		return err
	}
	_, secret, err := s.NewToken(ctx, by, store.Token{Owner: "bench", Note: "edges", Scopes: store.Scopes()})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(o.dir, "token"), []byte(secret+"\n"), 0o600); err != nil {
		return err
	}
	p, _, err := api.OpenPublisher(ctx, s, o.served(), api.PublisherOptions{Signer: signer, Failed: func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, "publish:", err)
		}
	}})
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := api.New(api.Config{Hub: p.Hub(), Tokens: api.Tokens{Store: s}, Store: s, Version: "bench"}).Server()
	go server.Serve(l)
	publishing, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); p.Run(publishing) }()
	fmt.Println("http://" + l.Addr().String())
	importing := make(chan string, 1)
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		words := strings.Fields(lines.Text())
		switch words[0] {
		case "file":
			began := time.Now()
			rev, err := s.Edit(ctx, by, func(e *store.Edit) error { return e.PutFiling(made(words[1])) })
			fmt.Println(began.UnixNano(), rev.Rev, err == nil, time.Since(began).Milliseconds())
		case "import":
			go func() { importing <- o.importWhile(ctx, s, words[1]) }()
			fmt.Println("begun")
		case "imported":
			select {
			case said := <-importing:
				fmt.Println(said)
			default:
				fmt.Println("running")
			}
		case "streams":
			n, cut := p.Hub().Status()
			fmt.Println(n, cut)
		}
	}
	stop()
	<-done
	p.Hub().Close()
	server.Close()
	return p.Close()
}

// made is a filing that a change makes.
func made(name string) registry.Filing {
	n := registry.MustParseNumber("沪ICP备10000001号")
	return registry.Filing{
		Site:   registry.Site{Number: n.Site(1, registry.KindSite), Name: "Example", Domains: []registry.Domain{registry.MustParseDomain(name)}},
		Entity: registry.Entity{Number: n, Name: "Example Ltd.", Nature: registry.Enterprise}, AccessesKnown: true,
		Accesses: []registry.Access{{Provider: "cloud-a"}},
	}
}

// importWhile imports a file and tells what came of it.
func (o options) importWhile(ctx context.Context, s *store.Store, path string) string {
	began := time.Now()
	i, err := o.stage(ctx, s, path, false)
	staged := time.Since(began)
	if err == nil {
		i, err = s.Publish(ctx, i.ID, nil)
	}
	text, _ := json.Marshal(i.Counts)
	return fmt.Sprintf("%v staged %.1f s, all %.1f s, %d revisions, %s", err, staged.Seconds(), time.Since(began).Seconds(), i.Chunks, text)
}

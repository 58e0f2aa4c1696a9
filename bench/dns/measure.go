//go:build linux

package main

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// warmLimit ends the warming of a server that is too slow to answer all names
// in it.
const warmLimit = 20 * time.Second

// warm asks for all names of a set once.
func (s *server) warm(queries [][]byte) error {
	_, err := s.load(queries, 0, warmLimit, len(queries))
	return err
}

// measure puts the server under full load and returns its CPU-µs per query. Each
// run goes on where the one before has ended, so that short ones, too, ask for all
// names.
func (s *server) measure(queries [][]byte, d time.Duration) (float64, error) {
	before, err := s.cpu()
	if err != nil {
		return 0, err
	}
	n, err := s.load(queries, s.asked, d, 0)
	s.asked += n
	if err != nil {
		return 0, err
	}
	after, err := s.cpu()
	return float64((after - before).Nanoseconds()) / 1e3 / float64(n), err
}

// load keeps a hundred queries under way and returns how many were answered.
func (s *server) load(queries [][]byte, first int, limit time.Duration, count int) (n int, err error) {
	l, err := newLoad(s.port, queries, first)
	if err != nil {
		return 0, err
	}
	defer l.close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		n, err = l.run(limit, count)
	}()
	<-done
	if err == nil && n == 0 {
		err = fmt.Errorf("%s answers nothing", s.kind.name)
	}
	return n, err
}

// samples is how many names of a set are looked at before it is measured.
const samples = 500

// wrong returns the share of names in a set that get another answer than the
// policy has for them.
func (s *server) wrong(file, set string) (float64, error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	c, bad, n := &dns.Client{Timeout: 10 * time.Second}, 0, 0 // BIND answers, now and then, while it loads its policy
	for lines := bufio.NewScanner(f); n < samples && lines.Scan(); n++ {
		name, _, _ := strings.Cut(lines.Text(), " ")
		r, _, err := c.Exchange(new(dns.Msg).SetQuestion(dns.Fqdn(name), dns.TypeA), s.addr())
		if err != nil {
			return 0, err
		}
		if !right(r, name, s.kind.blocks(set, n)) {
			bad++
		}
	}
	return float64(bad) / float64(n), nil
}

// right reports whether a name got its address, or none if it is to be blocked.
func right(r *dns.Msg, name string, blocked bool) bool {
	if blocked {
		return len(r.Answer) == 0 && (r.Rcode == dns.RcodeSuccess || r.Rcode == dns.RcodeNameError)
	}
	if len(r.Answer) != 1 {
		return false
	}
	a, ok := r.Answer[0].(*dns.A)
	return ok && a.A.String() == addressOf(name).String()
}
